"""`stereodiffusion check`: how comfortable a pair is to look at, on which display, and what to change."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.paths import require_file
from stereodiffusion.cli.saying import say
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.settings import DISPLAYS, Display, DisplayName
from stereodiffusion.settings.viewing import Viewing

if TYPE_CHECKING:
    from stereodiffusion.comfort import Made, Measured, Report
    from stereodiffusion.formats import Eyes
    from stereodiffusion.geometry import Disparity


def check(
    pair: Annotated[
        Path, typer.Argument(metavar="PAIR", show_default=False, help="A pair in one file, or the left eye's picture.")
    ],
    right: Annotated[
        Path | None, typer.Argument(metavar="RIGHT", show_default=False, help="The right eye's, if that is another.")
    ] = None,
    from_format: options.FromFormat = None,
    display: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="|".join(get_args(DisplayName)), show_default="all", help="The display it is looked at on."
        ),
    ] = None,
    screen_width_m: Annotated[
        float | None, typer.Option(metavar="M", help="Another display: how wide the picture is there, in metres.")
    ] = None,
    viewing_distance_m: Annotated[
        float | None, typer.Option(metavar="M", help="How far away its viewer is, in metres.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    debug: options.Debug = False,
) -> None:
    """Say how comfortable a stereo pair is to look at, and what to change."""
    del debug
    displays = _displays(display, screen_width_m, viewing_distance_m)
    options.check_from_format(from_format)

    from stereodiffusion.comfort import report_on
    from stereodiffusion.formats import read_pair

    eyes = read_pair(require_file(pair), right and require_file(right), format=from_format).opaque()
    recorded = _recorded(pair)
    measured, source = _measured(pair, eyes, recorded)
    made = _made(recorded)
    reports = [report_on(measured, screen, name, made) for name, screen in displays.items()]
    height, width = eyes.size
    about = {"read": eyes.source, "width": width, "height": height, "disparity": source}
    if as_json:
        typer.echo(json.dumps({"pair": str(pair), **about, "reports": [each.plain() for each in reports]}, indent=2))
        return
    say(f"{eyes.source}; two eyes of {width} x {height}, disparity {source}")
    for report in reports:
        say("\n".join(_lines(report, short=len(reports) > 1)))


def _displays(name: str | None, width_m: float | None, distance_m: float | None) -> dict[str, Display]:
    """The displays that are asked for, by name: all if nothing is said.

    Raises:
        ConfigError: If there is no such display, or its geometry makes no sense.
    """
    if name not in (None, *get_args(DisplayName)):
        raise ConfigError(f"--for must be one of {', '.join(get_args(DisplayName))}, got {name!r}")
    if (width_m is None) != (distance_m is None):
        raise ConfigError("--screen-width-m and --viewing-distance-m belong together, got one of them")
    if name is not None and width_m is not None:
        raise ConfigError("--for and --screen-width-m exclude each other, got both")
    viewing = Viewing(display=cast(DisplayName | None, name), width_m=width_m, distance_m=distance_m)
    return {**DISPLAYS} if viewing.screen is None else {viewing.name: viewing.screen}


def _recorded(pair: Path) -> dict[str, Any]:
    """What this package wrote in a picture; nothing if it is not of its making."""
    from stereodiffusion.formats import read_metadata

    try:
        return read_metadata(pair)
    except FormatError:
        return {}


def _made(recorded: dict[str, Any]) -> "Made | None":
    """What a pair of our own was made with, if that is written in it."""
    from stereodiffusion.comfort import Made

    match recorded:
        case {
            "request": dict() as request,
            "resolved": {"settings": {"parallax": {"max_disparity": float(strength), "convergence": float(screen)}}},
        }:
            given = _object(cast(dict[str, Any], request).get("map"))
            has_unit = bool(given) and (given.get("kind", "disparity-px") == "disparity-px" or "baseline_m" in given)
            return Made(max_disparity=None if has_unit else strength, convergence=screen)
        case _:
            return None


def _object(told: object) -> dict[str, Any]:
    """What is told, if it is a JSON object; an empty one otherwise."""
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}


def _measured(pair: Path, eyes: "Eyes", recorded: dict[str, Any]) -> tuple["Measured", str]:
    """The pair's parallax, and where its disparity comes from."""
    from stereodiffusion.comfort import bars_in, measure, measure_by_matching

    left, right = eyes.both
    exact = _exact(pair, eyes, recorded) if recorded else None
    if exact is None:
        return measure_by_matching(left, right), "matched"
    disparity, source = exact
    return measure(left, right, disparity, bars=bars_in(recorded)), source


def _exact(pair: Path, eyes: "Eyes", recorded: dict[str, Any]) -> tuple["Disparity", str] | None:
    """The disparity that a pair of our own was made with, and where it is kept; None if it is not.

    Raises:
        FormatError: If the map beside the pair cannot be read, or is of another size.
    """
    from stereodiffusion.formats.beside import disparity_beside, saved_disparity

    beside = disparity_beside(pair)
    if beside is not None:
        found = saved_disparity(beside)
        if found.size != eyes.size:
            raise FormatError(
                f"{beside} is {found.width} x {found.height}, an eye of {pair} is {eyes.size[1]} x {eyes.size[0]}: is "
                "it another pair's?"
            )
        return found, f"exact, from {beside}"
    if "map" not in _object(recorded.get("request")):
        return None
    from stereodiffusion.synthesis.told import told_disparity  # transformers take seconds

    told = told_disparity(recorded, eyes.left)
    return None if told is None else (told, "exact, of the map that the pair was made with")


def _lines(report: "Report", *, short: bool) -> Iterator[str]:
    """A report for people; in short without the table of parallax."""
    display = report.display
    yield ""
    yield f"{report.name} ({display.width_m:.2f} m wide, seen at {display.distance_m:g} m): {report.score} of 100"
    for finding in report.findings:
        yield f"  -{finding.cost:<3} {finding.rule}: {finding.text}"
    if not report.findings:
        yield "  nothing strains the eyes"
    if not short:
        yield from _table(report)
    if report.change is not None:
        yield f"  to change: {report.change.options}"


def _table(report: "Report") -> Sequence[str]:
    """Parallax by percentiles, what is before the screen positive."""
    rows = {
        "px": [f"{each.pixels:+.1f}" for each in report.parallax],
        "% of the width": [f"{100 * each.fraction:+.2f}" for each in report.parallax],
        "degrees": [f"{each.degrees:+.2f}" for each in report.parallax],
    }
    head = "".join(f"{f'{each.percent} %':>9}" for each in report.parallax)
    comfortable = f"{100 * report.bounds.farthest:+.2f} to {100 * report.bounds.nearest:+.2f} % of the width"
    return [
        f"  {'parallax (+ before, - behind)':<30}{head}",
        *(f"  {name:<30}{''.join(f'{value:>9}' for value in values)}" for name, values in rows.items()),
        f"  comfortable: {comfortable}",
    ]
