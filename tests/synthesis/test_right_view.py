"""The right view in bands is the right view of the whole picture, bit for bit."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.presets import preset
from stereodiffusion.synthesis.compose import KnownView, known_view

WARP = preset("best", "photo").warp


def scene(height: int = 700, width: int = 90) -> tuple[Tensor, Disparity]:
    """Boxes of all depths before a slanted wall, one of them cut by the frame; rich in colours, and in steep lines."""
    left = 0.3 * torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(0))
    left += 0.7 * ((torch.arange(height)[:, None] + torch.arange(width)) // 9 % 2)
    pixels = torch.linspace(1, 3, height)[:, None].expand(height, width).clone()
    for top in range(0, height, 23):
        pixels[top : top + 15, (top * 7) % width :][:, :20] += 2 + top % 11
    return left, Disparity.from_pixels(pixels.expand(2, height, width))


def assert_same(one: KnownView, other: KnownView) -> None:
    assert torch.equal(one.behind, other.behind)
    assert torch.equal(one.front, other.front)
    assert torch.equal(one.opacity, other.opacity)
    assert torch.equal(one.seen.pixels, other.seen.pixels)
    assert torch.equal(one.seen.known, other.seen.known)


@pytest.mark.parametrize("position", [1.0, -0.5])
@pytest.mark.parametrize("changes", [{}, {"borders": "hard"}, {"frame": "ends"}])
def test_the_known_view_does_not_depend_on_its_bands(changes: dict[str, Any], position: float) -> None:
    left, disparity = scene()
    warp = replace(WARP, **changes)
    assert_same(known_view(left, disparity, warp, position, cells=1), known_view(left, disparity, warp, position))


def test_rows_that_show_nothing_are_continued_from_rows_far_away() -> None:
    left, disparity = scene()
    pixels = disparity.pixels.clone()
    pixels[:, :, 300:640] = 200.0  # all of it leaves the frame
    disparity = Disparity.from_pixels(pixels)
    whole = known_view(left, disparity, WARP)
    assert not bool(whole.seen.known[:, :, 310:630].any())
    assert_same(known_view(left, disparity, WARP, cells=1), whole)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 1), (1, 9), (2, 2), (64, 1), (3, 3)])
def test_pictures_of_a_few_pixels_move_like_any_other(size: tuple[int, int]) -> None:
    """By a parallax of nothing they stay as they are; by more than their width all of them is hidden."""
    left = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
    still = known_view(left, Disparity.from_pixels(torch.zeros(size)), WARP)
    assert torch.equal(still.view, left)
    assert bool(still.visible.all())
    gone = known_view(left, Disparity.from_pixels(torch.full(size, 20.0)), WARP)
    assert not bool(gone.visible.any())
    assert bool(gone.view.isfinite().all())
    steps = 9 * (torch.arange(size[0] * size[1]) % 2).float().reshape(size)
    moved = known_view(left, Disparity.from_pixels(steps), WARP)
    assert bool(moved.view.isfinite().all())
