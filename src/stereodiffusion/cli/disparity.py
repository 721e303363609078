"""`stereodiffusion disparity`: the estimated disparity of a photo alone, as a file that other programs read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.devices import usable_device
from stereodiffusion.cli.paths import require_file, usable
from stereodiffusion.cli.saying import say_path
from stereodiffusion.errors import FormatError
from stereodiffusion.models.cards import AUTO
from stereodiffusion.request.request import check_estimator
from stereodiffusion.settings.presets import preset

if TYPE_CHECKING:
    from stereodiffusion.cli.progress import Display
    from stereodiffusion.models.estimators import DepthEstimator

SUFFIXES = (".pfm", ".npy", ".tif", ".tiff", ".exr", ".png")
"""Of maps, see `stereodiffusion.formats.write_map`."""


def disparity(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", show_default=False, help="The picture.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default="PHOTO-disparity.pfm",
            help="PFM, NPY, TIFF and EXR hold exact pixels; PNG has 16 bits, 256 of them a pixel, as KITTI's.",
        ),
    ] = None,
    colour: Annotated[
        bool, typer.Option("--colour", help="Write a picture for people besides, FILE-colour.png: near is red.")
    ] = False,
    depth_estimator: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A name, a repository or a folder; auto is the best that can be had.",
        ),
    ] = AUTO,
    max_disparity: Annotated[
        float,
        typer.Option(metavar="F", help="Parallax of the nearest point as a fraction of the width, 0 to 0.5."),
    ] = 0.08,
    refine: Annotated[
        bool, typer.Option("--refine/--no-refine", help="Move the map's borders to the picture's, hair included.")
    ] = True,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Estimate the disparity of a photo, and make no pair."""
    del debug
    changes = {"parallax.max_disparity": max_disparity, "map.refine": "estimated" if refine else "off"}
    settings = preset("best", "photo").changed(changes)
    check_estimator(depth_estimator)
    files = _files(require_file(photo), output, colour)

    from stereodiffusion.cli.progress import Display
    from stereodiffusion.formats import read_image, visualise
    from stereodiffusion.formats.files import check_targets, write_files
    from stereodiffusion.formats.maps import encode_map
    from stereodiffusion.formats.pictures.image import encode_image
    from stereodiffusion.synthesis.parallax import estimate

    check_targets(files)
    with Display(quiet=quiet) as display:
        picture = read_image(photo)
        where = usable_device(device)
        estimator = display.loading("a depth estimator", lambda: _estimator(depth_estimator, where, display))
        found = estimate(estimator, picture, settings)
    contents = {files[0]: encode_map(found, files[0].suffix)}
    if colour:
        contents[files[1]] = encode_image(visualise(found), ".png")
    for path in write_files(contents):
        say_path(path)


def _files(photo: Path, output: Path | None, colour: bool) -> list[Path]:
    """The map, and perhaps the picture of it.

    Raises:
        FormatError: If a map has no such suffix, or the photo would be replaced.
    """
    path = Path(f"{photo.stem}-disparity.pfm") if output is None else output
    with usable(path):
        if path.is_dir():
            path = path / f"{photo.stem}-disparity.pfm"
        if path.suffix.lower() not in SUFFIXES:
            raise FormatError(f"{path}: a map goes into {', '.join(SUFFIXES)}, got {path.suffix or 'no suffix'}")
        files = [path, *([path.with_name(f"{path.stem}-colour.png")] if colour else [])]
        if photo.resolve() in {file.resolve() for file in files}:
            raise FormatError(f"{photo} is read by this command and would be replaced: choose another --output")
    return files


def _estimator(asked: str, device: str, display: "Display") -> "DepthEstimator":
    from stereodiffusion.models.estimators import load_depth_estimator
    from stereodiffusion.models.estimators.choosing import choose

    chosen = choose(asked)
    if chosen.note is not None:
        display.note(chosen.note)
    return load_depth_estimator(chosen.name, device=device)
