from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stereodiffusion.cli.choices import EXTRAS, FORMATS, Extra
from stereodiffusion.cli.outputs import Files, settle_output, stem_of, written_files
from stereodiffusion.errors import FormatError
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair


def wanted(*formats: str, also: tuple[Extra, ...] = ()) -> Files:
    return Files(formats=formats or ("sbs",), also=also)


def test_names_from_prompts() -> None:
    assert stem_of("A red ball, in front of a blue box!") == "a-red-ball-in-front-of-a-blue-box"
    assert stem_of("ein Würfel / 立方体") == "ein-würfel-立方体"
    assert stem_of("?!") == "stereo"
    assert stem_of("x" * 100) == "x" * 60
    long = stem_of("a very long prompt " * 10)
    assert len(long) <= 60
    assert not long.endswith("-")


def test_a_name_is_numbered_when_it_is_taken(here: Path) -> None:
    assert settle_output(None, "ball", wanted()) == Path("ball.png")
    (here / "ball.png").touch()
    assert settle_output(None, "ball", wanted()) == Path("ball-2.png")
    assert settle_output(None, "ball", wanted("mpo")) == Path("ball.mpo")
    (here / "ball-2.png").touch()
    assert settle_output(None, "ball", wanted()) == Path("ball-3.png")
    (here / "box-disparity.pfm").touch()
    assert settle_output(None, "box", wanted(also=("disparity",))) == Path("box-2.png")


@pytest.mark.parametrize("kind", ["anaglyph", "mpo", "wiggle-gif"])
def test_dots_in_a_name_are_no_suffix(kind: str, here: Path) -> None:
    """Cameras and people date their photos so."""
    (file,) = written_files(settle_output(None, "2024.05.17-stereo", wanted(kind)), wanted(kind))
    assert file.stem == "2024.05.17-stereo"
    several = wanted("sbs", kind, also=("left",))
    stems = [file.stem for file in written_files(settle_output(None, "2024.05.17-stereo", several), several)]
    assert stems == [f"2024.05.17-stereo-{end}" for end in ("sbs", kind, "left")]


def test_a_folder_gets_a_name_in_it(here: Path) -> None:
    (here / "results").mkdir()
    assert settle_output(Path("results"), "ball", wanted()) == Path("results/ball.png")


def test_a_file_that_was_asked_for_is_replaced(here: Path) -> None:
    (here / "ball.png").touch()
    assert settle_output(Path("ball.png"), "unused", wanted()) == Path("ball.png")


@pytest.mark.parametrize(
    ("output", "formats", "message"),
    [
        ("nowhere/ball.png", ["sbs"], "the folder nowhere does not exist"),
        ("ball.gif", ["sbs"], r"ball.gif: sbs goes into .png, .* got .gif"),
        ("ball.png", ["mpo"], "ball.png: mpo goes into .mpo, got .png"),
        ("ball.txt", ["sbs", "mpo"], r"ball.txt: sbs, mpo goes into .png, .*, .mpo, got .txt"),
        ("photo.png", ["sbs"], "photo.png is read by this command and would be replaced"),
        ("./link/../photo.png", ["sbs"], "would be replaced"),
        ("a" * 300 + ".png", ["sbs"], "cannot be used: File name too long"),
    ],
)
def test_what_cannot_be_written_is_refused(output: str, formats: list[str], message: str, here: Path) -> None:
    (here / "photo.png").touch()
    (here / "link").mkdir()
    with pytest.raises(FormatError, match=message):
        settle_output(Path(output), "unused", wanted(*formats), inputs=[Path("photo.png")])


@pytest.mark.parametrize("name", ["ball", "ball.png", "ball.jpg", "ball.tiff"])
@pytest.mark.parametrize("formats", [("sbs",), ("anaglyph", "eyes"), FORMATS])
def test_the_files_are_those_that_a_pair_writes(name: str, formats: tuple[str, ...], tmp_path: Path) -> None:
    pair = StereoPair(
        left=torch.rand(1, 3, 16, 16),
        right=torch.rand(1, 3, 16, 16),
        disparity=Disparity.from_pixels(torch.rand(1, 1, 16, 16)),
        occlusion=torch.zeros(1, 1, 16, 16, dtype=torch.bool),
    )
    expected = pair.save(tmp_path / name, format=formats, also=EXTRAS)
    assert set(written_files(tmp_path / name, wanted(*formats, also=EXTRAS))) == set(expected)


def several(*formats: str) -> Files:
    return replace(wanted(*formats), views=3)


def test_views_and_quilts_are_numbered_when_they_are_taken(here: Path) -> None:
    assert settle_output(None, "ball", several("views")) == Path("ball.png")
    assert written_files(Path("ball.png"), several("views")) == [Path(f"ball-0{number}.png") for number in range(3)]
    (here / "ball-02.png").touch()
    assert settle_output(None, "ball", several("views")) == Path("ball-2.png")
    assert settle_output(None, "ball", several("quilt")) == Path("ball.png")
    (here / "ball_qs3x1a0.75.png").touch()
    assert settle_output(None, "ball", several("quilt")) == Path("ball-2.png")
    assert settle_output(Path("ball"), "", several("quilt")) == Path("ball.png")


def test_views_do_not_replace_what_is_read(here: Path) -> None:
    for name in ("cat-01.png", "cat_qs3x1a1.333.png"):
        (here / name).touch()
        with pytest.raises(FormatError, match=f"{name} is read by this command"):
            settle_output(Path("cat.png"), "", several("views", "quilt"), inputs=[here / name])
    with pytest.raises(FormatError, match=r"views go into .png, .* got .gif"):
        settle_output(Path("cat.gif"), "", several("views"))
