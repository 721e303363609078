"""Lines that run into a hole go on in it as they came."""

import pytest
import torch
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.occlusion import extend_background
from stereodiffusion.occlusion.lines import isophotes

SIZE = 96
HOLE = slice(80, SIZE)


def stripes(slope: float) -> Tensor:
    """Soft stripes, ten rows apart, that fall by `slope` rows per column."""
    row, column = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE).float(), indexing="ij")
    return (0.5 + 0.4 * torch.sin((row - slope * column) * (2 * torch.pi / 10))).expand(1, 3, SIZE, SIZE).contiguous()


def fan() -> Tensor:
    """Sixteen rays from a point at the left."""
    row, column = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE).float(), indexing="ij")
    angle = torch.atan2(row - SIZE / 2, column + 60)
    return (0.5 + 0.4 * torch.sin(60 * angle)).expand(1, 3, SIZE, SIZE).contiguous()


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def with_hole(columns: slice = HOLE) -> Disparity:
    known = torch.ones((1, 1, SIZE, SIZE), dtype=torch.bool)
    known[..., columns] = False
    return Disparity(pixels=torch.zeros((1, 1, SIZE, SIZE)), known=known)


@pytest.mark.parametrize("slope", [-1.2, -0.5, 0.0, 0.3, 0.9])
def test_the_slope_of_stripes_is_found(slope: float) -> None:
    lines = isophotes(stripes(slope), with_hole())
    inside = lines.slope[..., 20:-20, 20:70]
    assert torch.allclose(inside, torch.tensor(slope), rtol=0.07, atol=1e-3)  # differences shorten short waves
    assert float(lines.coherence[..., 20:-20, 20:70].min()) > 0.98


def test_little_that_is_known_tells_as_much_as_all() -> None:
    """A patch of twelve by twelve cells, seen from the corner of what is looked at."""
    faint = 0.5 + 0.1 * (stripes(0.3) - 0.5)
    known = torch.zeros((1, 1, SIZE, SIZE), dtype=torch.bool)
    known[..., 40:52, 40:52] = True
    lines = isophotes(faint, Disparity(pixels=torch.zeros((1, 1, SIZE, SIZE)), known=known))
    told = lines.slope[..., 40:66, 40:66]
    assert torch.allclose(told, torch.tensor(0.3), rtol=0.2)
    beyond = lines.slope.clone()
    beyond[..., 25:67, 25:67] = 0
    assert not bool(beyond.any())


def test_noise_and_even_surfaces_have_no_lines() -> None:
    noise = torch.rand((1, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    for view in (noise, torch.full((1, 3, SIZE, SIZE), 0.5)):
        assert not bool(isophotes(view, with_hole()).slope.any())


def test_a_border_between_surfaces_is_no_line() -> None:
    """The outline of a nearer thing does not say how what is behind it runs."""
    row, column = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    near = (row - column // 2 > 20).expand(1, 1, SIZE, SIZE)
    picture = near.float().expand(1, 3, SIZE, SIZE).contiguous()
    assert bool(isophotes(picture, with_hole()).slope.any())
    assert not bool(isophotes(picture, Disparity.from_pixels(torch.where(near, 9.0, 1.0)[0, 0])).slope.any())


@pytest.mark.parametrize("picture", [stripes(-0.5), stripes(0.9), fan()], ids=["up", "down", "fan"])
def test_lines_go_on_through_the_hole(picture: Tensor) -> None:
    """At mid height, where no line comes from above or below the frame. Far from what is known they grow paler."""
    filled = extend_background(picture, with_hole())
    inside = (..., slice(25, -25), slice(80, 92))
    along_rows = picture[..., 79:80].expand_as(picture)
    missed, missed_along_rows = (1 - correlation(view[inside], picture[inside]) for view in (filled, along_rows))
    assert missed < 0.05
    assert missed < missed_along_rows / 2


def test_lines_go_on_from_the_farther_side() -> None:
    """Behind a box at the left of the hole; the wall at its right is farther away and is what shows."""
    picture, seen = stripes(0.5), with_hole(slice(40, 50))
    pixels = torch.where(torch.arange(SIZE) < 45, 20.0, 0.0).expand(1, 1, SIZE, SIZE)
    view = torch.where(torch.arange(SIZE) < 45, torch.tensor(0.0), picture)
    filled = extend_background(view, Disparity(pixels=pixels * seen.known, known=seen.known))
    error = (filled - picture)[..., 25:-25, 40:50].abs().mean()
    assert float(error) < 0.1
