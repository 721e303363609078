"""A picture cut into bands of rows gives what the whole picture gives, bit for bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import max_pool2d

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, bands, in_bands
from stereodiffusion.geometry.bands import CELLS_AT_ONCE

WIDTH = 2048
HEIGHT = CELLS_AT_ONCE // WIDTH + 60  # more than a band


@given(st.integers(1, 300), st.integers(1, 50), st.integers(0, 40), st.sampled_from([1, 2, 16]), st.integers(1, 2000))
def test_every_row_is_in_one_band_which_sees_its_halo(
    height: int, width: int, halo: int, align: int, cells: int
) -> None:
    cut = list(bands(height, width, halo=halo, align=align, cells=cells))
    assert [row for band in cut for row in range(height)[band.rows]] == list(range(height))
    for band in cut:
        assert band.seen.start <= max(0, band.rows.start - halo)
        assert band.seen.stop >= min(height, band.rows.stop + halo)
        assert band.rows.start % align == band.seen.start % align == 0
        assert range(height)[band.seen][band.within] == range(height)[band.rows]
        assert len(range(height)[band.seen]) * width <= max(cells, width * 4 * (halo + align))


@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**31 - 1))
def test_what_looks_as_far_as_the_halo_comes_out_the_same(height: int, reach: int, seed: int) -> None:
    field = torch.rand((2, 3, height, 7), generator=torch.Generator().manual_seed(seed))

    def largest_and_sum(field: Tensor) -> tuple[Tensor, Tensor]:
        largest = max_pool2d(field, (2 * reach + 1, 1), stride=1, padding=(reach, 0))
        return largest, largest.sum(dim=-1, keepdim=True)  # of another width

    whole = largest_and_sum(field)
    banded = in_bands(largest_and_sum, field, halo=reach, cells=100)
    assert all(torch.equal(one, other) for one, other in zip(whole, banded, strict=True))


def large_map() -> Disparity:
    """Steps and slopes, a fifth of the cells unknown; more than a band."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    pixels = 5.0 + rows / 200 + 12.0 * ((rows // 37 + columns // 53) % 3 == 0)
    known = torch.rand((HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0)) > 0.2
    return Disparity.from_pixels(pixels, known)


def test_a_large_map_is_filled_and_resized_as_its_parts_are() -> None:
    disparity = large_map()
    part = disparity.crop(CELLS_AT_ONCE // WIDTH - 20, 0, 40, WIDTH)  # around the end of the first band
    for whole, of_part in (
        (disparity.filled(), part.filled()),
        (disparity.resize(HEIGHT, WIDTH // 3), part.resize(40, WIDTH // 3)),
        (disparity.resize(HEIGHT, WIDTH + 3), part.resize(40, WIDTH + 3)),
    ):
        same_rows = whole.crop(CELLS_AT_ONCE // WIDTH - 20, 0, 40, whole.width)
        assert torch.equal(same_rows.pixels, of_part.pixels)
        assert torch.equal(same_rows.known, of_part.known)


def test_a_map_that_needs_nothing_is_returned_as_it_is() -> None:
    dense = large_map().filled()
    assert dense.filled() is dense
    assert dense.resize(*dense.size) is dense


@pytest.mark.parametrize(
    ("height", "width", "halo", "align"), [(0, 1, 0, 1), (1, 0, 0, 1), (1, 1, -1, 1), (1, 1, 0, 0)]
)
def test_numbers_that_make_no_bands_are_refused(height: int, width: int, halo: int, align: int) -> None:
    with pytest.raises(GeometryError, match="at least"):
        list(bands(height, width, halo=halo, align=align))
