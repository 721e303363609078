"""The three modes end to end on the embedded model, from the command line, against stored pictures.

The stored pictures were drawn by this code: that a picture equals one says that nothing has changed what is drawn, not
that it is right. After a change that is meant, or new weights, look at the new pictures and store them with
`STEREODIFFUSION_STORE_PICTURES=1 scripts/test tests/e2e`. What is right is asserted beside it: the true right view of a
rendered scene and the pixels that the map moves.
"""

import os
import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from stereodiffusion.cli.main import app
from stereodiffusion.datasets.scenes import render, sample_scene
from stereodiffusion.formats import read_image, read_map, read_metadata, write_image, write_map
from stereodiffusion.geometry import Disparity, splat

pytestmark = pytest.mark.long

PICTURES = Path(__file__).parent / "pictures"
SCENE = 20
"""Seed of the procedural scene whose picture and disparity go into photo and depth mode."""

FEW = ("--steps", "10")
"""Of the 50 that are meant to be looked at: what is drawn changes with the code as much."""


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))


def run(folder: Path, *arguments: str, program: bool = False) -> Path:
    """The path that `stereodiffusion ARGUMENTS` prints; in float32, for pictures to be compared between machines.

    As a program of its own it takes seconds more, to load its libraries; otherwise it runs in this one.
    """
    precision = () if "--dtype" in arguments else ("--dtype", "float32")
    command = [*arguments, *precision, "--quiet"]
    if program:
        started = [sys.executable, "-m", "stereodiffusion", *command]
        done = subprocess.run(started, cwd=folder, capture_output=True, text=True, check=False)
        code, printed, said = done.returncode, done.stdout, done.stderr
    else:
        with chdir(folder):
            result = CliRunner().invoke(app, command, catch_exceptions=False)
        code, printed, said = result.exit_code, result.stdout, result.stderr
    assert code == 0, said
    return folder / printed.splitlines()[0]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a rendered scene: left.png, right.png and disparity.pfm."""
    folder = tmp_path_factory.mktemp("inputs")
    scene = render(sample_scene(SCENE), (256, 256))
    for name, view in (("left", scene.left), ("right", scene.right)):
        write_image(folder / f"{name}.png", torch.from_numpy(view.image).float().permute(2, 0, 1)[None].contiguous())
    write_map(folder / "disparity.pfm", Disparity.from_pixels(torch.from_numpy(scene.left.disparity).float()))
    return folder


def against_stored(path: Path, name: str) -> None:
    stored = PICTURES / f"{name}.png"
    if os.environ.get("STEREODIFFUSION_STORE_PICTURES"):
        stored.parent.mkdir(exist_ok=True)
        write_image(stored, read_image(path))
    apart = 255 * (read_image(path) - read_image(stored)).abs()
    changed = float((apart.round() > 1).float().mean())
    assert changed < 1e-3, f"{name}: {changed:.2%} of the values differ from the stored picture by more than rounding"


def test_text(tmp_path: Path) -> None:
    words = "a red ball on a wooden table, blue wall"
    first = run(tmp_path, "text", words, "--seed", "5", *FEW, "--output", "ball.png", program=True)
    against_stored(first, "text")
    assert read_image(first).shape == (1, 3, 256, 512)
    assert read_metadata(first)["request"] == {
        "version": 1,
        "mode": "text",
        "prompt": words,
        "changes": {"sampling.steps": 10},
        "seed": 5,
        "estimator": "toybox-depth",
    }


def test_half_precision_draws_the_same_picture(tmp_path: Path) -> None:
    command = ("text", "a red ball on a wooden table, blue wall", "--steps", "3", "--size", "128x128", "--output")
    full, half = run(tmp_path, *command, "full.png"), run(tmp_path, *command, "half.png", "--dtype", "bfloat16")
    assert psnr(read_image(half), read_image(full)) > 25


def test_depth(tmp_path: Path, inputs: Path) -> None:
    given = str(inputs / "disparity.pfm")
    line = ("depth", given, "a green ball on grass, blue sky", *FEW, "--output", "d.png", "--also", "disparity")
    pair = run(tmp_path, *line)
    against_stored(pair, "depth")
    left, right = read_image(pair).chunk(2, dim=3)
    fitted = Disparity.from_pixels(read_map(pair.with_name("d-disparity.pfm")).values)
    moved = splat(left, fitted)
    seen = moved.visible.expand_as(right)
    # What the left eye sees of it is where the map says, once it fits the picture, and not where the left eye has it.
    assert psnr(right[seen], moved.view[seen]) > max(35, psnr(right[seen], left[seen]) + 5)


def test_photo(tmp_path: Path, inputs: Path) -> None:
    command = ("photo", str(inputs / "left.png"), "--disparity", str(inputs / "disparity.pfm"), "--output", "p.png")
    pair = run(tmp_path, *command)
    against_stored(pair, "photo")
    left, right = read_image(pair).chunk(2, dim=3)
    true_left, true_right = read_image(inputs / "left.png"), read_image(inputs / "right.png")
    # The right view is the right view: it is nearer to the true one than the left picture is.
    assert psnr(right, true_right) > 34 > psnr(left, true_right) + 9
    assert torch.equal(left, true_left)


def test_photo_without_a_map_estimates_one(tmp_path: Path, inputs: Path) -> None:
    pair = run(tmp_path, "photo", str(inputs / "left.png"), "--output", "p.png", "--steps", "4")
    left, right = read_image(pair).chunk(2, dim=3)
    assert psnr(left, right) < 40


@pytest.mark.usefixtures("fewer_steps", "loaded_once")
def test_the_readmes_python_runs(tmp_path: Path) -> None:
    """With fewer steps and views than are meant to be looked at."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL))
    assert examples.count("spread(45,") == 1
    with chdir(tmp_path):
        exec(compile(examples.replace("spread(45,", "spread(4,"), "README.md", "exec"), {})
    assert {path.name for path in tmp_path.iterdir()} == {
        "ball.png",
        "ball-anaglyph.jpg",
        "ball-cross-eyed.jpg",
        "ball-disparity.pfm",
        "ball-disparity.png",
        "ball-occlusion.png",
        "ball_qs2x2a1.png",
    }
