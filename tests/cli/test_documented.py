"""The command lines in the documents do what is written there, on a tiny model and few steps."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests import tiny
from tests.cli.conftest import Run
from tests.datasets import trees

from stereodiffusion.bench import speed_run
from stereodiffusion.bench.pace import Pace
from stereodiffusion.bench.plan import Plan
from stereodiffusion.bench.speed import Speed
from stereodiffusion.bench.speed_run import SpeedPlan
from stereodiffusion.cli import bench_run
from stereodiffusion.formats import write_map
from stereodiffusion.geometry import Disparity

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def command_lines(document: str) -> list[list[str]]:
    """What the blocks of a document have the reader type, without the program's name."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / document).read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = "\n".join(block for language, block in fenced if language in {"", "sh"}).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("stereodiffusion ")]


@pytest.fixture
def files(here: Path) -> None:
    """What the readme's reader has."""
    levels = np.linspace(0, 255, 64 * 64 * 3).astype(np.uint8).reshape(64, 64, 3)
    Image.fromarray(levels).save(here / "cat.jpg")
    for name in ("cat", "room"):
        write_map(here / f"{name}.pfm", Disparity.from_pixels(torch.linspace(0, 4, 64).expand(64, 64)))


@pytest.mark.usefixtures("files")
def test_the_readmes_commands_write_what_they_say(here: Path, run: Run, model: Path, estimator: Path) -> None:
    lines = command_lines("README.md")
    assert [line[0] for line in lines] == [
        "text",
        "depth",
        "photo",
        "disparity",
        "check",
        "convert",
        "models",
        "photo",
        "photo",
        "text",
    ]
    for line in lines:
        small = ("--model", model, "--steps", "2", "--quiet")
        small = {"models": (), "check": (), "disparity": ("--quiet",), "convert": ("--quiet",)}.get(line[0], small)
        estimating = ("--depth-estimator", estimator) if line[0] == "text" else ()
        fewer = ("--views", "3") if "--views" in line else ()
        result = run(*line, *small, *estimating, *fewer)
        assert (result.exit_code, result.stderr) == (0, ""), line
        if small:
            written = result.stdout.splitlines()
            assert all((here / name).is_file() for name in written)
            asked = line[line.index("-o") + 1]
            stem = Path(asked).stem
            several = {
                "--baselines": [f"{stem}-0{number}.png" for number in range(3)],
                "--views": [f"{stem}_qs1x3a1.png"],
            }
            assert written == next((several[option] for option in several if option in line), [asked])


def python_blocks(document: str) -> str:
    """The program that a reader types who follows a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", text, flags=re.M | re.S))


@pytest.mark.usefixtures("fewer_steps", "loaded_once")
def test_the_tutorials_program_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the embedded model, in fewer steps than are meant to be looked at."""
    names: dict[str, object] = {}
    exec(compile(python_blocks("docs/tutorial.md"), "docs/tutorial.md", "exec"), names)
    said = capsys.readouterr().out
    assert re.search(r"nearest point: \d+ px; made up: \d+% of the right picture", said)
    assert re.search(r"view (\d+) of \1\n", said)
    written = {path.name for path in here.iterdir()}
    assert written >= {"ball.png", "ball-anaglyph.jpg", "ball-cross-eyed.jpg", "cone.png", "estimated.png"}
    assert len([name for name in written if name.startswith("views-")]) == 3


@pytest.mark.usefixtures("files")
def test_the_tutorials_commands_write_what_they_say(here: Path, run: Run, model: Path, estimator: Path) -> None:
    lines = command_lines("docs/tutorial.md")
    assert [line[0] for line in lines] == ["text", "text", "photo", "photo", "text"]
    for line in lines:
        estimating = () if "--disparity" in line else ("--depth-estimator", estimator)
        result = run(*line, "--model", model, "--steps", "2", "--quiet", *estimating)
        assert (result.exit_code, result.stderr) == (0, ""), line
        written = result.stdout.splitlines()
        assert written
        assert all((here / name).is_file() for name in written)


def test_the_commands_of_batches_write_theirs(here: Path, run: Run, model: Path, estimator: Path) -> None:
    (here / "photos").mkdir()
    Image.new("RGB", (48, 32), "red").save(here / "photos" / "cat.jpg")
    (here / "prompts.txt").write_text("a red ball\n")
    (here / "requests.csv").write_text("photo,seed\nphotos/cat.jpg,3\n")
    small = ("--model", model, "--depth-estimator", estimator, "--preset", "fast", "--steps", "2", "--quiet")
    for line in command_lines("docs/batch.md"):
        if "--ray" in line:  # in processes of its own: tests/batch/test_cluster.py
            continue
        alone = (
            [*line[: line.index("--workers")], *line[line.index("--workers") + 2 :]] if "--workers" in line else line
        )
        result = run(*alone, *small)
        assert (result.exit_code, result.stderr) == (0, ""), line
        assert result.stdout.startswith("results: 1 made, 0 there already, 0 failed\n")


