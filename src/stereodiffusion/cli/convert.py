"""`stereodiffusion convert`: a stereo pair out of one kind of file into others."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.choices import FORMATS
from stereodiffusion.cli.lists import listed
from stereodiffusion.cli.outputs import Files, checked_names, settle_output
from stereodiffusion.cli.paths import require_file
from stereodiffusion.cli.saying import say_path
from stereodiffusion.errors import ConfigError

if TYPE_CHECKING:
    from stereodiffusion.cli.progress import Display
    from stereodiffusion.formats import Eyes

_PAIR = "Pair"
_MEANT = {
    ".mpo": "mpo",
    ".jps": "jps",
    ".heic": "spatial",
    ".gif": "wiggle-gif",
    ".mp4": "wiggle-mp4",
    ".webm": "wiggle-webm",
}
"""The format that a suffix means where none is asked for; others mean `sbs`."""


def convert(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE [RIGHT]", show_default=False, help="A file with both eyes, or a file for each."),
    ],
    output: options.Output = None,
    formats: options.Formats = [],  # noqa: B006 - typer's way to say the default of a list
    names: options.FileNames = "plain",
    from_format: options.FromFormat = None,
    swap: Annotated[bool, typer.Option("--swap", rich_help_panel=_PAIR, help="Exchange the eyes.")] = False,
    align: Annotated[
        bool,
        typer.Option(
            "--align",
            rich_help_panel=_PAIR,
            help="Put the eyes level: undo the roll and the difference in height that points seen by both show.",
        ),
    ] = False,
    converge: Annotated[
        float | None,
        typer.Option(
            metavar="F",
            show_default=False,
            rich_help_panel=_PAIR,
            help="Put what has this disparity on the screen, as a fraction of the width.",
        ),
    ] = None,
    disparity: Annotated[
        Path | None,
        typer.Option(
            metavar="MAP",
            show_default=False,
            rich_help_panel=_PAIR,
            help="Disparity of the left eye in its pixels, for rgbd: PFM, EXR, NPY, TIFF, or PNG of 256 a pixel.",
        ),
    ] = None,
    field_of_view: Annotated[
        float | None,
        typer.Option(
            metavar="DEG",
            show_default="as the file says, or 65",
            rich_help_panel=_PAIR,
            help="Horizontal angle that an eye's picture shows, for spatial and vr180.",
        ),
    ] = None,
    baseline: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            show_default="as the file says, or 63",
            rich_help_panel=_PAIR,
            help="Distance of the two cameras in millimetres, for spatial and mpo.",
        ),
    ] = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Convert a stereo pair from one kind of file into others."""
    del debug
    if len(files) > 2:
        raise ConfigError(f"expected a file, or one for each eye, got {len(files)}")
    options.check_from_format(from_format)
    if converge is not None and not -0.5 < converge < 0.5:
        raise ConfigError(f"--converge must be a fraction of the width within -0.5 ... 0.5, got {converge:g}")
    meant = _MEANT.get(output.suffix.lower(), "sbs") if output is not None else "sbs"
    wanted = Files(formats=listed(formats, FORMATS, "--format") or (meant,), names=checked_names(names))
    inputs = [require_file(file) for file in (*files, *([disparity] if disparity else []))]
    target = settle_output(output, f"{files[0].stem}-{wanted.formats[0]}", wanted, inputs=inputs)

    from stereodiffusion.cli.progress import Display
    from stereodiffusion.formats import read_pair, write_pair

    with Display(quiet=quiet) as display:
        eyes = read_pair(files[0], files[1] if len(files) == 2 else None, format=from_format)
        display.note(eyes.source)
        eyes = _told(eyes, disparity, field_of_view, baseline)
        eyes = _changed(eyes, display, swap=swap, align=align, converge=converge)
        written = write_pair(target, eyes, wanted.formats, names=wanted.names)
    for path in written:
        say_path(path)


def _told(eyes: "Eyes", disparity: Path | None, field_of_view: float | None, baseline: float | None) -> "Eyes":
    """The pair with what the user knows beside."""
    more: dict[str, Any] = {}
    if disparity is not None:
        from stereodiffusion.formats import disparity_from_map, read_map
        from stereodiffusion.formats.maps import PNG_SCALE

        raw = read_map(disparity)
        scale, unknown = (float(PNG_SCALE), "zero") if raw.is_integer else (None, "nonfinite")
        more["disparity"] = disparity_from_map(raw, "disparity-px", scale=scale, unknown=unknown)
    if field_of_view is not None:
        more["field_of_view_deg"] = field_of_view
    if baseline is not None:
        more["baseline_m"] = baseline / 1000
    return replace(eyes, **more)


def _changed(eyes: "Eyes", display: "Display", *, swap: bool, align: bool, converge: float | None) -> "Eyes":
    """The pair as the user wants it; what was done goes into the files' metadata."""
    from stereodiffusion.formats import aligned, misalignment

    done: dict[str, object] = {}
    if swap:
        eyes, done["swapped"] = eyes.swapped(), True
    if align:
        found = misalignment(eyes)
        display.note(
            f"the right eye is turned by {found.roll_deg:.2f} degrees and lies {found.lower_px:.1f} px lower, as "
            f"{found.points} points say"
        )
        eyes = aligned(eyes, found)
        done["aligned"] = {"roll_deg": found.roll_deg, "lower_px": found.lower_px}
    if converge is not None:
        zero_px = round(converge * eyes.size[1])
        eyes, done["converged_px"] = eyes.converged_at(zero_px), zero_px
    return replace(eyes, settings={**eyes.settings, "converted": done}) if done else eyes
