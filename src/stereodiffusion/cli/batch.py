"""`batch`: a folder of photos, a manifest or a file of prompts, into a folder of results."""

from collections.abc import Mapping, Sequence
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.batch_progress import BatchDisplay
from stereodiffusion.cli.choices import EXTRAS, FORMATS, VIEW_FORMATS
from stereodiffusion.cli.devices import checked_dtype, usable_device
from stereodiffusion.cli.fields import Offered, in_flags, offered_by, parameter, parse_changes, parse_wanted, said
from stereodiffusion.cli.lists import listed
from stereodiffusion.cli.outputs import checked_bundle
from stereodiffusion.cli.saying import say, say_path
from stereodiffusion.errors import ConfigError, FormatError, StereoDiffusionError, printable
from stereodiffusion.models.memory import Memory
from stereodiffusion.request import REQUESTS
from stereodiffusion.request.saying import merged
from stereodiffusion.settings import PrecisionChoice

if TYPE_CHECKING:
    from stereodiffusion.batch import Cluster, Entry, Job, Making

SOME_FAILED = 3
"""The exit code of a batch of which some rows failed."""

_RUNNING = "Running"
_OWN = "map.path"  # each row has its own

Source: Any = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="A folder of photos, a manifest (.csv, .jsonl, .parquet: a row is a request), or a file of "
        "prompts (.txt: one a line).",
    ),
]
Results: Any = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        rich_help_panel="Output",
        show_default=False,
        help="The folder of results, made if need be. What is there is not made again.",
    ),
]
Patterns: Any = Annotated[
    list[str],
    typer.Option(
        "--pattern",
        metavar="PATTERN",
        rich_help_panel="Output",
        show_default="pictures",
        help="Which files of a folder, such as '*.jpg'; repeat it for several.",
    ),
]
Workers: Any = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        rich_help_panel=_RUNNING,
        show_default="1; with --ray as many as there is room for",
        help="How many processes, each with a model.",
    ),
]
Ray: Any = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        rich_help_panel=_RUNNING,
        help="Workers on the machines of a Ray cluster, HOST:PORT or auto; or local: Ray on this machine alone.",
    ),
]
Retries: Any = Annotated[
    int,
    typer.Option(
        "--retries",
        metavar="N",
        rich_help_panel=_RUNNING,
        help="How often to try again, after all others, what failed for want of memory or of the network.",
    ),
]
Trace: Any = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        rich_help_panel=_RUNNING,
        show_default=False,
        help="Write which stage of which picture went on when, JSON in Chrome's trace format, for ui.perfetto.dev.",
    ),
]
FailFast: Any = Annotated[
    bool, typer.Option("--fail-fast", rich_help_panel=_RUNNING, help="End with the first row that fails.")
]


def command() -> Any:
    """The command; its options are those of the three modes."""
    offered = _offered()

    def run(**typed: Any) -> None:
        try:
            code = _run(offered, typed)
        except StereoDiffusionError as refused:
            raise in_flags(refused, offered) from refused
        raise typer.Exit(code)

    run.__doc__ = "Make a stereo pair of each photo of a folder, each row of a manifest or each line of a prompt file."
    fixed = [
        parameter("source_path", Source, Signature.empty),
        parameter("output", Results, Signature.empty),
        parameter("pattern", Patterns, []),
        parameter("formats", options.Formats, []),
        parameter("also", options.Also, []),
        parameter("bundle", options.Bundle),
        parameter("floating_window", options.FloatingWindow, False),
        parameter("views", options.Views),
        parameter("baselines", options.Baselines),
        parameter("source", options.SourceEye),
    ]
    running = [
        parameter("set", options.Changes, []),
        parameter("workers", Workers),
        parameter("ray", Ray),
        parameter("retries", Retries, 2),
        parameter("fail_fast", FailFast, False),
        parameter("trace", Trace),
        parameter("device", options.Device, "auto"),
        parameter("dtype", options.Dtype, "auto"),
        parameter("offload", options.OffloadParts, "off"),
        parameter("tiles", options.Tiles, False),
        parameter("quiet", options.Quiet, False),
        parameter("debug", options.Debug, False),
    ]
    settings = [parameter(each.parameter, each.annotation) for each in offered]
    cast(Any, run).__signature__ = Signature([*fixed, *settings, *running])
    return run


def _offered() -> list[Offered]:
    """The options of all three modes, each once; what is said of a single row's files is for the rows."""
    found: dict[str, Offered] = {}
    for kind in REQUESTS.values():
        for each in offered_by(kind):
            if each.option.flags and each.path != _OWN:
                found.setdefault(each.path, each)
    return list(found.values())


