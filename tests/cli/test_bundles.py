"""`--bundle` beside what a command writes: a data set of one pair, of a batch; whole, and nowhere else."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.conftest import Run
from tests.hardening.watching import watched

from stereodiffusion.datasets import open_dataset
from stereodiffusion.formats import read_image, write_map
from stereodiffusion.geometry import Disparity


@pytest.fixture
def photo(here: Path, model: Path) -> list[str]:
    """A photo with a map, and how a pair is made of them."""
    levels = np.kron(np.random.default_rng(0).integers(0, 255, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    Image.fromarray(levels).save(here / "cat.png")
    write_map(here / "cat.pfm", Disparity.from_pixels(torch.linspace(1, 6, 64).round().expand(64, 64)))
    return ["--model", str(model), "--preset", "fast", "--steps", "2"]


def test_a_bundle_is_the_pair(here: Path, run: Run, photo: list[str]) -> None:
    line = ["photo", "cat.png", "--disparity", "cat.pfm", *photo, "--bundle", "middlebury", "--also", "left,right"]
    result = run(*line, "-q", "-o", "out.png")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "out-middlebury")
    sample = open_dataset("middlebury", here / "out-middlebury").read("out")
    for eye, picture in (("left", sample.left), ("right", sample.right)):
        assert torch.equal(picture, read_image(here / f"out-{eye}.png"))
    assert sample.disparity is not None
    assert torch.equal(sample.disparity.pixels[0, 0, 0], torch.linspace(1, 6, 64).round())
    told = json.loads((here / "out-middlebury" / "out" / "about.json").read_text())
    assert (told["disparity_is"], told["made_by"]["request"]["photo"]["path"]) == ("given", "cat.png")
    # A data set is not replaced; without a name the next free one is taken.
    again = run(*line, "-q", "-o", "out.png")
    assert again.exit_code == 2
    assert "out-middlebury: expected a new folder for the bundle, it exists" in again.stderr
    (here / "cat-stereo-middlebury").mkdir()
    assert run(*line, "-q").stdout.splitlines()[-1] == "cat-stereo-2-middlebury"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--bundle", "scannet"], "--bundle must be one of folder, middlebury, kitti, webdataset, got 'scannet'"),
        (["--bundle", "kitti", "--convergence", "0.01"], "--bundle kitti holds disparities of 0 and above"),
        (["--bundle", "middlebury", "--convergence", "auto"], "--bundle middlebury holds disparities of 0 and above"),
        (["--bundle", "folder", "--floating-window"], "--floating-window lays bars over the pictures"),
        (["--bundle", "folder", "--views", "3"], "--bundle is for a pair, not for several views"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    more: list[str], message: str, here: Path, run: Run, photo: list[str]
) -> None:
    before = sorted(here.iterdir())
    result = run("photo", "cat.png", *photo, *more, "-o", "out.png")
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(here.iterdir()) == before


def test_a_batch_is_gathered_and_writes_nowhere_else(here: Path, run: Run, photo: list[str]) -> None:
    names = ["../../evil", "/etc/evil", "a/b\\c", "..", "\u202egnp.\u0000".replace("\u0000", "")]
    rows = [{"photo": "cat.png", "map": "cat.pfm", "name": name, "seed": n} for n, name in enumerate(names)]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (here / "elsewhere").mkdir()
    (here / "out").mkdir()
    (here / "out" / "folder").symlink_to(here / "elsewhere")
    (here / "out" / "contact-sheet.png").symlink_to(here / "elsewhere" / "sheet.png")
    with watched(here / "out") as outside:
        result = run("batch", "rows.jsonl", "-o", "out", *photo, "--bundle", "folder", "-q")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "out/folder")
    assert outside == []
    assert list((here / "elsewhere").iterdir()) == []
    assert not (here / "out" / "folder").is_symlink()
    data = open_dataset("folder", here / "out" / "folder")
    assert len(data) == len(names)
    assert all(data.read(scene).disparity is not None for scene in data.scenes)
    before = {path: path.stat().st_ino for path in (here / "out" / "folder").rglob("*") if path.is_file()}
    assert run("batch", "rows.jsonl", "-o", "out", *photo, "--bundle", "folder", "-q").stdout.startswith("out: 0 made")
    assert {path: path.stat().st_ino for path in before} == before  # links to what the results hold
