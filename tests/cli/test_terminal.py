"""Names and contents of files reach no terminal as control characters, whichever command prints them."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.conftest import Run

from stereodiffusion.cli import saying
from stereodiffusion.formats import write_map
from stereodiffusion.geometry import Disparity
from stereodiffusion.study.answers import FIELDS

EVIL = "a\x1b]0;owned\x07\x1b[2J\u202egnp\r"
"""Sets the title of the window, empties it, and has what follows read backwards."""


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))


@pytest.fixture
def evil(here: Path) -> str:
    """A photo, a map, a pair and a folder with such names."""
    levels = np.kron(np.random.default_rng(0).integers(0, 255, (4, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    Image.fromarray(levels).save(here / f"{EVIL}.png")
    write_map(here / f"{EVIL}.pfm", Disparity.from_pixels(torch.linspace(0, 4, 64).expand(32, 64)))
    (here / EVIL / "left").mkdir(parents=True)
    for eye in ("left", "right"):
        (here / EVIL / eye).mkdir(exist_ok=True)
    shutil.copy(here / f"{EVIL}.png", here / EVIL / "left" / f"{EVIL}.png")
    job = {"dataset": EVIL, "scene": EVIL, "protocol": "paper", "disparity": "truth", "method": EVIL, "settings": {}}
    (here / EVIL / "rows.jsonl").write_text(json.dumps(job) + "\n")
    rows = "".join(f"s,{who},{n},scene,{EVIL.strip()}{n},3,4,1.5\n" for who in "pq" for n in (1, 2))
    (here / f"{EVIL}.csv").write_text(f"{','.join(FIELDS)}\n{rows}", newline="")
    (here / f"{EVIL}.txt").write_text("a\x1b[2Jball\na red ball\n")
    (here / f"{EVIL}.json").write_text(json.dumps({"version": 1, "mode": EVIL}))
    return EVIL


def check(run: Run, *arguments: str, code: int | None = None) -> str:
    result = run(*arguments)
    said = result.stdout + result.stderr
    assert code is None or result.exit_code == code, said
    assert said.replace("\n", "").isprintable(), ascii(said)
    assert "\\x1b" in said or "\\u001b" in said, said  # it was told, and spelled out
    return said


def test_what_is_refused(evil: str, run: Run) -> None:
    for line in (
        ["text", "a ball", "-o", f"nowhere{evil}/a.png"],
        ["text", "a ball", "--request", f"{evil}.json"],
        ["text", "a ball", "-o", f"{evil}.zip"],
        ["text", "a ball", "--bundle", evil],
        ["depth", f"{evil}.png", "a ball"],
        ["photo", f"{evil}.pfm"],
        ["photo", f"{evil}.png", "--model", f"{evil}/x"],
        ["photo", f"{evil}.png", "--disparity", f"{evil}.txt"],
        ["disparity", f"{evil}.csv"],
        ["disparity", f"{evil}.png", "-o", f"{evil}.zip"],
        ["convert", f"{evil}.txt"],
        ["convert", f"{evil}.png", "-f", evil],
        ["check", f"{evil}.txt"],
        ["redo", f"{evil}.png"],
        ["batch", f"{evil}.zip", "-o", "out"],
        ["batch", f"{evil}.csv", "-o", "out"],
        ["bench", "run", "folder", evil],
        ["bench", "run", "middlebury", evil],
        ["bench", "table", evil],
        ["bench", "figure", evil],
        ["study", "make", evil],
        ["scenes", "-o", evil],
        ["scenes", "-o", "new", "--licence", evil],
    ):
        check(run, *line)


def test_what_is_made(evil: str, run: Run, here: Path, model: Path, estimator: Path) -> None:
    small = ["--model", str(model), "--depth-estimator", str(estimator), "--preset", "fast", "--steps", "2"]
    check(run, "photo", f"{evil}.png", *small, code=0)
    check(run, "photo", f"{evil}.png", "--model", str(model), "--steps", "2", "--disparity", f"{evil}.pfm", code=0)
    check(run, "disparity", f"{evil}.png", "--depth-estimator", str(estimator), code=0)
    check(run, "convert", f"{evil}.png", "--from", "sbs", code=0)
    check(run, "batch", f"{evil}.txt", "-o", f"out{evil}", *small, "--size", "64x64", "--bundle", "folder", code=3)
    check(run, "study", "figure", f"{evil}.csv")
    check(run, "scenes", "-n", "1", "--size", "16x16", "-o", f"set{evil}", code=0)
    assert (here / f"set{evil}" / "README.md").is_file()  # names are kept; how they are told is another thing


def test_a_program_gets_the_very_path(evil: str, run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: False)))
    name = evil.replace("\r", "")
    shutil.copy(here / f"{evil}.png", here / f"{name}.png")
    result = run("convert", f"{name}.png", "--from", "sbs", "-q")
    assert Path(result.stdout.removesuffix("\n")).is_file()
