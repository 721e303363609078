"""`batch` on a tiny model: the bytes of the single commands, one line for what fails, an exit code that says so."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Run
from tests.forking import run_forked

from stereodiffusion import temporary
from stereodiffusion.__main__ import main
from stereodiffusion.batch import REPORT, SHEET, Entry, write_sheet
from stereodiffusion.cli.batch_progress import BatchDisplay


@pytest.fixture
def small(model: Path, estimator: Path) -> list[str]:
    return ["--model", str(model), "--depth-estimator", str(estimator), "--preset", "fast", "--steps", "2"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name in ("a.png", "cats/b.png"):
        levels = np.kron(draw.integers(0, 255, (4, 5, 3)), np.ones((8, 8, 1)))
        Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.mark.usefixtures("photos")
def test_results_are_those_of_the_single_command(here: Path, run: Run, small: list[str]) -> None:
    how = [*small, "--format", "anaglyph", "--seed", "3", "--max-disparity", "0.1", "--floating-window"]
    result = run("batch", "photos", "-o", "out", "--trace", "trace.json", *how)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["out: 2 made, 0 there already, 0 failed", f"out/{SHEET}", "trace.json"]
    stages = [event["name"] for event in json.loads((here / "trace.json").read_text())["traceEvents"]]
    assert stages.count("inversion") == stages.count("writing") == 2
    (made,) = (here / "out").glob("cats-b-*.png")
    run("photo", "photos/cats/b.png", "-o", "single.png", *how)
    assert made.read_bytes() == (here / "single.png").read_bytes()


def test_prompts_and_views_are_those_of_the_single_command(here: Path, run: Run, small: list[str]) -> None:
    (here / "prompts.txt").write_text("a red ball\n")
    how = [*small, "--views", "3", "--size", "64x64"]
    assert run("batch", "prompts.txt", "-o", "out", *how).exit_code == 0
    (made,) = (path for path in (here / "out").iterdir() if path.is_dir())
    run("text", "a red ball", "-o", "single.png", *how)
    singles = [(here / f"single-0{number}.png").read_bytes() for number in range(3)]
    assert [path.read_bytes() for path in sorted(made.iterdir())] == singles


def test_what_fails_costs_a_line_that_does_nothing_to_a_terminal(
    photos: Path, here: Path, run: Run, small: list[str]
) -> None:
    (photos / "0\x1b[2J\u202egnp.png").write_text("no picture")
    result = run("batch", "photos", "-o", "out", *small)
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("failed: photos/0\\x1b[2J\\u202egnp.png: expected a picture")
    assert "1 failed" in result.stdout
    assert (result.stdout + result.stderr).replace("\n", "").isprintable()
    lines = [json.loads(line) for line in (here / "out" / REPORT).read_text().splitlines()]
    assert [(line["status"], line.get("error")) for line in lines] == [
        ("failed", "FormatError"),
        ("done", None),
        ("done", None),
    ]
    stopped = run("batch", "photos", "-o", "other", "--fail-fast", *small)
    assert stopped.exit_code == 3
    assert stopped.stdout.startswith("other: 0 made, 0 there already, 1 failed, 2 left out\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["photos", "-o", "out", "--workers", "0"], "--workers must be at least 1, got 0"),
        (["photos", "-o", "photos"], "photos: expected another folder for results"),
        (["photos", "-o", "out", "--trace", "nowhere/trace.json"], "nowhere/trace.json"),
        (["photos", "-o", "out", "--retries", "-1"], "--retries must be at least 0, got -1"),
        (["photos", "-o", "out", "--pattern", "*.webp"], "photos: expected files *.webp in it, there are none"),
        (["photos", "-o", "out", "--steps", "1"], "--steps must be at least 2, got 1"),
        (["photos", "-o", "out", "--two-step"], "--two-step must be left out, it would have no effect"),
        (["photos", "-o", "out", "--model", "sd9"], "there is no model 'sd9'"),
        (["photos", "-o", "out", "--format", "quilt"], "the format quilt is for several views"),
        (["nowhere", "-o", "out"], "nowhere: expected a folder or a file"),
        (["nowhere.csv", "-o", "out"], "nowhere.csv: no such file"),
        (["photos"], "Missing option '--output'"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_what_makes_no_sense_is_refused_before_any_work(line: list[str], message: str, here: Path, run: Run) -> None:
    result = run("batch", *line)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (here / "out").exists()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child of one with threads
def test_a_signal_ends_it_and_the_next_start_goes_on(
    photos: Path, run: Run, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the first result has been reported, with one half written."""
    out = tmp_path / "out"
    line = ["batch", str(photos), "-o", str(out), *small]

    def send(_: BatchDisplay, __: str) -> None:
        (temporary.folder_beside(out / "a.png") / "a.png").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(BatchDisplay, "add_made", send)
        patched.setattr(sys, "argv", ["stereodiffusion", *line])
        result = run_forked(main)
    assert (result.returncode, result.stdout, result.stderr) == (143, "", "stereodiffusion: terminated\n")
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
    assert len((out / REPORT).read_text().splitlines()) == 1
    again = run(*line)
    assert again.exit_code == 0
    assert again.stdout.endswith(f"0 failed\n{out / SHEET}\n")
    assert len((out / REPORT).read_text().splitlines()) == 2


def test_the_sheet_shows_results_and_failures_in_their_places(tmp_path: Path) -> None:
    Image.new("RGB", (512, 288), (10, 200, 30)).save(tmp_path / "a-1.png")
    done = Entry(input="a.png", status="done", result="a-1.png")
    failed = Entry(input="b.png", status="failed", error="FormatError", reason="b.png: the file is empty")
    sheet = Image.open(write_sheet(tmp_path, [done, failed]))
    assert sheet.size == (2 * 256 + 3 * 8, 144 + 15 + 2 * 8)
    assert set(sheet.crop((8, 8, 8 + 256, 8 + 144)).get_flattened_data()) == {(10, 200, 30)}
    colours = {colour for _, colour in sheet.crop((272, 8, 272 + 256, 8 + 144)).getcolors(10_000) or []}
    assert (238, 232, 232) in colours
    assert (10, 200, 30) not in colours