def _run(offered: Sequence[Offered], typed: Mapping[str, Any]) -> int:
    """Everything is checked, then made; gives the exit code."""
    for name, least in (("workers", 1), ("retries", 0)):
        if typed[name] is not None and typed[name] < least:
            raise ConfigError(f"--{name} must be at least {least}, got {typed[name]}")
    checked_dtype(typed["dtype"])
    defaults = merged(said(offered, typed), {"changes": parse_changes(typed["set"])})
    if not defaults["changes"]:
        del defaults["changes"]
    if (wanted := parse_wanted(typed["source"], typed["views"], typed["baselines"])) is not None:
        defaults["wanted"] = wanted

    with BatchDisplay(quiet=typed["quiet"]) as display:
        from stereodiffusion.batch import jobs_of, read_rows, run, write_sheet
        from stereodiffusion.formats.files import check_targets

        folder, workers = typed["output"], _workers(typed)
        if typed["trace"] is not None:
            check_targets([typed["trace"]])
        rows = read_rows(typed["source_path"], patterns=typed["pattern"], without=folder)
        jobs, refused = jobs_of(rows, defaults)
        making = _making(typed)
        _check(jobs, making)
        display.begin(len(rows))
        entries: list[Entry] = []
        made = run(
            jobs,
            making,
            refused=refused,
            workers=workers,
            retries=typed["retries"],
            fail_fast=typed["fail_fast"],
        )
        for entry in made:
            entries.append(entry)
            _show(display, entry)
        order = {row.place: number for number, row in enumerate(rows)}
        entries.sort(key=lambda entry: order[entry.input])
        sheet = write_sheet(folder, entries)
        bundle = _gathered(entries, making)
        if typed["trace"] is not None:
            _write_trace(typed["trace"], entries)
    words = [f"{display.made} made", f"{display.found} there already", f"{display.failed} failed"]
    left = len(rows) - len(entries)
    say(f"{folder}: {', '.join(words)}{f', {left} left out' if left else ''}")
    say_path(sheet)
    for path in (bundle, typed["trace"]):
        if path is not None:
            say_path(path)
    return SOME_FAILED if display.failed else 0


def _workers(typed: Mapping[str, Any]) -> "int | Cluster":
    if typed["ray"] is None:
        return typed["workers"] or 1
    from stereodiffusion.batch import Cluster

    cluster = Cluster(address=typed["ray"], most=typed["workers"])
    cluster.check_there()
    return cluster


def _making(typed: Mapping[str, Any]) -> "Making":
    from stereodiffusion.batch import Making, Output

    output = Output(
        formats=listed(typed["formats"], (*FORMATS, *VIEW_FORMATS), "--format"),
        also=listed(typed["also"], EXTRAS, "--also"),
        window=typed["floating_window"],
        bundle=checked_bundle(typed["bundle"], window=typed["floating_window"]),
        dtype=typed["dtype"],
        tiles=typed["tiles"],
    )
    return Making(
        folder=typed["output"],
        output=output,
        device=usable_device(typed["device"]),
        dtype=cast(PrecisionChoice, typed["dtype"]),
        memory=Memory(offload=typed["offload"], tiles=typed["tiles"]),
    )


def _gathered(entries: Sequence["Entry"], making: "Making") -> Path | None:
    """The bundle of all results."""
    if making.output.bundle is None:
        return None
    from stereodiffusion.bundles import gather_bundle

    return gather_bundle(making.folder, [each.result for each in entries if each.result], making.output.bundle)


def _write_trace(path: Path, entries: Sequence["Entry"]) -> None:
    from stereodiffusion.batch import chrome_trace
    from stereodiffusion.formats.files import write_files

    write_files({path: chrome_trace((each.input, each.spans) for each in entries).encode()})


def _check(jobs: Sequence["Job"], making: "Making") -> None:
    """Refuse, before any work, models that are not there, and formats that are for no row."""
    for model in dict.fromkeys(job.request.model for job in jobs):
        making.load(model)
    wrong: StereoDiffusionError | None = None
    for job in jobs:
        try:
            making.output.check(job.request)
        except (ConfigError, FormatError) as error:
            wrong = wrong or error
        else:
            return
    if wrong is not None:
        raise wrong


def _show(display: BatchDisplay, entry: "Entry") -> None:
    name = printable(entry.input)
    if entry.status == "failed":
        display.add_failed(name, entry.reason or "")
    elif entry.made:
        display.add_made(name)
    else:
        display.add_found(name)
