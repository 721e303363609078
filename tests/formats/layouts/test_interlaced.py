from typing import get_args

import pytest
import torch

from stereodiffusion.formats import interlaced, separated
from stereodiffusion.formats.layouts.interlaced import Pattern

PATTERNS = get_args(Pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("channels", [3, 4])
def test_what_is_shown_comes_back_exactly(pattern: Pattern, channels: int) -> None:
    left, right = torch.rand(2, 1, channels, 7, 9, generator=torch.Generator().manual_seed(0))
    frame = interlaced(left, right, pattern)
    assert torch.equal(interlaced(*separated(frame, pattern), pattern), frame)


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("rows", ["lllll", "rrrrr", "lllll", "rrrrr"]),
        ("columns", ["lrlrl", "lrlrl", "lrlrl", "lrlrl"]),
        ("checkerboard", ["lrlrl", "rlrlr", "lrlrl", "rlrlr"]),
    ],
)
def test_whose_pixel_is_where(pattern: Pattern, rows: list[str]) -> None:
    frame = interlaced(torch.zeros(1, 3, 4, 5), torch.ones(1, 3, 4, 5), pattern)
    assert ["".join("lr"[int(pixel)] for pixel in row) for row in frame[0, 0]] == rows


@pytest.mark.parametrize("pattern", PATTERNS)
def test_between_what_is_shown_a_slope_stays_a_slope(pattern: Pattern) -> None:
    slope = (torch.arange(8.0)[:, None] + 2 * torch.arange(10.0)).expand(1, 3, 8, 10) / 40
    for eye in separated(interlaced(slope, slope, pattern), pattern):
        assert torch.allclose(eye[..., 1:-1, 1:-1], slope[..., 1:-1, 1:-1])