@pytest.mark.usefixtures("files")
def test_the_commands_of_other_models_write_theirs(here: Path, run: Run, estimator: Path, tmp_path: Path) -> None:
    tiny.xl_pipeline().save_pretrained(tmp_path / "tiny-xl", safe_serialization=True)
    tiny.save(tmp_path / "tiny-inpainting", "inpainting")
    lines = command_lines("docs/models.md")
    models = [line[line.index("--model") + 1] for line in lines]
    assert models == ["sd1.5", "sdxl", "sdxl-turbo", "model.safetensors", "sd1.5-inpainting"]
    for name, line in zip(models, lines, strict=True):
        model = tmp_path / ("tiny-inpainting" if name == "sd1.5-inpainting" else "tiny-xl")
        small = ("--model", model, "--steps", "2", "--device", "cpu", "--depth-estimator", estimator)
        result = run(*line, *small, "--quiet")
        assert (result.exit_code, result.stderr) == (0, ""), line
        assert (here / line[line.index("-o") + 1]).is_file()


@pytest.mark.usefixtures("files")
def test_the_commands_on_the_way_to_a_headset_write_theirs(here: Path, run: Run, model: Path, estimator: Path) -> None:
    lines = command_lines("docs/headset.md")
    assert [line[0] for line in lines] == ["text", "photo", "text", "text"]
    for line in lines:
        result = run(*line, "--model", model, "--steps", "2", "--depth-estimator", estimator, "--quiet")
        assert (result.exit_code, result.stderr) == (0, ""), line
    written = {file.name for file in here.glob("*.jpg")} - {"cat.jpg"}
    eyes = {f"ball-{name}.jpg" for name in ("sbs", "cross-eyed", "anaglyph")}
    assert written == {"ball.jpg", "cat-3d.jpg", "ball_HSBS.jpg", *eyes}


def test_the_studys_commands_go_from_pairs_to_a_page(here: Path, run: Run, model: Path, estimator: Path) -> None:
    *pairs, make, figure = command_lines("docs/study.md")
    for line in pairs:
        Path(line[line.index("-o") + 1]).parent.mkdir(parents=True)
        result = run(*line, "--model", model, "--steps", "2", "--depth-estimator", estimator, "--quiet")
        assert (result.exit_code, result.stderr) == (0, ""), line
    result = run(*make)
    assert (result.exit_code, result.stdout) == (0, "study/index.html: 2 pairs, 1 of each of 2 methods\n")
    assert len(list((here / "study" / "pictures").iterdir())) == 2
    scores = (
        "study,person,trial,scene,method,quality,depth,seconds\nx,{0},1,ball,best,4,{1},2\nx,{0},2,ball,fast,3,3,2\n"
    )
    for person in range(3):
        (here / f"answers-{person}.csv").write_text(scores.format(person, person))
    place = figure.index("answers-*.csv")
    result = run(*figure[:place], *sorted(here.glob("answers-*.csv")), *figure[place + 1 :])
    assert result.exit_code == 0
    assert "| best - fast | 3 | +1.00 | +1.00 to +1.00 | 6 | 0.25 | 0.25 |" in result.stdout
    assert (here / "figure6.png").is_file()


def test_the_benchmarks_commands_are_understood(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take hours, so they are stopped before the first picture; the tables and figures are made."""
    assert run("bench", "run", "scenes", "--count", "1", "--size", "64", "--methods", "identity").exit_code == 0
    trees.write_views(here / "DATA" / "teddy" / "im2.png", here / "DATA" / "teddy" / "im6.png")
    trees.write_levels(here / "DATA" / "teddy" / "disp2.png", 4)
    plans: list[Plan] = []

    def follow(plan: Plan, *_: object) -> tuple[Pace, list[object]]:
        plans.append(plan)
        return Pace((), 1), []

    def anywhere(name: str) -> str:
        return name

    def stand_still(plan: SpeedPlan) -> Iterator[Speed]:
        speeds.append(plan)
        return iter(())

    speeds: list[SpeedPlan] = []
    monkeypatch.setattr(speed_run, "run_speed", stand_still)
    monkeypatch.setattr(bench_run, "_follow", follow)
    monkeypatch.setattr(bench_run, "usable_device", anywhere)
    lines = command_lines("docs/benchmark.md")
    for line in lines:
        result = run(*line)
        assert (result.exit_code, result.stderr) == (0, ""), line
    assert len(plans) == _count(lines, "run") > 0
    assert len(speeds) == _count(lines, "speed") > 0
    assert all(plan.methods and len(plan.dataset) == 1 for plan in plans)
    assert _count(lines, "table") == _count(lines, "figure") == 1
    assert list((here / "results" / "figures").glob("*.png"))


def _count(lines: Sequence[Sequence[str]], command: str) -> int:
    return sum(line[:2] == ["bench", command] for line in lines)
