"""`check` reports on pairs of our own by what is exact, and on others by what matches."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.conftest import Run
from tests.cli.test_documented import command_lines

from stereodiffusion.formats import read_image, read_map, read_metadata, write_image, write_map
from stereodiffusion.geometry import Disparity

FEW = ("--steps", "4", "--quiet")


@pytest.fixture(autouse=True)
def files(here: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 18, 3), dtype=np.uint8))
    coarse.resize((96, 64), Image.Resampling.BICUBIC).save(
        here / "cat.png"
    )  # what is fine would be softened by moving it
    pixels = torch.linspace(0, 3, 96).expand(64, 96).clone()
    pixels[16:48, 30:60] = 8
    write_map(here / "cat.pfm", Disparity.from_pixels(pixels))


@pytest.fixture
def photo(run: Run, model: Path) -> Any:
    def make(*more: str) -> None:
        result = run("photo", "cat.png", "--disparity", "cat.pfm", "--model", model, *FEW, "-o", "pair.png", *more)
        assert (result.exit_code, result.stderr) == (0, "")

    return make


def checked(run: Run, *line: str) -> dict[str, Any]:
    result = run("check", *line, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_map_beside_a_pair_and_the_map_of_its_request_say_the_same(run: Run, photo: Any, here: Path) -> None:
    photo("--convergence", "0.02", "--also", "disparity")
    beside = checked(run, "pair.png", "--for", "tv")
    assert beside["disparity"] == "exact, from pair-disparity.pfm"
    (here / "pair-disparity.pfm").unlink()
    told = checked(run, "pair.png", "--for", "tv")
    assert told["disparity"] == "exact, of the map that the pair was made with"
    assert told["reports"] == beside["reports"]
    (report,) = told["reports"]
    nearest, percentiles = report["parallax"][-1], [each["percentile"] for each in report["parallax"]]
    assert nearest["px"] == pytest.approx(8 - 0.02 * 96, abs=1e-3)
    assert percentiles == [1, 5, 50, 95, 99]
    (here / "cat.pfm").unlink()
    assert checked(run, "pair.png", "--for", "tv")["disparity"] == "matched"


@pytest.mark.parametrize("way", [(), ("--two-step",), ("--two-step", "--refine", "all")], ids=len)
def test_a_map_that_was_fitted_to_what_was_drawn_from_it_is_told_again(
    run: Run, model: Path, here: Path, way: tuple[str, ...]
) -> None:
    line = ("depth", "cat.pfm", "a red ball", "--model", model, *FEW, "-o", "drawn.png", "--also", "disparity")
    assert run(*line, *way).exit_code == 0
    assert not torch.equal(read_map(here / "drawn-disparity.pfm").values, read_map(here / "cat.pfm").values)
    beside = checked(run, "drawn.png", "--for", "tv")
    (here / "drawn-disparity.pfm").unlink()
    assert checked(run, "drawn.png", "--for", "tv")["reports"] == beside["reports"]


def test_what_is_suggested_mends_it(run: Run, photo: Any) -> None:
    photo("--also", "disparity")
    (report,) = checked(run, "pair.png", "--for", "monitor")["reports"]
    assert {each["rule"] for each in report["findings"]} >= {"too near", "window"}
    assert report["score"] == 100 - sum(each["cost"] for each in report["findings"])
    change = report["change"]
    assert change["options"].startswith("--depth-budget ")  # the map has a unit
    photo("--also", "disparity", *change["options"].split())
    (mended,) = checked(run, "pair.png", "--for", "monitor")["reports"]
    assert [each["rule"] for each in mended["findings"] if each["rule"] != "gradient"] == []
    assert mended["change"] is None


def test_comfort_fit_leaves_nothing_to_change(run: Run, photo: Any) -> None:
    photo("--comfort", "fit", "--for", "monitor", "--also", "disparity")
    (report,) = checked(run, "pair.png", "--for", "monitor")["reports"]
    assert report["change"] is None


def test_a_floating_window_mends_what_the_frame_cuts(run: Run, photo: Any) -> None:
    photo("--convergence", "0.005", "--floating-window", "--also", "disparity")
    assert read_metadata("pair.png")["floating_window"] == [0, 3]  # the ramp rises to 3 px at the right
    left, right = read_image("pair.png").chunk(2, dim=3)
    assert bool(left[..., 0].any())
    assert not bool(right[..., 93:].any())
    assert bool(right[..., 92].any())
    (report,) = checked(run, "pair.png", "--for", "tv")["reports"]
    assert "window" not in {each["rule"] for each in report["findings"]}


def test_a_floating_window_is_made_again(run: Run, photo: Any, here: Path) -> None:
    photo("--floating-window")
    assert run("redo", "pair.png", "-q", "-o", "again.png").exit_code == 0
    assert (here / "again.png").read_bytes() == (here / "pair.png").read_bytes()


def test_pairs_from_elsewhere_are_matched(run: Run, here: Path) -> None:
    left = torch.rand(1, 3, 64, 160, generator=torch.Generator().manual_seed(0))
    right = left.roll(-8, dims=3)
    write_image(here / "their.png", torch.cat([left, right], dim=3))
    write_image(here / "one.png", left)
    write_image(here / "other.png", right)
    packed, apart = checked(run, "their.png"), checked(run, "one.png", "other.png")
    assert packed["disparity"] == "matched"
    assert "their.png" in packed["read"]
    assert packed["reports"] == apart["reports"]
    assert [each["display"] for each in packed["reports"]] == ["phone", "headset", "monitor", "tv", "cinema"]
    assert packed["reports"][0]["parallax"][2]["px"] == pytest.approx(8, abs=0.1)


def test_a_report_for_people(run: Run, photo: Any) -> None:
    photo("--also", "disparity")
    text = run("check", "pair.png", "--screen-width-m", "1", "--viewing-distance-m", "2").stdout
    assert text.startswith("pair.png: read as sbs: ")
    assert "; two eyes of 96 x 64, disparity exact, from pair-disparity.pfm\n" in text
    assert "1 m wide at 2 m (1.00 m wide, seen at 2 m): " in text
    assert "px                                 " in text
    assert "window: the frame cuts things that stand before the screen: right (0% to 100% of the height" in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("pair.png",), "pair.png: no such file"),
        (("cat.png", "--for", "wall"), "--for must be one of phone, headset, monitor, tv, cinema, got 'wall'"),
        (("cat.png", "--from", "odd"), "--from must be one of sbs, "),
        (("one.png",), "one.png: expected a stereo pair, found a picture of one view"),
        (("cat.png", "--screen-width-m", "1"), "--screen-width-m and --viewing-distance-m belong together"),
        (
            ("cat.png", "--for", "tv", "--screen-width-m", "1", "--viewing-distance-m", "1"),
            "--for and --screen-width-m exclude each other",
        ),
        (("cat.png", "--screen-width-m", "0", "--viewing-distance-m", "1"), "must be positive metres, got 0"),
    ],
)
def test_refusals(run: Run, line: tuple[str, ...], message: str, here: Path) -> None:
    write_image(here / "one.png", torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    result = run("check", *line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_map_of_another_size_is_another_pairs(run: Run, photo: Any, here: Path) -> None:
    photo()
    write_map(here / "pair-disparity.pfm", Disparity.from_pixels(torch.zeros(9, 9)))
    result = run("check", "pair.png")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pair-disparity.pfm is 9 x 9, an eye of pair.png is 96 x 64: is it another pair's?" in result.stderr


def test_the_documents_commands_are_understood(run: Run, here: Path) -> None:
    eye = read_image(here / "cat.png")
    for name in ("left.jpg", "right.jpg"):
        write_image(here / name, eye)
    write_image(here / "ball.png", torch.cat([eye, eye], dim=3))
    lines = command_lines("docs/comfort.md")
    assert len(lines) == 3
    for line in lines:
        assert (run(*line).exit_code, line[0]) == (0, "check")


def test_views_have_no_floating_window(run: Run, here: Path) -> None:
    result = run("text", "a ball", "--views", "3", "--floating-window")
    assert result.exit_code == 2
    assert "--floating-window is for a pair, not for several views" in result.stderr
