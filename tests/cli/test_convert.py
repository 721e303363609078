"""`convert`: what it says, what it writes, and what it refuses before it writes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cli.conftest import Run
from tests.cli.test_documented import command_lines
from torch import Tensor

from stereodiffusion.formats import Eyes, read_image, read_metadata, read_pair, write_image, write_map, write_pair
from stereodiffusion.geometry import Disparity


def picture(seed: int) -> Tensor:
    noise = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(noise, (80, 120), mode="bicubic").clamp(0, 1) * 255).round() / 255


@pytest.fixture
def ball(here: Path) -> Eyes:
    """`ball.mpo`, and its eyes."""
    eyes = Eyes(left=picture(0), right=picture(0).roll(-3, 3), settings={"prompt": "a ball"}, baseline_m=0.06)
    write_pair(here / "ball.mpo", eyes, "mpo")
    return eyes


def test_a_file_of_a_camera_becomes_a_spatial_photo(ball: Eyes, here: Path, run: Run) -> None:
    result = run("convert", "ball.mpo", "-o", "ball.heic", "--format", "spatial", "--field-of-view", "50")
    assert (result.exit_code, result.stdout) == (0, "ball.heic\n")
    assert result.stderr == "ball.mpo: read as mpo: its metadata say so\n"
    back = read_pair(here / "ball.heic")
    assert back.field_of_view_deg == pytest.approx(50)
    assert back.baseline_m == pytest.approx(0.06)
    assert (back.left - ball.left).mean(dim=1).abs().mean() < 0.03
    assert read_metadata(here / "ball.heic")["prompt"] == "a ball"


@pytest.mark.parametrize(
    ("suffix", "name"), [(".jps", "jps"), (".mpo", "mpo"), (".gif", "wiggle-gif"), (".png", "sbs"), ("", "sbs")]
)
def test_a_suffix_means_a_format(ball: Eyes, here: Path, run: Run, suffix: str, name: str) -> None:
    result = run("convert", "ball.mpo", "-o", f"other{suffix}", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert read_metadata(here / result.stdout.strip())["format"] == name


def test_without_a_name_it_is_made_from_the_files(ball: Eyes, here: Path, run: Run) -> None:
    assert run("convert", "ball.mpo", "-f", "anaglyph", "-q").stdout == "ball-anaglyph.png\n"
    assert run("convert", "ball.mpo", "-f", "anaglyph", "-q").stdout == "ball-anaglyph-2.png\n"


def test_names_that_players_recognise(ball: Eyes, here: Path, run: Run) -> None:
    formats = "sbs,sbs-half,top-bottom-half,cross-eyed,vr180,vr180-sbs,mpo"
    written = run("convert", "ball.mpo", "-o", "b.jpg", "-f", formats, "--names", "players", "-q").stdout.split()
    assert written == [
        "b_LRF_Full_SBS.jpg",
        "b_SBS.jpg",
        "b_TB.jpg",
        "b_RLF_cross.jpg",
        "b.vr.jpg",
        "b_180x180_LR.jpg",
        "b-mpo.mpo",
    ]
    alone = run("convert", "b_SBS.jpg", "-o", "c_LRF_Full_SBS.png", "-f", "sbs", "--names", "players", "-q").stdout
    assert alone == "c_LRF_Full_SBS.png\n"


def test_swapped_and_converged_on_the_way(ball: Eyes, here: Path, run: Run) -> None:
    write_pair(here / "a.png", ball, "sbs")
    run("convert", "a.png", "-o", "b.png", "--swap", "--converge", "0.05", "-q")
    back = read_pair(here / "b.png")
    assert torch.equal(back.left, ball.both[1][..., 6:])
    assert torch.equal(back.both[1], ball.left[..., :-6])
    assert read_metadata(here / "b.png")["converted"] == {"swapped": True, "converged_px": 6}


def test_a_pair_that_is_not_level_is_aligned(here: Path, run: Run) -> None:
    lower = Eyes(left=picture(0), right=picture(0).roll((4, -3), (2, 3)))
    write_pair(here / "a.png", lower, "sbs")
    result = run("convert", "a.png", "-o", "b.png", "--align")
    assert "px lower, as" in result.stderr
    told = read_metadata(here / "b.png")["converted"]
    assert isinstance(told, dict)
    assert told["aligned"]["lower_px"] == pytest.approx(4, abs=0.2)
    assert read_pair(here / "b.png").size[0] == 80 - 2 * 3 or read_pair(here / "b.png").size[0] == 80 - 2 * 2


def test_two_files_and_a_map_become_rgbd(ball: Eyes, here: Path, run: Run) -> None:
    write_pair(here / "a.png", ball, "eyes")
    write_map(here / "d.png", Disparity.from_pixels(torch.linspace(1, 9, 120).expand(80, 120)))
    result = run("convert", "a-left.png", "a-right.png", "--disparity", "d.png", "-f", "rgbd", "-o", "b.png", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    frame = (read_image(here / "b.png")[0] * 255).round()
    assert torch.equal(frame[:, :, :120] / 255, ball.left[0])
    assert frame[:, 0, 120].tolist() == [0, 0, 0]
    assert frame[:, 0, -1].tolist() == [255, 255, 255]


def test_the_documents_commands(ball: Eyes, here: Path, run: Run) -> None:
    write_pair(here / "in.mpo", ball, "mpo")
    write_pair(here / "pair.png", ball, "sbs")
    for name, eye in (("left.jpg", ball.left), ("right.jpg", ball.both[1])):
        write_image(here / name, eye)
    write_map(here / "map.exr", Disparity.from_pixels(torch.linspace(1, 9, 120).expand(80, 120)))
    lines = command_lines("docs/formats.md")
    assert len(lines) == 4
    for line in lines:
        result = run(*line)
        assert result.exit_code == 0, line
        assert all((here / name).is_file() for name in result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mpo"], "none.mpo: no such file"),
        (["ball.mpo", "ball.mpo", "ball.mpo"], "expected a file, or one for each eye, got 3"),
        (["ball.mpo", "-f", "hologram"], "--format must be one or several of sbs"),
        (["ball.mpo", "--from", "hologram"], "--from must be one of sbs"),
        (["ball.mpo", "--names", "mine"], "--names must be one of plain, players, got 'mine'"),
        (["ball.mpo", "--converge", "0.7"], "--converge must be a fraction of the width within -0.5 ... 0.5, got 0.7"),
        (["ball.mpo", "-o", "ball.mpo"], "ball.mpo is read by this command and would be replaced"),
        (["ball.mpo", "-o", "b.png", "-f", "mpo"], "mpo goes into .mpo, got .png"),
        (["ball.mpo", "-f", "rgbd"], "RGBD needs the disparity of the left eye, which is not known"),
        (["ball.mpo", "--field-of-view", "200"], "a field of view must be within 1 ... 170 degrees, got 200"),
        (["ball.mpo", "--from", "spatial"], "ball.mpo: "),
        (["one.png"], "one.png: expected a stereo pair, found a picture of one view"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(
    ball: Eyes, here: Path, run: Run, arguments: list[str], message: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(here / "one.png")
    before = {path: path.read_bytes() for path in here.iterdir()}
    result = run("convert", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr.splitlines()[-1]
    assert {path: path.read_bytes() for path in here.iterdir()} == before
