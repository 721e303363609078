from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import read_metadata
from stereodiffusion.formats.layouts.quilt import Quilt, quilt_grid, quilts_of
from stereodiffusion.formats.pictures.image import from_pil, open_picture


def grey(level: int) -> Tensor:
    return torch.full((1, 3, 4, 3), level / 255)


@pytest.mark.parametrize(
    ("count", "size", "grid"),
    [(48, (4, 3), (8, 6)), (45, (9, 16), (5, 9)), (66, (16, 9), (11, 6)), (7, (3, 4), (1, 7)), (1, (5, 5), (1, 1))],
)
def test_the_grids_of_the_displays_come_by_themselves(count: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    """Portrait, 16 and 32 inches, Go."""
    assert quilt_grid(count, *size) == grid


@given(st.integers(1, 200), st.integers(1, 5000), st.integers(1, 5000))
def test_a_grid_has_a_place_for_every_view_and_no_other(count: int, height: int, width: int) -> None:
    columns, rows = quilt_grid(count, height, width)
    assert columns * rows == count


def test_views_go_from_the_lower_left_to_the_upper_right(tmp_path: Path) -> None:
    quilt = Quilt(6, 4, 3)
    for number in reversed(range(6)):
        quilt.put(number, grey(40 * number))
    file = quilt.named(tmp_path / "cat.png")
    assert file == tmp_path / "cat_qs3x2a0.75.png"
    file.write_bytes(quilt.encode(".png", {"seed": 3}))
    levels = (from_pil(open_picture(file.read_bytes()))[0, 0] * 255).round()
    assert levels[::4, ::3].tolist() == [[120, 160, 200], [0, 40, 80]]
    assert torch.equal(levels, levels[::4, ::3].repeat_interleave(4, 0).repeat_interleave(3, 1))
    assert read_metadata(file) == {"seed": 3}
    assert quilts_of(tmp_path / "cat.png") == [file]
    assert quilts_of(tmp_path / "c*.png") == []


def test_what_has_no_place_is_refused() -> None:
    quilt = Quilt(6, 4, 3)
    for number in (-1, 6):
        with pytest.raises(FormatError, match=f"expected a view below 6, got number {number}"):
            quilt.put(number, grey(0))
    with pytest.raises(FormatError, match="expected views of 3 x 4, got 4 x 3"):
        quilt.put(0, grey(0).mT)
    with pytest.raises(FormatError, match="at least one view, got 0"):
        quilt_grid(0, 4, 3)
