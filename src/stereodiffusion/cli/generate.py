"""`text`, `depth`, `photo` and `redo`: from a request to files."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.choices import Bundle
from stereodiffusion.cli.devices import checked_dtype, usable_device
from stereodiffusion.cli.fields import in_flags, offered_by, parameter, parse_changes, parse_wanted, said
from stereodiffusion.cli.outputs import Files, bundle_folder, settle_output, stem_of
from stereodiffusion.cli.saying import say_path
from stereodiffusion.errors import ConfigError, StereoDiffusionError
from stereodiffusion.models.cards import AUTO
from stereodiffusion.models.memory import PLENTY, Memory
from stereodiffusion.request import VERSION, PhotoRequest, Request, files_of, prompts_of, request_from
from stereodiffusion.request import with_digests as checked_files
from stereodiffusion.request.saying import merged
from stereodiffusion.settings import PrecisionChoice

if TYPE_CHECKING:
    from stereodiffusion.cli.progress import Display
    from stereodiffusion.pair import StereoPair
    from stereodiffusion.synthesis import Run, StereoDiffusion, ViewRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and how a command runs, checked.

    Attributes:
        device: Where networks run.
        dtype: In which precision.
        memory: What is done if there is little of it.
        quiet: Whether nothing but errors is said.
    """

    device: str = "auto"
    dtype: str = "auto"
    memory: Memory = PLENTY
    quiet: bool = False

    def __post_init__(self) -> None:
        checked_dtype(self.dtype)


def command(kind: type[Request], summary: str) -> Callable[..., None]:
    """The command of a mode: its options come from the fields of the mode's request.

    Args:
        kind: The request.
        summary: What the command does, in a line.
    """
    offered = list(offered_by(kind))

    def run(**typed: Any) -> None:
        try:
            request = _request_of(kind, offered_said=said(offered, typed), typed=typed)
        except StereoDiffusionError as refused:
            raise in_flags(refused, offered) from refused
        if typed["print_request"]:
            typer.echo(json.dumps(request.plain(), indent=2))
            return
        files = Files.of(
            typed["formats"],
            typed["also"],
            request,
            names=typed["names"],
            window=typed["floating_window"],
            bundle=typed["bundle"],
        )
        try:
            memory = Memory(offload=typed["offload"], tiles=typed["tiles"])
            machine = Machine(device=typed["device"], dtype=typed["dtype"], memory=memory, quiet=typed["quiet"])
            deliver(request, files, typed["output"], machine)
        except StereoDiffusionError as refused:
            raise in_flags(refused, offered) from refused

    run.__doc__ = summary
    parameters = [parameter(each.parameter, each.annotation) for each in offered]
    arguments = [each for each, field in zip(parameters, offered, strict=True) if not field.option.flags]
    settings = [each for each in parameters if each not in arguments]
    cast(Any, run).__signature__ = Signature([*arguments, *_output_parameters(), *settings, *_running_parameters()])
    return run


def _output_parameters() -> list[Parameter]:
    return [
        parameter("output", options.Output),
        parameter("formats", options.Formats, []),
        parameter("also", options.Also, []),
        parameter("bundle", options.Bundle),
        parameter("floating_window", options.FloatingWindow, False),
        parameter("names", options.FileNames, "plain"),
        parameter("views", options.Views),
        parameter("baselines", options.Baselines),
        parameter("source", options.SourceEye),
    ]


def _running_parameters() -> list[Parameter]:
    return [
        parameter("set", options.Changes, []),
        parameter("request", options.RequestFile),
        parameter("print_request", options.PrintRequest, False),
        parameter("device", options.Device, "auto"),
        parameter("dtype", options.Dtype, "auto"),
        parameter("offload", options.OffloadParts, "off"),
        parameter("tiles", options.Tiles, False),
        parameter("quiet", options.Quiet, False),
        parameter("debug", options.Debug, False),
    ]


