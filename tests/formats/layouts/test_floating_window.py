"""A floating window is as near as all that it cuts, and no nearer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.formats import floating_window, window_bars
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.frame import border_parallax

WIDTH = 24
maps = st.lists(st.lists(st.integers(-6, 9), min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=3)


def of(rows: list[list[int]]) -> Disparity:
    pixels = torch.tensor(rows, dtype=torch.float32)[None, None]
    return Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))


def cut(rows: list[list[int]], side: str) -> list[list[int]]:
    """The disparities of what a side cuts off, row by row: spelled out."""
    if side == "left":
        return [[d for x, d in enumerate(row) if x - d < 1] for row in rows]
    return [[d for x, d in enumerate(row) if x >= WIDTH - 1] for row in rows]


@settings(max_examples=60)
@given(rows=maps)
def test_bars_are_as_wide_as_the_nearest_thing_that_is_cut(rows: list[list[int]]) -> None:
    found = border_parallax(of(rows))
    for side, parallax, bar in zip(("left", "right"), found, window_bars(of(rows)), strict=True):
        expected = [max(each, default=-float("inf")) for each in cut(rows, side)]
        assert parallax[0].tolist() == expected
        assert bar == max(0, *expected)


@settings(max_examples=60)
@given(rows=maps)
def test_nothing_nearer_than_the_window_touches_it(rows: list[list[int]]) -> None:
    """What is nearer than a bar is wide lies inside of the other eye's border, so that both eyes see where it ends."""
    left_bar, right_bar = window_bars(of(rows))
    for row in rows:
        assert all(x - d >= 1 for x, d in enumerate(row) if d > left_bar)
        assert all(x < WIDTH - 1 for x, d in enumerate(row) if d > right_bar)


def eyes() -> tuple[Tensor, Tensor]:
    left = torch.rand(1, 3, 4, WIDTH) + 0.01
    return left.clamp(max=1), (left + 0.01).clamp(max=1)


def test_only_the_outer_sides_are_black() -> None:
    left, right = eyes()
    before = left.clone(), right.clone()
    shown = floating_window(left, right, Disparity.from_pixels(torch.full((4, WIDTH), 2.4)))
    assert torch.equal(left, before[0])
    assert torch.equal(right, before[1])
    assert not bool(shown[0][..., :3].any())
    assert not bool(shown[1][..., -3:].any())
    assert torch.equal(shown[0][..., 3:], left[..., 3:])
    assert torch.equal(shown[1][..., :-3], right[..., :-3])


def test_what_lies_behind_the_screen_needs_none() -> None:
    left, right = eyes()
    behind = Disparity.from_pixels(torch.zeros(4, WIDTH)).converged_at(2)
    for given_eye, shown in zip((left, right), floating_window(left, right, behind), strict=True):
        assert torch.equal(given_eye, shown)


def test_unknown_cells_count_for_nothing() -> None:
    known = torch.ones(1, WIDTH, dtype=torch.bool)
    known[:, -1] = False
    assert window_bars(Disparity.from_pixels(torch.full((1, WIDTH), 5.0), known)) == (5, 0)


def test_sizes_must_agree() -> None:
    left, right = eyes()
    with pytest.raises(GeometryError, match="the left picture is"):
        floating_window(left, right, Disparity.from_pixels(torch.zeros(4, WIDTH - 1)))
    with pytest.raises(GeometryError, match="one pair, got a batch of 2"):
        window_bars(Disparity.from_pixels(torch.zeros(2, 1, 4, WIDTH)))
