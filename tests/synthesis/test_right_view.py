"""The right view in bands is the right view of the whole picture, bit for bit."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stereodiffusion.config import preset
from stereodiffusion.geometry import Disparity
from stereodiffusion.synthesis.compose import compose, known_view
from stereodiffusion.synthesis.right_view import draw_right, known_in_bands

BEST = preset("best", "photo")


def scene(height: int = 700, width: int = 90) -> tuple[Tensor, Disparity]:
    """Boxes of all depths before a slanted wall, one of them cut by the frame; rich in colours."""
    left = torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(0))
    pixels = torch.linspace(1, 3, height)[:, None].expand(height, width).clone()
    for top in range(0, height, 23):
        pixels[top : top + 15, (top * 7) % width :][:, :20] += 2 + top % 11
    return left, Disparity.from_pixels(pixels.expand(2, height, width))


@pytest.mark.parametrize("changes", [{}, {"borders": "hard"}, {"frame": "ends"}])
def test_bands_of_the_known_view_are_parts_of_the_whole(changes: dict[str, Any]) -> None:
    left, disparity = scene()
    config = replace(BEST, **changes)
    whole = known_view(left, disparity, config)
    cut = list(known_in_bands(left, disparity, config, cells=1))
    assert len(cut) > 2
    assert [row for band, _ in cut for row in range(700)[band.rows]] == list(range(700))
    for band, known in cut:
        same_rows = whole.rows(band.rows)
        assert torch.equal(known.behind, same_rows.behind)
        assert torch.equal(known.front, same_rows.front)
        assert torch.equal(known.opacity, same_rows.opacity)
        assert torch.equal(known.seen.pixels, same_rows.seen.pixels)
        assert torch.equal(known.seen.known, same_rows.seen.known)


def test_rows_that_show_nothing_are_continued_from_rows_far_away() -> None:
    left, disparity = scene()
    pixels = disparity.pixels.clone()
    pixels[:, :, 300:640] = 200.0  # all of it leaves the frame
    disparity = Disparity.from_pixels(pixels)
    whole = known_view(left, disparity, BEST)
    assert not bool(whole.seen.known[:, :, 310:630].any())
    parts = [known.view for _, known in known_in_bands(left, disparity, BEST, cells=1)]
    assert torch.equal(torch.cat(parts, dim=2), whole.view)


def test_drawing_is_composing() -> None:
    left, disparity = scene(height=80)
    change = 0.2 * torch.rand(left.shape, generator=torch.Generator().manual_seed(1)) - 0.1
    known = known_view(left, disparity, BEST)
    expected = compose(known, change)
    occlusion = draw_right(left, disparity, change, BEST)
    assert torch.equal(change, expected)
    assert torch.equal(occlusion, ~known.visible)
