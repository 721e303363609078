"""`stereodiffusion video` on the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests import tiny
from tests.video.conftest import Frames, Write
from typer.testing import CliRunner, Result

from stereodiffusion.cli.main import app
from stereodiffusion.video.joining import CONTAINERS
from stereodiffusion.video.source import describe

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, ["video", *(str(each) for each in arguments)])

    return invoke


def test_a_video_gets_a_name_for_players(write: Write, two_scenes: Frames, run: Run, tmp_path: Path) -> None:
    estimator = tiny.save_depth_estimator(tmp_path / "tiny-depth")
    source = write("a.mp4", two_scenes[:2])
    result = run(
        source, "-o", tmp_path / "b.mp4", "-f", "sbs-half", "--names", "players", "--depth-estimator", estimator
    )
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/b_SBS.mp4\n")
    assert describe(tmp_path / "b_SBS.mp4").size == (54, 96)


def test_refusals_are_in_the_words_of_the_command_line(write: Write, two_scenes: Frames, run: Run) -> None:
    source = write("a.mp4", two_scenes[:2])
    for arguments, said in (
        ((), "Missing argument 'VIDEO'"),
        ((source, "-f", "mpo"), "--format must be one of sbs, sbs-half, cross-eyed"),
        ((source, "--max-disparity", "2"), "--max-disparity must be a fraction of the width in [0, 0.5], got 2.0"),
        ((source, "--quality", "99"), "--quality must be from 0 to 51, got 99"),
        (("none.mp4",), "none.mp4: no such file"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_the_suffixes_of_the_command_are_those_of_containers() -> None:
    from stereodiffusion.cli import video

    assert set(CONTAINERS) == set(video.SUFFIXES)
