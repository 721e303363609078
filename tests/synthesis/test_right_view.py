"""The right view in bands is the right view of the whole picture, bit for bit."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.compose import KnownView, known_view

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

WARP = replace(preset("best", "photo").warp, fill="smooth")


def scene(height: int = 700, width: int = 60) -> tuple[Tensor, Disparity]:
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


@pytest.mark.parametrize(
    ("changes", "position"),
    [({}, 1.0), ({}, -0.5), ({"borders": "hard"}, -0.5), ({"frame": "ends", "fill": "exemplars"}, -0.5)],
)
def test_the_known_view_does_not_depend_on_its_bands(changes: dict[str, Any], position: float) -> None:
    left, disparity = scene()
    warp = replace(WARP, **changes)
    assert_same(known_view(left, disparity, warp, position, cells=1), known_view(left, disparity, warp, position))


def test_the_known_view_does_not_depend_on_threads() -> None:
    left, disparity = scene(200)
    warp = replace(WARP, fill="exemplars")
    before, views = torch.get_num_threads(), list[KnownView]()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            views.append(known_view(left, disparity, warp, cells=3000))
        finally:
            torch.set_num_threads(before)
    assert_same(*views)


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


def test_a_border_that_comes_to_lie_behind_something_nearer_is_hidden() -> None:
    """A post before a wall, and at its right a nearer one, which both of the post's borders end up behind."""
    wall, post, nearer = (
        torch.tensor(colour).view(3, 1, 1) for colour in ((0.2, 0.3, 0.4), (0.8, 0.7, 0.1), (0.9, 0.1, 0.1))
    )
    column = torch.arange(96)
    is_post, is_nearer = (column >= 52) & (column < 58), (column >= 62) & (column < 84)
    left = torch.where(is_nearer, nearer, torch.where(is_post, post, wall)).expand(1, 3, 24, 96).contiguous()
    left[..., 51], left[..., 58] = (wall + post).squeeze(-1) / 2, (wall + post).squeeze(-1) / 2
    pixels = torch.where(is_nearer, 18.0, torch.where(is_post, 6.0, 1.0)).expand(24, 96)
    view = known_view(left, Disparity.from_pixels(pixels), WARP).view
    shown = view[..., 46:64]  # the nearer post now covers columns 44 to 65
    torch.testing.assert_close(shown, nearer.expand_as(shown), rtol=0, atol=1e-4)
