"""A saved picture is made again, bit for bit, from what it carries."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.conftest import Run

from stereodiffusion.formats import read_metadata, write_image, write_map
from stereodiffusion.geometry import Disparity

pytestmark = pytest.mark.long

FEW = ("--steps", "2", "--quiet")
TEXT = {"version": 1, "mode": "text", "prompt": "a"}


@pytest.fixture(autouse=True)
def files(here: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 255, (64, 48, 3), dtype=np.uint8)
    Image.fromarray(levels).save(here / "cat.png")
    write_map(here / "room.pfm", Disparity.from_pixels(torch.linspace(0, 6, 48).expand(64, 48)))


@pytest.fixture
def tiny_model(model: Path, estimator: Path) -> dict[str, tuple[str, ...]]:
    drawing = ("--model", str(model))
    estimating = (*drawing, "--depth-estimator", str(estimator))
    return {"text": estimating, "depth": drawing, "photo": estimating}


@pytest.mark.parametrize(
    ("line", "written"),
    [
        (["text", "a red ball", "--seed", "3", "--set", "shift.at=0.5", "-o", "one.png"], ["one.png"]),
        (["depth", "room.pfm", "a red ball", "--preset", "fast", "-f", "anaglyph", "-o", "one.jpg"], ["one.jpg"]),
        (["depth", "room.pfm", "a red ball", "--two-step", "-f", "mpo", "-o", "one.mpo"], ["one.mpo"]),
        (["photo", "cat.png", "--source", "right", "-f", "eyes", "-o", "one.png"], ["one-left.png", "one-right.png"]),
        (["photo", "cat.png", "-f", "wiggle-gif", "--offload", "model", "--tiles", "-o", "one.gif"], ["one.gif"]),
        (["text", "a red ball", "--views", "3", "-f", "quilt", "-o", "one.png"], ["one_qs1x3a1.png"]),
        (["photo", "cat.png", "--baselines", "-1,0,1", "-o", "one.png"], [f"one-0{number}.png" for number in range(3)]),
    ],
)  # fmt: skip
def test_identical_bytes(
    line: list[str], written: list[str], here: Path, run: Run, tiny_model: dict[str, tuple[str, ...]]
) -> None:
    made = run(*line, *tiny_model[line[0]], *FEW)
    assert (made.exit_code, made.stdout.splitlines()) == (0, written)
    again = run("redo", written[0], "--quiet", "-o", f"two{Path(written[0]).suffix}")
    names = [name.replace("one", "two") for name in written]
    assert (again.exit_code, again.stderr, again.stdout.splitlines()) == (0, "", names)
    for name, other in zip(written, names, strict=True):
        assert (here / name).read_bytes() == (here / other).read_bytes()


def test_a_variant(here: Path, run: Run, tiny_model: dict[str, tuple[str, ...]]) -> None:
    run("text", "a red ball", *tiny_model["text"], *FEW, "-o", "one.png")
    assert run("redo", "one.png", "-q", "--set", "shift.at=0.2", "-f", "cross-eyed").stdout == "one-again.png\n"
    said = run(
        "text", "a red ball", *tiny_model["text"], *FEW, "--set", "shift.at=0.2", "-f", "cross-eyed", "-o", "x.png"
    )
    assert said.exit_code == 0
    assert (here / "x.png").read_bytes() == (here / "one-again.png").read_bytes()
    printed = json.loads(run("redo", "one.png", "--print-request").stdout)
    assert printed == read_metadata(here / "one.png")["request"]


def test_another_file_than_it_was_is_refused(here: Path, run: Run, tiny_model: dict[str, tuple[str, ...]]) -> None:
    run("photo", "cat.png", "--disparity", "room.pfm", "--model", tiny_model["depth"][1], *FEW, "-o", "one.png")
    write_map(here / "room.pfm", Disparity.from_pixels(torch.linspace(0, 5, 48).expand(64, 48)))
    result = run("redo", "one.png", "-o", "two.png")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "stereodiffusion: error: room.pfm is not the file that was asked for: its SHA-256 is "
    )
    assert result.stderr.count("\n") == 1
    (here / "room.pfm").unlink()
    assert run("redo", "one.png").stderr == "stereodiffusion: error: room.pfm: no such file\n"
    assert not (here / "two.png").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"version": "0.1.0", "mode": "text"}, "expected the request that made it, found none"),
        ({"request": {"version": 9, "mode": "text"}}, "expected a request of version 1 to 1, got version 9"),
        ({"request": {"version": 1, "mode": "text", "prompt": "x", "new": 1}}, "there is no 'new' in TextRequest"),
        ({"request": {"version": 1, "mode": "text", "prompt": "a"}, "format": "hologram"}, "got 'hologram'"),
        (
            {"request": {"version": 1, "mode": "text", "prompt": "a"}, "machine": {"dtype": "x"}},
            "--dtype must be one of",
        ),
        (
            {"request": {"version": 1, "mode": "text", "prompt": "a"}, "machine": {"offload": "x"}},
            "offload must be one of off, model, sequential, got 'x'",
        ),
    ],
)
def test_what_cannot_be_made_again(settings: dict[str, object], message: str, here: Path, run: Run) -> None:
    write_image(here / "old.png", torch.zeros(1, 3, 8, 8), settings)
    result = run("redo", "old.png")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
