"""Layers at depth edges: drawn over one another they are the picture, moved apart they carry no rim along."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import max_pool2d

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, splat, warp_disparity
from stereodiffusion.occlusion import matte, split_at_borders

BOX, WALL, DOOR = (
    torch.tensor(colour).view(1, 3, 1, 1) for colour in ((0.9, 0.3, 0.2), (0.1, 0.4, 0.7), (0.2, 0.8, 0.3))
)


def soft_box(first: float, last: float, door: int = 26, height: int = 24, width: int = 64) -> Tensor:
    """A box before a wall, and left of column `door` a door; borders of the box as soft as a camera makes them."""
    fine = 16
    column = (torch.arange(width * fine) + 0.5) / fine
    share = ((column > first) & (column < last)).float().view(1, 1, 1, width, fine).mean(-1)
    behind = torch.where(torch.arange(width) < door, DOOR, WALL)
    return (share * BOX + (1 - share) * behind).expand(1, 3, height, width).contiguous()


def steps(first: int, last: int, near: float, height: int = 24, width: int = 64) -> Disparity:
    pixels = torch.full((height, width), 2.0)
    pixels[:, first:last] = near
    return Disparity.from_pixels(pixels)


def moved(picture: Tensor, disparity: Disparity) -> tuple[Tensor, Tensor]:
    """Both layers in the right eye, and where something is seen of them."""
    layers = split_at_borders(picture, disparity)
    behind = splat(layers.behind, layers.behind_disparity)
    front = splat(torch.cat([layers.front, layers.opacity], 1), layers.front_disparity).view
    return front[:, :3] + (1 - front[:, 3:]) * behind.view, behind.visible | (front[:, 3:] == 1)


@given(st.integers(0, 2**31 - 1))
def test_drawn_one_over_the_other_they_are_the_picture(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    blocks = 6 * torch.rand((1, 1, 4, 5), generator=generator)
    disparity = Disparity.from_pixels(blocks.repeat_interleave(5, 2).repeat_interleave(6, 3))
    picture = 0.3 + 0.4 * torch.rand((1, 3, 20, 30), generator=generator)
    layers = split_at_borders(picture, disparity)
    assert bool(((layers.opacity >= 0) & (layers.opacity <= 1)).all())
    assert bool((layers.opacity > 0).any())
    assert torch.allclose(layers.front + (1 - layers.opacity) * layers.behind, picture, atol=1e-6)


@pytest.mark.parametrize("level", [30, 98, 128, 250, 254])
@pytest.mark.parametrize("gap", [1, 2])
def test_a_picture_of_one_colour_stays_that_colour(level: int, gap: int) -> None:
    """However thin what the map has before or behind it: colours that differ by rounding alone are still colours."""
    picture = torch.full((1, 3, 24, 64), level / 255)
    pixels = torch.full((24, 64), 9.0)
    for column in range(6, 60, 9):
        pixels[column // 9 :, column : column + gap] = 1.0
    for disparity in (Disparity.from_pixels(pixels), Disparity.from_pixels(10 - pixels)):
        layers = split_at_borders(picture, disparity)
        assert torch.allclose(layers.behind, picture, atol=1e-5)
        assert torch.allclose(layers.front, layers.opacity * picture, atol=1e-5)


@given(st.integers(0, 2**31 - 1), st.floats(-9, 0))
@settings(deadline=None)
def test_behind_are_colours_of_the_picture_however_alike_they_are(seed: int, exponent: float) -> None:
    """Means of colours lie between them, and those of disparities too."""
    generator = torch.Generator().manual_seed(seed)
    picture = 0.9 - 10**exponent * torch.rand((1, 3, 20, 30), generator=generator)
    disparity = Disparity.from_pixels(9.0 * (torch.rand((20, 30), generator=generator) < 0.3))
    layers = split_at_borders(picture, disparity)
    for found, own in ((layers.behind, picture), (layers.behind_disparity.pixels, disparity.pixels)):
        assert float(own.min()) - 1e-5 <= float(found.min())
        assert float(found.max()) <= float(own.max()) + 1e-5
    assert torch.allclose(layers.front + (1 - layers.opacity) * layers.behind, picture, atol=1e-6)


def test_one_surface_is_not_taken_apart() -> None:
    picture = torch.rand((2, 3, 12, 16), generator=torch.Generator().manual_seed(0))
    slope = torch.linspace(0, 6, 16).expand(2, 1, 12, 16).contiguous()
    layers = split_at_borders(picture, Disparity.from_pixels(slope))
    assert torch.equal(layers.behind, picture)
    assert not bool(layers.opacity.any())


@pytest.mark.parametrize(("first", "last"), [(30.5, 44.5), (30.3, 44.8), (30.7, 44.1)])
def test_a_soft_border_leaves_no_rim(first: float, last: float) -> None:
    """The scene as the right eye sees it: the box, ten columns further left, before the door now."""
    picture, disparity = soft_box(first, last), steps(30, 45, 10.0)
    truth = soft_box(first - 10, last - 10, door=26 - 2)
    view, visible = moved(picture, disparity)
    hard = splat(picture, disparity)
    seen = visible & hard.visible
    assert bool(seen[..., 18:37].any())
    soft_error = float((view - truth).abs().amax(1, keepdim=True)[seen].max())
    hard_error = float((hard.view - truth).abs().amax(1, keepdim=True)[seen].max())
    assert soft_error < 0.02
    assert hard_error > 5 * soft_error


def test_the_behind_layer_shows_none_of_the_box_beside_it() -> None:
    layers = split_at_borders(soft_box(30.5, 44.5), steps(30, 45, 10.0))
    beside = torch.cat([layers.behind[..., 29:31], layers.behind[..., 44:46]], -1)
    assert torch.allclose(beside, WALL.expand_as(beside), atol=1e-5)
    assert not bool(warp_disparity(layers.front_disparity).known[..., 45:].any())


def test_a_rim_of_a_third_colour_goes_with_the_box() -> None:
    """A strip along the border narrower than what is looked at: it is a colour of neither surface."""
    picture, disparity = soft_box(30, 44, door=0), steps(30, 45, 10.0)
    picture[..., 44:46] = DOOR
    layers = split_at_borders(picture, disparity)
    assert torch.allclose(layers.behind[..., 44:46], WALL.expand(1, 3, 24, 2), atol=1e-5)
    assert torch.equal(layers.opacity[..., 44], torch.ones(1, 1, 24))  # the map says: near
    least = ((DOOR - WALL) / torch.where(DOOR > WALL, 1 - WALL, -WALL)).max()
    assert torch.allclose(layers.opacity[..., 45], least.expand(1, 1, 24), atol=1e-5)  # it says: far


def test_a_slope_beside_a_border_is_not_in_front() -> None:
    """A floor whose disparity grows downwards, and a box that stands before it."""
    floor = torch.linspace(0, 3, 24).view(24, 1).expand(24, 64).clone()
    floor[2:22, 30:45] += 8
    layers = split_at_borders(soft_box(30, 45), Disparity.from_pixels(floor))
    beside = layers.opacity.clone()
    beside[..., 29:46] = 0
    assert not bool(beside.any())


@given(st.integers(0, 2**31 - 1), st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_the_surfaces_beside_a_border_are_means_of_what_lies_around(seed: int, radius: int) -> None:
    """Cell by cell, from all that is around a cell at once."""
    generator = torch.Generator().manual_seed(seed)
    blocks = 6 * torch.rand((1, 1, 3, 4), generator=generator)
    blocks[..., 1, 1:3] = torch.tensor([0.0, 6.0])  # one border at least
    pixels = blocks.repeat_interleave(10, 2).repeat_interleave(10, 3)
    picture = torch.rand((1, 3, *pixels.shape[2:]), generator=generator)
    layers = split_at_borders(picture, Disparity.from_pixels(pixels), radius=radius)
    jump = torch.nn.functional.max_pool2d(torch.cat([pixels, -pixels], 1), 2 * radius + 1, 1, radius).sum(1)[0] > 1.5
    reach, (height, width) = radius + 1, pixels.shape[2:]
    offset = torch.arange(-reach, reach + 1)
    closeness = 1 / (1 + offset[:, None] ** 2 + offset**2)
    moved = (layers.behind_disparity.pixels != pixels)[0, 0]
    assert bool(moved.any())
    for row, column in moved.nonzero().tolist():
        rows, columns = ((at + offset).clamp(0, side - 1) for at, side in ((row, height), (column, width)))
        around = pixels[0, 0][rows][:, columns]
        far = around <= (around.max() + around.min()) / 2
        weight = closeness * far * ~jump[rows][:, columns]
        if not bool(weight.any()):  # a gap that is all edges; what looks least like the nearer surface tells most
            nearer = closeness * ~far * ~jump[rows][:, columns]
            colours = picture[0][:, rows][:, :, columns]
            front = (nearer * colours).sum((1, 2)) / nearer.sum()
            weight = closeness * far * (colours - front[:, None, None]).square().sum(0)
        mean = (weight * around).sum() / weight.sum()
        torch.testing.assert_close(layers.behind_disparity.pixels[0, 0, row, column], mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "last", "cells", "limit"),
    [
        (30.0, 31.2, (30, 31), 1e-6),
        (30.0, 32.4, (30, 32), 1e-6),
        (30.6, 32.2, (31, 32), 1e-6),
        (30.3, 31.9, (30, 32), 0.08),  # no cell is all wire
    ],
)
def test_a_wire_takes_nothing_of_the_old_background_along(
    first: float, last: float, cells: tuple[int, int], limit: float
) -> None:
    """So thin that all its cells are edges: its colour is that of the cells that look least like the wall."""
    picture, disparity = soft_box(first, last), steps(*cells, 10.0)
    truth = soft_box(first - 10, last - 10, door=26 - 2)
    view, visible = moved(picture, disparity)
    hard = splat(picture, disparity)
    seen = visible & hard.visible
    wire = (..., slice(12, 13), slice(19, 24))  # a row of the wire before the door
    assert bool(seen[wire].all())
    error, hard_error = (float((found - truth)[wire].abs().max()) for found in (view, hard.view))
    assert error < limit
    assert hard_error > 0.12


@pytest.mark.parametrize(("rise", "torn"), [(1.4, False), (2.4, False), (8.0, True)])
def test_a_border_that_the_map_has_roughly_stays_in_one_piece(rise: float, torn: bool) -> None:
    """The upper border of a box, whose left half the map has closer; of two boxes, a gap opens between them."""
    pixels = torch.full((24, 64), 2.0)
    pixels[12:, 20:50] = 10.0
    pixels[12:, 20:35] += rise
    picture = torch.where((torch.arange(24) >= 12).view(24, 1), BOX, WALL).expand(1, 3, 24, 64).contiguous()
    layers = split_at_borders(picture, Disparity.from_pixels(pixels))
    border = splat(layers.opacity, layers.front_disparity).visible[0, 0, 12, 20 - 10 : 50 - 10]
    assert bool((~border[:-5]).any()) == torn


def test_a_map_of_another_size_or_with_gaps_is_refused() -> None:
    picture, disparity = soft_box(30, 45), steps(30, 45, 10.0)
    with pytest.raises(GeometryError, match="its disparity"):
        split_at_borders(picture[..., :-1], disparity)
    gaps = Disparity.from_pixels(disparity.pixels, known=disparity.pixels > 5)
    with pytest.raises(GeometryError, match=r"use disparity\.filled"):
        split_at_borders(picture, gaps)


@pytest.mark.parametrize("slope", [(0.9, 0.0), (0.0, 0.9), (0.6, 0.9)])
def test_a_slope_is_one_surface_however_steep(slope: tuple[float, float]) -> None:
    """Neighbours that lie no more than a column apart stay joined when they are moved, so nothing is a border."""
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    disparity = Disparity.from_pixels(slope[0] * columns + slope[1] * rows)
    picture = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    layers = split_at_borders(picture, disparity)
    assert float(layers.opacity.max()) == 0
    assert torch.equal(layers.behind, picture)
    step = Disparity.from_pixels(disparity.pixels + 3 * (columns >= 16))
    assert float(split_at_borders(picture, step).opacity.max()) > 0


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (12, 7)])
@pytest.mark.parametrize("radius", [1, 2, 5])
def test_the_largest_around_a_cell_is_what_pooling_finds(size: tuple[int, int], radius: int) -> None:
    field = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(radius)) - 3
    expected = max_pool2d(field, 2 * radius + 1, stride=1, padding=radius)
    assert torch.equal(matte._largest(field, radius), expected)  # pyright: ignore[reportPrivateUsage]
