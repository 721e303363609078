"""The method's lengths are fractions of the width: on SDXL's grid a pair is what it is on Stable Diffusion's."""

import pytest
import torch
from tests import tiny

from stereodiffusion.diffusion.shift import CellMap
from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import Settings

CELL = 8
CELLS = [32, 64, 96, 128, 160]
"""Widths in cells: 256 pixels to 1280; 64 is Stable Diffusion's, 128 SDXL's."""


def near_box(cells: int) -> torch.Tensor:
    """A box that takes 40 % to 70 % of the width, before a ground of parallax 0, in units of the box's parallax."""
    columns = torch.arange(cells * CELL) / (cells * CELL)
    return ((columns >= 0.4) & (columns < 0.7)).double().expand(4 * CELL, -1).contiguous()


def shifted(cells: int, config: Settings, unit_px: float) -> CellMap:
    return tiny.cells(Disparity.from_pixels(unit_px * near_box(cells)), config)


def farthest(found: CellMap) -> int:
    """By how many cells the nearest thing moved."""
    moved = found.source - torch.arange(found.source.shape[3])
    return int(moved[found.visible].max())


@pytest.mark.parametrize("cells", CELLS)
def test_the_paper_moves_its_fraction_of_any_grid(cells: int) -> None:
    config = tiny.settings({"parallax.scale": "normalized", "shift.splat": "paper", "parallax.max_disparity": 0.08})
    assert farthest(shifted(cells, config, unit_px=3.0)) == int(0.08 * cells)  # 5 of 64, 10 of 128


@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize("fraction", [0.03, 0.08])
def test_pixels_move_what_they_say_on_any_grid(fraction: float, cells: int) -> None:
    found = shifted(
        cells, tiny.settings({"parallax.scale": "metric", "shift.splat": "subpixel"}), unit_px=fraction * cells * CELL
    )
    assert abs(farthest(found) - fraction * cells) <= 0.5
    hidden = found.occlusion.double().mean().item()  # the strip that the box uncovers is as wide as its parallax
    assert abs(hidden - fraction) <= 1 / cells


def test_convergence_is_a_fraction_too() -> None:
    config = tiny.settings({"parallax.scale": "metric", "parallax.convergence": 0.0625})
    for cells in (32, 64, 128):
        ground = shifted(cells, config, unit_px=0.0)
        moved = (ground.source - torch.arange(cells))[ground.visible]
        assert set(moved.tolist()) == {-cells // 16}
