"""`stereodiffusion bench` from the command line to files."""

import csv
from io import StringIO
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image
from tests.cli.conftest import Run
from tests.cli.test_program import execute

from stereodiffusion.bench import asked
from stereodiffusion.bench.rendering import RENDERERS
from stereodiffusion.bench.results import ROWS, DisparitySource, Protocol, read_rows
from stereodiffusion.bench.selection import CATALOGUE, GROUPS
from stereodiffusion.cli import bench
from stereodiffusion.cli.bench_progress import duration
from stereodiffusion.datasets import DatasetName
from stereodiffusion.metrics import MatcherName, PerceptualName

SMALL = ("bench", "run", "scenes", "--count", "2", "--size", "64")


def test_the_choices_are_those_of_the_modules_that_own_them() -> None:
    assert get_args(DatasetName) == asked.DATASETS
    assert get_args(Protocol) == asked.PROTOCOLS
    assert get_args(DisparitySource) == asked.DISPARITIES
    assert get_args(PerceptualName) == asked.PERCEPTUAL
    assert get_args(MatcherName) == asked.MATCHERS
    assert tuple(RENDERERS) == bench.TABLE_FORMATS


def test_help_answers_without_torch(run: Run) -> None:
    code = (
        "import sys\n"
        "from stereodiffusion.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print({'torch', 'numpy', 'PIL', 'diffusers', 'transformers'} & set(sys.modules))"
    )
    assert execute("bench", "run", "--help", code=code).stdout.endswith("set()\n")
    for command in ("run", "table", "figure"):
        assert command in run("bench", "--help").stdout


def test_run_table_and_figure(here: Path, run: Run) -> None:
    result = run(*SMALL, "--methods", "identity,blank", "--methods", "stretch", "--protocol", "metric,paper", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "results: 12 computed, 0 left out\n"
    assert len((here / "results" / ROWS).read_text().splitlines()) == 12

    again = run(*SMALL, "--methods", "identity", "--quiet")
    assert (again.exit_code, again.stdout) == (0, "results: 0 computed, 0 left out\n")

    shown = run("bench", "table", "results")
    assert shown.exit_code == 0
    assert shown.stdout.count("**Table 1.") == 2
    lines = list(csv.DictReader(StringIO(run("bench", "table", "results", "--format", "csv").stdout)))
    assert {line["method"] for line in lines} >= {"identity", "blank", "stretch"}
    assert run("bench", "table", "results", "--format", "latex").stdout.startswith("\\begin{table}")

    drawn = run("bench", "figure", "results", "-o", "figures")
    assert drawn.exit_code == 0
    files = [Path(line) for line in drawn.stdout.splitlines()]
    assert Path("figures/figure4-scenes-metric-truth-64.png") in files
    assert Path("figures/boxes-scenes-paper-truth-64.png") in files
    for path in files:
        with Image.open(path) as picture:
            assert picture.width > 200


def test_sparse_settings_reach_the_rows(here: Path, run: Run) -> None:
    line = (*SMALL, "--first", "7", "--methods", "blank", "--protocol", "paper", "--max-disparity", "0.2", "-o", "out")
    assert run(*line).exit_code == 0
    rows = read_rows(here / "out")
    assert [row.job.scene for row in rows] == ["000007", "000008"]
    assert {row.job.settings["max_disparity"] for row in rows} == {0.2}
    assert all(row.facts["nearest_px"] == pytest.approx(0.2 * 64) for row in rows)


def test_estimated_disparity_and_a_model(here: Path, run: Run, model: Path, estimator: Path) -> None:
    line = (*SMALL, "--count", "1", "--methods", "sd-fast", "--disparity", "estimated", "--steps", "5")
    result = run(*line, "--model", model, "--depth-estimator", estimator, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    (row,) = read_rows(here / "results")
    assert row.job.settings["model"] == str(model)
    assert row.job.disparity == "estimated"
    assert row.evaluations > 5


def test_what_was_left_out_is_said_at_the_end(here: Path, run: Run) -> None:
    for name in ("whole", "broken"):
        (here / "data" / name).mkdir(parents=True)
        for file in ("im0.png", "im1.png"):
            Image.new("RGB", (96, 64), "grey").save(here / "data" / name / file)
    (here / "data" / "broken" / "im1.png").write_bytes(b"no picture")
    result = run("bench", "run", "middlebury", "data", "--methods", "identity", "--size", "64", "--quiet")
    assert result.exit_code == 2
    broken, blind, error = result.stderr.splitlines()
    assert broken.startswith("left out: broken: data/broken/im1.png: ")
    assert broken.endswith("(1 missing)")
    assert "whole" in blind
    assert "no true disparity" in blind
    assert "nothing could be computed" in error


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["run", "moon"], "expected a data set out of"),
        (["run", "middlebury"], "middlebury needs the folder"),
        (["run", "scenes", "--methods", "magic"], "got 'magic'"),
        (
            ["run", "scenes", "--protocol", "nice"],
            "--protocol must be one or several of paper, metric, leak",
        ),
        (["run", "scenes", "--disparity", "guessed"], "--disparity must be"),
        (["run", "scenes", "--perceptual", "taste"], "--perceptual must be"),
        (["run", "scenes", "--matcher", "eyes"], "--matcher must be one of sgbm, raft_large, raft_small, got 'eyes'"),
        (["run", "scenes", "--size", "big"], "--size must be a number of pixels or native"),
        (["run", "scenes", "--size", "4"], "at least 8 pixels"),
        (["run", "scenes", "--workers", "0"], "--workers must be at least 1"),
        (["run", "scenes", "--count", "0"], "count of at least 1"),
        (["run", "scenes", "--dtype", "int8"], "--dtype must be one of"),
        (["speed", "--model", "moon"], "--model must be one or several of toybox, sd1"),
        (["speed", "--mode", "song"], "--mode must be one or several of text, depth, photo"),
        (["speed", "--stretch", "1"], "--stretch must be at least 2"),
        (["speed", "--threads", "0"], "--threads must be at least 1"),
        (["speed", "--rounds", "0"], "--rounds must be at least 1"),
        (["speed", "--size", "100"], "--size must be a multiple of 64 pixels, got 100"),
        (["table", "nowhere"], "there is no rows.jsonl in it"),
        (["table", "nowhere", "--format", "word"], "--format must be one of markdown, csv, latex"),
        (["figure", "nowhere"], "there is no rows.jsonl in it"),
    ],
)
def test_refusals_are_one_line(here: Path, run: Run, line: list[str], message: str) -> None:
    result = run("bench", *line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(here.iterdir()) == []


def test_the_bar_shows_what_was_done_and_the_time_left(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    result = run(*SMALL, "--methods", "identity")
    assert result.exit_code == 0
    for shown in ("000001 identity", "2/2", "left"):
        assert shown in result.stderr


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (100, "2 min"), (5000, "83 min"), (12000, "3 h 20 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_groups_are_of_methods_that_are_there() -> None:
    for group in GROUPS.values():
        assert any(group(name) for name in CATALOGUE)
