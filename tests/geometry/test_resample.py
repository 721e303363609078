"""Resizing keeps surfaces: none vanishes, none is invented."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity

sizes = st.integers(1, 23)


@given(sizes, sizes, sizes, sizes, st.floats(0, 100))
@settings(deadline=None, max_examples=60)
def test_a_wall_stays_a_wall_and_scales_with_the_width(h: int, w: int, height: int, width: int, d: float) -> None:
    resized = Disparity.from_pixels(torch.full((h, w), d)).resize(height, width)
    assert resized.size == (height, width)
    torch.testing.assert_close(resized.pixels, torch.full_like(resized.pixels, d * width / w))


@given(sizes, sizes, sizes, sizes, st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_no_depth_is_invented_between_separate_surfaces(h: int, w: int, height: int, width: int, seed: int) -> None:
    levels = torch.randint(0, 5, (h, w), generator=torch.Generator().manual_seed(seed)) * 3.0
    resized = Disparity.from_pixels(levels).resize(height, width)
    unscaled = (resized.pixels * w / width).unique()
    assert bool(((unscaled / 3 - (unscaled / 3).round()).abs() < 1e-5).all())
    # The nearest surface of all is still there after shrinking.
    if height <= h and width <= w:
        assert unscaled.max() == pytest.approx(levels.max().item())


@given(st.integers(0, 62))
@settings(deadline=None, max_examples=20)
def test_a_two_pixel_pole_survives_eightfold_reduction(column: int) -> None:
    pixels = torch.full((64, 64), 4.0)
    pixels[:, column : column + 2] = 24.0
    coarse = Disparity.from_pixels(pixels).resize(8, 8).pixels[0, 0]
    nearest = coarse.amax(dim=1)
    torch.testing.assert_close(nearest, torch.full((8,), 3.0))
    assert set(coarse.flatten().tolist()) == {0.5, 3.0}


@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 20), (16, 64), (64, 16), (128, 128), (100, 90)])
def test_a_slanted_plane_stays_in_place(height: int, width: int) -> None:
    def plane(h: int, w: int) -> torch.Tensor:
        y, x = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
        return (0.1 * y + 0.2 * x) * w

    resized = Disparity.from_pixels(plane(64, 64)).resize(height, width).pixels[0, 0]
    inner = (slice(height // 16 + 1, -(height // 16) - 1), slice(width // 16 + 1, -(width // 16) - 1))
    error = (resized - plane(height, width))[inner].abs().max().item()
    assert error < (1e-3 if min(height, width) >= 64 else 0.15)  # at most what a quarter of a cell makes


def test_the_same_size_is_the_identity() -> None:
    pixels = torch.rand(2, 1, 5, 7) * 9
    assert torch.equal(Disparity.from_pixels(pixels).resize(5, 7).pixels, pixels)


def test_unknown_cells_never_mix_in() -> None:
    pixels = torch.full((8, 8), 6.0)
    known = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) < 0.3
    known[:4, :4] = False
    sparse = Disparity.from_pixels(pixels, known=known)
    coarse = sparse.resize(2, 2)
    assert coarse.known.flatten().tolist() == [False, True, True, True]
    assert coarse.pixels.flatten().tolist() == [0, 1.5, 1.5, 1.5]
    fine = sparse.resize(16, 16)
    assert torch.equal(fine.known[0, 0], known.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert set(fine.pixels[fine.known].tolist()) == {12.0}


@pytest.mark.parametrize(("height", "width"), [(0, 4), (4, -1)])
def test_impossible_sizes_are_refused(height: int, width: int) -> None:
    with pytest.raises(GeometryError, match="at least 1"):
        Disparity.from_pixels(torch.ones(4, 4)).resize(height, width)
