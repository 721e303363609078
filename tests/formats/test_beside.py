"""The exact map that lies beside a pair is found."""

from pathlib import Path

import pytest
import torch

from stereodiffusion.formats import write_image
from stereodiffusion.formats.beside import disparity_beside, saved_disparity
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
