"""What can be refused is refused before anything is loaded, in one line, with exit code 2."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def files(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo, maps, and no way to load a model."""
    Image.new("RGB", (64, 48), "red").save(here / "cat.png")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(here / "depth.png")
    np.save(here / "wide.npy", np.ones((48, 128), np.float32))
    (here / "text.txt").write_text("no picture")
    (here / "folder").mkdir()

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"a model was asked for: {named}")

    monkeypatch.setattr("stereodiffusion.synthesis.model.StereoDiffusion._loaded", refuse)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["text"], "Missing argument 'PROMPT'"),
        (["text", " "], "the prompt is empty: say what the picture shows"),
        (["text", "a ball", "--stepps", "5"], "No such option: --stepps"),
        (["text", "a ball", "--steps", "many"], "Invalid value for '--steps'"),
        (["text", "a ball", "--steps", "1"], "--steps must be at least 2, got 1"),
        (["text", "a ball", "--preset", "quick"], "--preset must be one of paper, fast, best, got 'quick'"),
        (["text", "a ball", "--format", "hologram"], "got 'hologram'"),
        (["text", "a ball", "-o", "nowhere/ball.png"], "the folder nowhere does not exist"),
        (["text", "a ball", "-o", "ball.gif"], "ball.gif: sbs goes into .png"),
        (["text", "a ball", "--size", "big"], "--size must be height x width in pixels"),
        (["text", "a ball", "--model", "sd9"], "there is no model 'sd9'; there are toybox, sd1.5"),
        (["text", "a ball", "--model", "sd2-depth"], "sd2-depth works from a depth map only; there are toybox"),
        (["text", "a ball", "--model", "dpt-large"], "dpt-large estimates depth and draws nothing"),
        (["text", "a ball", "--depth-estimator", "sd1.5"], "sd1.5 does not estimate depth; there are toybox-depth"),
        (["depth", "room.pfm", "a cone"], "room.pfm: no such file"),
        (["depth", "folder", "a cone"], "folder: expected a file, got a folder"),
        (["depth", "depth.png", "a cone"], "depth.png: say what its values are: --map-kind"),
        (["depth", "text.txt", "a cone", "--map-kind", "near-is-dark"], "text.txt: expected a map"),
        (["depth", "depth.png", "a cone", "--map-kind", "near"], "--map-kind must be one of"),
        (["depth", "depth.png", "", "--map-kind", "near-is-dark"], "the prompt is empty"),
        (["depth", "depth.png", "a cone", "--model", "sd1.5"], "sd1.5 takes no depth map; there are toybox, sd2-depth"),
        (
            ["depth", "depth.png", "a cone", "--map-kind", "near-is-dark", "--two-step", "--model", "sd2-depth"],
            "sd2-depth cannot treat its picture as a photo",
        ),
        (["photo", "dog.jpg"], "dog.jpg: no such file"),
        (["photo", "text.txt"], "text.txt"),
        (["photo", "a" * 300], "cannot be used: File name too long"),
        (["photo", "cat.png", "-o", "a" * 300], "cannot be used: File name too long"),
        (["photo", "cat.png", "--disparity", "a" * 300], "cannot be used: File name too long"),
        (["text", "a ball", "--model", "a" * 300], "there is no model"),
        (["text", "a ball", "--guidance", "nan"], "--guidance must be finite and at least 1, got nan"),
        (["photo", "cat.png", "-o", "cat.png"], "cat.png is read by this command and would be replaced"),
        (["photo", "cat.png", "--disparity", "cat.pfm"], "cat.pfm: no such file"),
        (["photo", "cat.png", "--disparity", "depth.png"], "depth.png holds whole numbers: say with --map-scale"),
        (["photo", "cat.png", "--disparity", "wide.npy"], "wide.npy is 128 x 48, which is of another shape"),
        (["photo", "cat.png", "--map-kind", "near-is-dark"], "the options of a map need one: --disparity MAP"),
        (["photo", "cat.png", "--disparity", "wide.npy", "--depth-estimator", "dpt-large"], "exclude each other"),
        (["paint"], "No such command 'paint'"),
    ],
)
def test_one_line_and_exit_code_2(line: list[str], message: str, run: Run) -> None:
    result = run(*line)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("stereodiffusion: error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_debug_shows_where_it_was_refused(run: Run) -> None:
    result = run("text", "a ball", "--steps", "1", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("stereodiffusion: error: --steps must be at least 2, got 1\n")


def test_a_failure_of_ours(run: Run) -> None:
    result = run("text", "a ball")
    assert result.exit_code == 1
    assert result.stderr.startswith("stereodiffusion: internal error: AssertionError: a model was asked for")
    assert result.stderr.endswith("(--debug shows more)\n")
    assert result.stderr.count("\n") == 1


def test_a_failure_of_ours_with_debug(run: Run) -> None:
    result = run("text", "a ball", "--debug")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "--debug shows more" not in result.stderr


def test_an_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stereodiffusion.synthesis.model.StereoDiffusion._loaded", interrupt)
    result = run("text", "a ball")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "stereodiffusion: interrupted\n")
