"""`stereodiffusion video`: a video into a stereo video."""

from collections.abc import Mapping, Sequence
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.choices import NAMES
from stereodiffusion.cli.devices import usable_device
from stereodiffusion.cli.fields import Offered, in_flags, offered_in, parameter, said
from stereodiffusion.cli.outputs import checked_names
from stereodiffusion.cli.paths import require_file, usable
from stereodiffusion.errors import FormatError, StereoDiffusionError
from stereodiffusion.settings.plain import from_plain
from stereodiffusion.video.request import VideoRequest

if TYPE_CHECKING:
    from stereodiffusion.cli.progress import Display
    from stereodiffusion.models.estimators import DepthEstimator
    from stereodiffusion.synthesis import StereoDiffusion

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
"""Of videos that are written, see `stereodiffusion.video.joining`."""


def command() -> Any:
    """The command; its options are the fields of `VideoRequest`."""
    offered = offered_in(VideoRequest)

    def run(**typed: Any) -> None:
        try:
            _run(offered, typed)
        except StereoDiffusionError as refused:
            raise in_flags(refused, offered) from refused

    run.__doc__ = "Make a stereo video from a video: depth held steady, occlusions filled from neighbouring frames."
    settings = [parameter(each.parameter, each.annotation) for each in offered]
    argument = [each for each, field in zip(settings, offered, strict=True) if not field.option.flags]
    rest = [each for each in settings if each not in argument]
    fixed = [parameter("output", options.Output), parameter("names", options.FileNames, NAMES[0])]
    running = [
        parameter("device", options.Device, "auto"),
        parameter("quiet", options.Quiet, False),
        parameter("debug", options.Debug, False),
    ]
    cast(Any, run).__signature__ = Signature([*argument, *fixed, *rest, *running])
    return run


def _run(offered: Sequence[Offered], typed: Mapping[str, Any]) -> None:
    plain = said(offered, typed)
    if "video" not in plain:
        raise cast(type[Exception], typer.BadParameter.__bases__[0])("Missing argument 'VIDEO'.")
    request = from_plain(VideoRequest, plain)
    source = require_file(Path(request.video.path))
    output = _output(typed["output"], source, request, checked_names(typed["names"]))
    device = usable_device(typed["device"])
    model = None if request.keys is None else _model(request.keys.model, device)

    from stereodiffusion.cli.progress import Display
    from stereodiffusion.video.converting import convert, plan

    with Display(quiet=typed["quiet"]) as display:
        planned = plan(request, output)
        for note in planned.notes:
            display.note(note)
        if model is not None:
            display.loading(model.name, lambda: model.backbone)
        estimator = display.loading("a depth estimator", lambda: _estimator(request.estimator, device, display))

        def tell(done: int, note: str | None) -> None:
            if note is not None:
                display.note(note)
            display.advance("frames", done, max(planned.video.frames, done))

        written = convert(planned, estimator, tell, model)
    typer.echo(written)


def _output(asked: Path | None, source: Path, request: VideoRequest, names: str) -> Path:
    """Where to write: with the suffix of the source where it is one that can be written, else MP4."""
    suffix = source.suffix if source.suffix.lower() in SUFFIXES else ".mp4"
    path = asked or Path(f"{source.stem}-stereo{suffix}")
    with usable(path):
        if path.is_dir():
            path = path / f"{source.stem}-stereo{suffix}"
    if not path.suffix:
        raise FormatError(f"{path}: a video goes into {', '.join(SUFFIXES)}, got no suffix")
    if names == "players":
        from stereodiffusion.formats.outputs import OUTPUT_FORMATS

        kind = OUTPUT_FORMATS.get(request.format)
        ending = kind.ending if kind is not None else ""
        if ending and not path.stem.endswith(ending):
            path = path.with_name(f"{path.stem}{ending}{path.suffix}")
    return path


def _model(asked: str, device: str) -> "StereoDiffusion":
    from stereodiffusion.synthesis import load

    return load(asked, device=device)


def _estimator(asked: str, device: str, display: "Display") -> "DepthEstimator":
    from stereodiffusion.models.estimators import load_depth_estimator
    from stereodiffusion.models.estimators.choosing import choose

    chosen = choose(asked)
    if chosen.note is not None:
        display.note(chosen.note)
    return load_depth_estimator(chosen.name, device=device)
