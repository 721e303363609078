"""Both eyes come out of every format that keeps them apart, as they went in."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from PIL import Image
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import read_eyes, write_image
from stereodiffusion.formats.eyes import Layout, disparity_beside, saved_disparity
from stereodiffusion.formats.outputs import OUTPUT_FORMATS
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair


@pytest.fixture
def pair() -> StereoPair:
    """Two smooth pictures that differ, on levels that files hold."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 24), torch.linspace(0, 1, 32), indexing="ij")
    left = (torch.stack([rows, columns, 1 - columns])[None] * 255).round() / 255
    known = torch.rand(1, 1, 24, 32, generator=torch.Generator().manual_seed(0)) > 0.2
    pixels = torch.where(known, torch.linspace(-2, 3, 32).expand(1, 1, 24, 32), 0.0)
    return StereoPair(
        left=left,
        right=left.flip(-2),
        disparity=Disparity(pixels=pixels, known=known),
        occlusion=torch.zeros(1, 1, 24, 32, dtype=torch.bool),
        provenance={"made": "here"},
    )


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * (one - other).square().mean().clamp_min(1e-12).log10())


@pytest.mark.parametrize("layout", [name for name in get_args(Layout) if name != "eyes"])
def test_what_was_written_here_says_how(pair: StereoPair, layout: Layout, tmp_path: Path) -> None:
    (path,) = pair.save(tmp_path / f"pair{OUTPUT_FORMATS[layout].suffixes[0]}", layout)
    found = read_eyes(path)
    assert found.layout == layout
    exact = 25 if layout in ("mpo", "sbs-half", "top-bottom-half") else 100
    assert psnr(found.left, pair.left) > exact
    assert psnr(found.right, pair.right) > exact
    assert psnr(found.left, pair.right) < 15


def test_two_files_are_two_eyes(pair: StereoPair, tmp_path: Path) -> None:
    left, right = pair.save(tmp_path / "pair.png", "eyes")
    found = read_eyes(left, right)
    assert torch.equal(found.left, pair.left)
    assert torch.equal(found.right, pair.right)
    with pytest.raises(FormatError, match="is one eye: expected the other eye's file besides"):
        read_eyes(left)


@pytest.mark.parametrize(("stacked", "layout"), [(3, "sbs"), (2, "top-bottom")])
def test_the_shape_of_other_files_tells(pair: StereoPair, stacked: int, layout: str, tmp_path: Path) -> None:
    path = write_image(tmp_path / "pair.png", torch.cat([pair.left, pair.right], dim=stacked))
    found = read_eyes(path)
    assert found.layout == layout
    assert torch.equal(found.left, pair.left)
    assert torch.equal(found.right, pair.right)


def test_what_others_wrote_is_read_as_it_is_said(pair: StereoPair, tmp_path: Path) -> None:
    path = write_image(tmp_path / "pair.png", torch.cat([pair.left, pair.right], dim=3))
    found = read_eyes(path, layout="cross-eyed")
    assert torch.equal(found.left, pair.right)


def test_refusals(pair: StereoPair, tmp_path: Path) -> None:
    (anaglyph,) = pair.save(tmp_path / "glasses.png", "anaglyph")
    with pytest.raises(FormatError, match="the eyes of anaglyph cannot be taken apart; sbs, "):
        read_eyes(anaglyph)
    square = write_image(tmp_path / "square.png", torch.zeros(1, 3, 9, 9))
    with pytest.raises(FormatError, match="9 x 9 does not tell how two eyes are packed in it"):
        read_eyes(square)
    with pytest.raises(FormatError, match=r"two equal halves \(sbs\), got 9 columns"):
        read_eyes(square, layout="sbs")
    with pytest.raises(FormatError, match="an MPO with two pictures, got PNG with 1"):
        read_eyes(square, layout="mpo")
    with pytest.raises(FormatError, match="two eyes of one size, got 9 x 9 and 64 x 24"):
        read_eyes(square, pair.save(tmp_path / "pair.png")[0])
    with pytest.raises(FormatError, match="two files are two eyes, got layout sbs"):
        read_eyes(square, square, layout="sbs")
    half = Image.new("RGB", (8, 4))
    half.save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-20])
    with pytest.raises(FormatError, match=r"cut\.jpg"):
        read_eyes(tmp_path / "cut.jpg")


@pytest.mark.parametrize("formats", ["sbs", ["sbs", "top-bottom"], ["eyes"]])
def test_the_map_beside_a_pair_is_found_and_exact(pair: StereoPair, formats: str, tmp_path: Path) -> None:
    written = pair.save(tmp_path / "pair.png", formats, also="disparity")
    for path in written[:-2]:
        beside = disparity_beside(path)
        assert beside == tmp_path / "pair-disparity.pfm"
        found = saved_disparity(tmp_path / "pair-disparity.pfm")
        assert torch.equal(found.pixels, pair.disparity.pixels)
        assert torch.equal(found.known, pair.disparity.known)
    foreign = write_image(tmp_path / "pair.jpg", pair.left)
    assert disparity_beside(foreign) is None
