"""A curve spreads relief anew and never reverses two points, exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.curve import along_curve

curves = st.lists(st.floats(0, 1, width=32), max_size=5).map(lambda inner: (0.0, *sorted(inner), 1.0))
values = st.lists(st.floats(-300, 300, width=32), min_size=2, max_size=40)


def row(given: list[float]) -> Disparity:
    pixels = torch.tensor(given, dtype=torch.float32)[None, None, None]
    return Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))


@given(curve=curves, given_px=values)
def test_order_and_ends_stay(curve: tuple[float, ...], given_px: list[float]) -> None:
    disparity = row(sorted(given_px))
    moved = along_curve(disparity, curve).pixels
    assert bool((moved.diff(dim=3) >= 0).all())  # to the last bit
    assert (moved.min(), moved.max()) == (disparity.pixels.min(), disparity.pixels.max())


@given(curve=curves)
def test_order_stays_at_the_finest(curve: tuple[float, ...]) -> None:
    """Values that are next to each other among the floats, around each corner of the curve."""
    corners = np.linspace(0, 7, len(curve), dtype=np.float32)
    around = [corners]
    for _ in range(3):
        around += [np.nextafter(around[-1], np.float32(9)), np.nextafter(around[0], np.float32(-9))]
    disparity = row(sorted(np.clip(np.concatenate(around), 0, 7).tolist()))
    assert bool((along_curve(disparity, curve).pixels.diff(dim=3) >= 0).all())


def test_it_is_linear_interpolation() -> None:
    pixels = torch.rand(1, 1, 20, 30, dtype=torch.float64) * 9 - 2
    disparity = Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))
    low, high = float(pixels.min()), float(pixels.max())
    expected = low + (high - low) * np.interp(
        ((pixels - low) / (high - low)).numpy(), [0, 1 / 3, 2 / 3, 1], [0, 0.6, 0.7, 1]
    )
    assert along_curve(disparity, (0, 0.6, 0.7, 1)).pixels.numpy() == pytest.approx(expected)


def test_each_picture_has_its_own_range_and_unknown_cells_stay_unknown() -> None:
    pixels = torch.tensor([[0.0, 1.0, 2.0, 99.0], [0.0, 10.0, 20.0, 0.0]])[:, None, None]
    known = torch.tensor([[True, True, True, False], [True, True, True, True]])[:, None, None]
    disparity = Disparity(pixels=torch.where(known, pixels, 0.0), known=known)
    moved = along_curve(disparity, (0.0, 0.25, 1.0))
    assert moved.pixels.flatten().tolist() == [0, 0.5, 2, 0, 0, 5, 20, 0]
    assert torch.equal(moved.known, known)


def test_a_map_without_relief() -> None:
    assert along_curve(row([3.0, 3.0]), (0.0, 0.9, 1.0)).pixels.tolist() == [[[[3.0, 3.0]]]]


@pytest.mark.parametrize("curve", [(), (0.0,), (0.0, 0.8, 0.6, 1.0), (0.1, 1.0), (0.0, 0.9), (1.0, 0.0)])
def test_what_is_no_curve(curve: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError, match="begin with 0, never fall and end with 1"):
        along_curve(row([0.0, 1.0]), curve)