def _request_of(kind: type[Request], offered_said: dict[str, Any], typed: dict[str, Any]) -> Request:
    """The request that a command line says, perhaps beginning with that in a file."""
    base: dict[str, Any] = (
        {"version": VERSION, "mode": kind.mode} if typed["request"] is None else read_request(typed["request"])
    )
    if base.get("mode") != kind.mode:
        raise ConfigError(f"{typed['request']} is a request of mode {base.get('mode')!r}, expected {kind.mode!r}")
    more = merged(offered_said, {"changes": parse_changes(typed["set"])})
    wanted = parse_wanted(typed["source"], typed["views"], typed["baselines"])
    if wanted is not None:
        more["wanted"] = wanted
    if "map" in more and "path" not in merged(base, more)["map"] and kind is PhotoRequest:
        raise ConfigError("the options of a map need one: --disparity MAP")
    for name in ("photo", "map"):  # another file than the one that was asked for has another digest
        if "path" in more.get(name, {}):
            base.get(name, {}).pop("sha256", None)
    told = merged(base, more)
    for each in offered_by(kind):
        if not each.option.flags and each.path.partition(".")[0] not in told:
            raise _missing(each.name)
    return request_from(told)


def _missing(argument: str) -> Exception:
    return cast(type[Exception], typer.BadParameter.__bases__[0])(f"Missing argument '{argument}'.")


def read_request(path: Path) -> dict[str, Any]:
    """The plain JSON of a request in a file.

    Raises:
        ConfigError: If there is no JSON object in it.
        FormatError: If it cannot be read.
    """
    from stereodiffusion.formats.files import read_bytes

    try:
        plain = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as refused:
        if isinstance(refused, StereoDiffusionError):
            raise
        raise ConfigError(f"{path}: expected a request as JSON, got something else") from None
    if not isinstance(plain, dict):
        raise ConfigError(f"{path}: expected a request as a JSON object, got something else")
    return cast(dict[str, Any], plain)


def deliver(request: Request, files: Files, output: Path | None, machine: Machine) -> None:
    """Make what a request says, and write it."""
    from stereodiffusion.cli.progress import Display

    if files.bundle is not None:
        from stereodiffusion.bundles import check_layout

        check_layout(files.bundle, request.settings())
    inputs = [Path(file.path) for _, file in files_of(request)]
    checked_files(request)
    with Display(quiet=machine.quiet) as display:
        target = settle_output(output, _stem_of(request), files, inputs=inputs)
        loaded = _prepare(request, machine)
        check = files.check_size(target)
        run = display.loading(request.model, lambda: loaded.run(request, check_size=check))
        written = _written(display, run, target, files, request)
    for path in written:
        say_path(path)


def _stem_of(request: Request) -> str:
    if isinstance(request, PhotoRequest):
        return f"{Path(request.photo.path).stem}-stereo"
    return stem_of(prompts_of(request.prompt)[0])


def _prepare(request: Request, machine: Machine) -> "StereoDiffusion":
    from stereodiffusion.synthesis import load

    device, dtype = usable_device(machine.device), cast(PrecisionChoice, machine.dtype)
    estimator = getattr(request, "estimator", AUTO)
    return load(request.model, device=device, dtype=dtype, depth_estimator=estimator, memory=machine.memory)


def _written(display: "Display", run: "Run | ViewRun", target: Path, files: Files, request: Request) -> Sequence[Path]:
    from stereodiffusion.synthesis import Run
    from stereodiffusion.views import ViewFormat, save_views

    if isinstance(run, Run):
        pair = display.follow(run)
        pair = pair.with_floating_window() if files.window else pair
        bundle = [] if files.bundle is None else [_bundled(pair, request, target, files.bundle)]
        return [*pair.save(target, format=files.formats, also=files.also, names=files.names), *bundle]
    formats = cast(tuple[ViewFormat, ...], files.formats)
    return list(save_views(display.views(run), run.positions, target, formats))


def _bundled(pair: "StereoPair", request: Request, target: Path, layout: Bundle) -> Path:
    """Write the research bundle beside a pair's files."""
    from stereodiffusion.bundles import annotate_all, camera_of, write_bundle

    pairs = annotate_all(pair, target.stem, camera_of(request, pair))
    return write_bundle(pairs, layout, bundle_folder(target, layout))
