"""An option is a field: what is typed, what is said in JSON and what is refused come from one declaration."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from tests.cli.conftest import Run

from stereodiffusion.bundles import BundleName
from stereodiffusion.cli import choices
from stereodiffusion.cli.fields import offered_by, offered_in, parse_changes, parse_size, parse_wanted, said
from stereodiffusion.errors import ConfigError
from stereodiffusion.formats import OUTPUT_FORMATS
from stereodiffusion.formats import maps as map_formats
from stereodiffusion.pair import Extra
from stereodiffusion.request import REQUESTS, request_from
from stereodiffusion.request.inputs import MapKind
from stereodiffusion.settings import PrecisionChoice, Settings
from stereodiffusion.settings.options import option
from stereodiffusion.settings.plain import setting_names
from stereodiffusion.viewpoint import EYES, SourceEye
from stereodiffusion.views import ViewFormat


def test_the_choices_are_those_of_the_modules_that_own_them() -> None:
    assert tuple(OUTPUT_FORMATS) == choices.FORMATS
    assert get_args(ViewFormat) == choices.VIEW_FORMATS
    assert get_args(SourceEye) == tuple(EYES) == choices.SOURCES
    assert get_args(Extra) == choices.EXTRAS
    assert get_args(map_formats.MapKind) == get_args(MapKind)
    assert get_args(PrecisionChoice) == choices.DTYPES
    assert get_args(BundleName) == get_args(choices.Bundle) == choices.BUNDLES


def test_every_option_is_a_field_of_its_own() -> None:
    for kind in REQUESTS.values():
        offered = list(offered_by(kind))
        flags = [flag for each in offered for flag in each.option.flags]
        assert len(flags) == len(set(flags))
        named = {each.path.removeprefix("changes.") for each in offered if each.path.startswith("changes.")}
        assert named
        assert named <= set(setting_names(Settings))


@dataclass(frozen=True)
class Inner:
    places: tuple[Literal["up", "down"], ...] = option(("up",), "--places", help="Where.")
    kept: bool = option(True, "--kept/--no-kept", help="Whether.")


@dataclass(frozen=True)
class One:
    inner: Inner = Inner()


@dataclass(frozen=True)
class Other:
    inner: Inner = Inner()
    word: str = option("a", "--word", help="Which.")


@dataclass(frozen=True)
class Outer:
    either: One | Other = One()
    whole: bool = option(False, "--whole", help="Whether.")


def test_options_are_found_however_deep_they_are_and_can_be_lists_or_switched_off() -> None:
    offered = offered_in(Outer, "changes.")
    assert sorted(each.path for each in offered) == [
        "changes.either.inner.kept",
        "changes.either.inner.places",
        "changes.either.word",
        "changes.whole",
    ]
    typed = {"changes_either_inner_places": "up, down", "changes_either_inner_kept": False, "changes_whole": False}
    assert said(offered, typed) == {"changes": {"either.inner.places": ["up", "down"], "either.inner.kept": False}}
    assert said(offered, {"changes_either_inner_kept": None}) == {}


def printed(run: Run, *line: str) -> dict[str, Any]:
    result = run(*line, "--print-request")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_what_is_typed_is_what_is_said_in_json(here: Path, run: Run) -> None:
    typed = (
        "text", "a ball", "--seed", "3", "--preset", "fast", "--steps", "9", "--guidance", "2.5", "--negative", "a box",
        "--size", "64x96", "--set", "shift.at=0.3", "--set", "views.attention.places=down,mid", "--views", "3",
        "--source", "centre", "--max-disparity", "0.05", "--convergence", "0.01", "--solver", "dpm++",
        "--depth-estimator", "dpt-large",
    )  # fmt: skip
    assert printed(run, *typed) == {
        "version": 1,
        "mode": "text",
        "prompt": "a ball",
        "negative": "a box",
        "seed": 3,
        "preset": "fast",
        "size": [64, 96],
        "estimator": "dpt-large",
        "wanted": {"kind": "views", "positions": [-0.5, 0.0, 0.5]},
        "changes": {
            "sampling.steps": 9,
            "sampling.solver": "dpm++",
            "guidance.scale": 2.5,
            "parallax.max_disparity": 0.05,
            "parallax.convergence": 0.01,
            "shift.at": 0.3,
            "views.attention.places": ["down", "mid"],
        },
    }
    map_ = ("--disparity", "m.npy", "--map-kind", "depth-m", "--map-scale", "1000", "--map-unknown", "-1",
            "--focal-px", "100", "--baseline-m", "0.1")  # fmt: skip
    told = printed(run, "photo", "cat.png", *map_, "--crops", "3", "--refine", "all", "--source", "right")
    assert told == {
        "version": 1,
        "mode": "photo",
        "photo": {"path": "cat.png"},
        "map": {
            "path": "m.npy", "kind": "depth-m", "scale": 1000.0, "unknown": -1.0, "focal_px": 100.0, "baseline_m": 0.1,
        },
        "wanted": {"kind": "pair", "source": "right"},
        "changes": {"picture.crops": 3, "map.refine": "all"},
    }  # fmt: skip


def test_a_request_in_a_file_is_changed_by_what_is_said_besides(here: Path, run: Run) -> None:
    first = printed(run, "text", "a ball", "--steps", "9", "--seed", "3", "--set", "shift.at=0.3")
    (here / "request.json").write_text(json.dumps(first))
    assert printed(run, "text", "--request", "request.json") == first
    changed = printed(run, "text", "a box", "--request", "request.json", "--set", "shift.at=0.5")
    assert request_from(changed) == request_from(
        {**first, "prompt": "a box", "changes": {"sampling.steps": 9, "shift.at": 0.5}}
    )
    other = run("photo", "cat.png", "--request", "request.json")
    assert other.exit_code == 2
    assert "request.json is a request of mode 'text', expected 'photo'" in other.stderr


@pytest.mark.parametrize("content", ["", "[]", "5", "{", "[" * 50_000, '{"version": 1, "mode": "text", "sed": 1}'])
def test_a_file_that_is_no_request_is_refused(content: str, here: Path, run: Run) -> None:
    (here / "request.json").write_text(content)
    result = run("text", "a ball", "--request", "request.json")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--preset", "slow"], "--preset must be one of paper, fast"),
        (["--steps", "1"], "--steps must be at least 2, got 1"),
        (["--solver", "euler"], "--solver must be one of ddim, dpm++, lcm, got 'euler'"),
        (["--spacing", "even"], "--spacing must be one of leading, trailing, got 'even'"),
        (["--guidance", "0.5"], "--guidance must be finite and at least 1"),
        (["--max-disparity", "8"], "--max-disparity must be a fraction of the width in [0, 0.5], got 8.0"),
        (["--convergence", "3"], "--convergence must be a fraction of the width"),
        (["--crops", "4"], "--crops would have no effect: crops are made of photos alone"),
        (["--dtype", "float8"], "--dtype must be one of auto, float32, float16, bfloat16, got 'float8'"),
        (["--seed", "-1"], "--seed must be a whole number from 0"),
        (["--source", "center"], "--source must be one of left, right, centre, got 'center'"),
        (["--source", "right", "--preset", "paper"], "choose fast or best"),
        (["--views", "3", "--preset", "paper"], "choose fast or best"),
        (["--views", "3", "--format", "sbs"], "several views go into views and quilt, got --format sbs"),
        (["--format", "quilt"], "--format quilt is for several views"),
        (["--views", "3", "--also", "left"], "--also is for a pair, not for several views, got left"),
        (["--format", "hologram"], "--format must be one or several of sbs"),
        (["--also", "depth"], "--also must be one or several of disparity"),
        (["--set", "shift.at"], "--set takes a setting and its value, such as shift.at=0.3, got 'shift.at'"),
        (["--set", "shift.att=1"], "there is no setting 'shift.att'"),
    ],
)
def test_what_is_out_of_range_is_refused_in_the_words_of_the_command_line(
    line: list[str], message: str, here: Path, run: Run
) -> None:
    result = run("text", "a ball", *line)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not any(here.iterdir())


def test_sizes() -> None:
    assert parse_size("256x384") == [256, 384]
    for wrong in ("256", "x", "256x", "-8x8", "256*384", "1e2x8"):
        with pytest.raises(ConfigError, match="--size must be height x width in pixels, such as 256x384"):
            parse_size(wrong)


def test_changes() -> None:
    given = ["a.b=1", "c=x", 'd="1"', "e=null", "f=true", "g=1,2", "h=[1]"]
    assert parse_changes(given) == {"a.b": 1, "c": "x", "d": "1", "e": None, "f": True, "g": [1, 2], "h": [1]}


def test_views_are_spread_between_the_eyes_or_between_baselines() -> None:
    def positions(*said: Any) -> list[float]:
        wanted = parse_wanted(*said)
        assert wanted is not None
        return wanted["positions"]

    assert parse_wanted(None, None, None) is None
    assert positions(None, 3, None) == [0.0, 0.5, 1.0]
    assert positions("right", 3, None) == [-1.0, -0.5, 0.0]
    assert positions("centre", 3, None) == [-0.5, 0.0, 0.5]
    assert positions("left", None, "0.25, 0.5,1") == [0.25, 0.5, 1.0]
    assert positions("left", 5, "-1,1") == [-1.0, -0.5, 0.0, 0.5, 1.0]
    for wrong in ("", "1,0.5", "0,0", "a", "nan", "inf"):
        with pytest.raises(ConfigError, match=f"--baselines must be numbers from left to right.* got '{wrong}'"):
            parse_wanted("left", None, wrong)
    with pytest.raises(ConfigError, match="leave out --source centre"):
        parse_wanted("centre", None, "0.5")
    with pytest.raises(ConfigError, match="at least two views to spread, got 1"):
        parse_wanted("left", 1, None)
