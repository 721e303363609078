"""Occlusions are filled from the background, and from nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, splat, warp_disparity
from stereodiffusion.occlusion import extend_background

RED, GREEN, BLUE = (torch.tensor(colour).view(1, 3, 1, 1) for colour in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)))


def box_before_wall(height: int = 40, width: int = 48) -> tuple[Tensor, Disparity]:
    """A red box, 8 columns nearer than a wall that is green above and blue below."""
    picture = GREEN.expand(1, 3, height, width).clone()
    picture[..., height // 2 :, :] = BLUE
    pixels = torch.full((height, width), 2.0)
    picture[..., 4:36, 20:30] = RED
    pixels[4:36, 20:30] = 10.0
    return picture, Disparity.from_pixels(pixels)


def moved(picture: Tensor, disparity: Disparity) -> tuple[Tensor, Disparity]:
    return splat(picture, disparity).view, warp_disparity(disparity)


def test_an_occlusion_takes_the_colours_of_the_wall_and_none_of_the_box() -> None:
    view, seen = moved(*box_before_wall())
    hole = ~seen.known
    assert int(hole[..., 4:36, :40].sum()) == 32 * 8  # behind the box
    filled = extend_background(view, seen)
    assert float(filled[:, :1][hole].max()) < 1e-6
    assert torch.allclose(filled.sum(1, keepdim=True)[hole], torch.tensor(1.0))
    above, below = filled[0, :, 6, 22], filled[0, :, 33, 22]  # two columns inside, fourteen rows off the wall's line
    assert float(above[1]) > 0.95
    assert float(below[2]) > 0.95


def test_what_is_known_stays_bit_for_bit() -> None:
    view, seen = moved(*box_before_wall())
    filled = extend_background(view, seen)
    assert torch.equal(filled.masked_select(seen.known), view.masked_select(seen.known))


@given(st.integers(0, 2**31 - 1))
@settings(deadline=None)
def test_filled_values_lie_between_known_ones(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    view = torch.rand((2, 3, 13, 17), generator=generator)
    known = torch.rand((2, 1, 13, 17), generator=generator) < 0.5
    known[:, :, 0, 0] = True
    pixels = 5 * torch.rand((2, 1, 13, 17), generator=generator)
    filled = extend_background(view, Disparity(pixels=pixels.masked_fill(~known, 0), known=known))
    for one, where, whole in zip(view, known, filled, strict=True):
        values = one[where.expand_as(one)].view(3, -1)
        low, high = values.amin(1).view(3, 1, 1), values.amax(1).view(3, 1, 1)
        assert bool(((whole >= low - 1e-5) & (whole <= high + 1e-5)).all())


def test_one_surface_is_interpolated_in_the_middle_of_a_gap() -> None:
    ramp = torch.linspace(0, 1, 41).expand(1, 1, 64, 41)
    known = torch.ones_like(ramp, dtype=torch.bool)
    known[..., 16:25] = False
    seen = Disparity(pixels=torch.ones_like(ramp).masked_fill(~known, 0), known=known)
    filled = extend_background(ramp, seen)
    half_a_column = 0.5 / 40  # the cells of the mip-map do not lie symmetrically about the gap
    assert float((filled - ramp).abs()[..., 20].max()) < half_a_column


def test_rows_without_anything_take_from_their_neighbours_and_nothing_gives_nothing() -> None:
    view = torch.full((1, 1, 9, 9), 0.25)
    known = torch.ones((1, 1, 9, 9), dtype=torch.bool)
    known[..., 3:6, :] = False
    pixels = torch.ones((1, 1, 9, 9))
    seen = Disparity(pixels=pixels.masked_fill(~known, 0), known=known)
    assert torch.allclose(extend_background(view * known, seen), view)
    nothing = Disparity(pixels=torch.zeros_like(pixels), known=torch.zeros_like(known))
    assert not bool(extend_background(view, nothing).any())


def test_another_size_is_refused() -> None:
    view, seen = moved(*box_before_wall())
    with pytest.raises(GeometryError, match="its disparity"):
        extend_background(view[..., :-1], seen)
