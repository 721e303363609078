"""Fills: what they take, and that texture goes on."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stereodiffusion.baselines.ldi import Fill, exemplar_fill, smooth_fill

each_fill = pytest.mark.parametrize("fill", [exemplar_fill, smooth_fill])


def region(rows: slice, columns: slice) -> Tensor:
    cells = torch.zeros(1, 1, 48, 64, dtype=torch.bool)
    cells[..., rows, columns] = True
    return cells


HOLE = region(slice(18, 30), slice(26, 36))
FRONT = region(slice(18, 30), slice(36, 64))  # what hides it, to be left alone
CONTEXT = ~HOLE & ~FRONT
FLAT = torch.zeros(1, 1, 48, 64)


@each_fill
def test_a_fill_is_a_fill(fill: Fill) -> None:
    assert isinstance(fill, Fill)


@each_fill
def test_nothing_is_taken_from_the_foreground(fill: Fill) -> None:
    picture = torch.rand((1, 3, 48, 64), generator=torch.Generator().manual_seed(0))
    picture[:, 1] = 0.25
    poisoned = torch.where(FRONT, torch.tensor([0.0, 1.0, 0.0])[None, :, None, None], picture)
    filled = fill(poisoned, FLAT, CONTEXT, HOLE)
    hole = filled[:, :, HOLE[0, 0]]
    torch.testing.assert_close(hole[:, 1], torch.full_like(hole[:, 1], 0.25))
    assert bool((hole >= 0).all())
    assert bool((hole <= 1).all())


@each_fill
def test_what_the_region_contained_does_not_matter(fill: Fill) -> None:
    picture = torch.rand((1, 3, 48, 64), generator=torch.Generator().manual_seed(0))
    a, b = (fill(content, FLAT, CONTEXT, HOLE) for content in (picture, picture * ~HOLE))
    assert torch.equal(a[:, :, HOLE[0, 0]], b[:, :, HOLE[0, 0]])


@each_fill
def test_the_context_is_left_as_it_is(fill: Fill) -> None:
    picture = torch.rand((1, 3, 48, 64), generator=torch.Generator().manual_seed(0))
    filled = fill(picture, FLAT, CONTEXT, HOLE)
    assert torch.equal(filled * CONTEXT, picture * CONTEXT)


@each_fill
def test_colour_comes_from_the_surface_of_the_same_depth(fill: Fill) -> None:
    picture = torch.zeros(1, 3, 48, 64)
    picture[:, 0, :, :30], picture[:, 2, :, 30:] = 1.0, 1.0
    depth = torch.zeros(1, 1, 48, 64)
    depth[..., 30:] = 20  # the blue half is nearer; the boundary goes through the hole
    filled = fill(picture, depth, ~HOLE, HOLE)
    torch.testing.assert_close(filled[..., 18:30, 26:30], picture[..., 18:30, 26:30])
    torch.testing.assert_close(filled[..., 18:30, 30:36], picture[..., 18:30, 30:36])


@each_fill
def test_without_any_context_there_is_still_a_colour(fill: Fill) -> None:
    filled = fill(torch.full((1, 3, 48, 64), 0.5), FLAT, torch.zeros_like(HOLE), HOLE)
    torch.testing.assert_close(filled, torch.full((1, 3, 48, 64), 0.5))


def test_a_texture_goes_on() -> None:
    phase = torch.arange(128) * (2 * np.pi / 16)
    stripes = (0.5 + 0.4 * torch.sin(phase)).expand(1, 3, 96, 128).contiguous()
    flat = torch.zeros(1, 1, 96, 128)
    hole = torch.zeros(1, 1, 96, 128, dtype=torch.bool)
    hole[..., 32:64, 48:80] = True
    error = {
        fill: float((fill(stripes, flat, ~hole, hole) - stripes)[:, :, hole[0, 0]].abs().mean())
        for fill in (exemplar_fill, smooth_fill)
    }
    assert error[exemplar_fill] < 0.1
    assert error[exemplar_fill] < 0.5 * error[smooth_fill]
