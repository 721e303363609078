"""Identity, leave blank and stretch; and what holds for every method that warps."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stereodiffusion.baselines.blank import Registration, leave_blank, warp
from stereodiffusion.baselines.classical import navier_stokes, telea
from stereodiffusion.baselines.identity import identity
from stereodiffusion.baselines.ldi import photography_3d
from stereodiffusion.baselines.stretch import stretch, stretch_holes
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image

Method = Callable[[Image, Disparity], Image]
REGISTRATIONS: tuple[Registration, ...] = ("nearest", "subpixel")
FILLS = {"blank": leave_blank, "stretch": stretch, "telea": telea, "navier-stokes": navier_stokes}
WARPING: dict[str, Method] = {"photography-3d": photography_3d} | {
    f"{name}-{registration}": partial(method, registration=registration)
    for name, method in FILLS.items()
    for registration in REGISTRATIONS
}
each_method = pytest.mark.parametrize("method", WARPING.values(), ids=WARPING)
each_registration = pytest.mark.parametrize("registration", REGISTRATIONS)


def constant(d: float) -> Disparity:
    return Disparity.from_pixels(torch.full((24, 40), float(d)))


@each_method
def test_zero_disparity_is_the_identity(method: Method, picture: Tensor) -> None:
    assert torch.equal(method(picture, constant(0)), picture)


@each_method
@pytest.mark.parametrize("d", [1, 7])
def test_constant_disparity_is_an_exact_shift(method: Method, d: int, picture: Tensor) -> None:
    right = method(picture, constant(d))
    assert right.shape == picture.shape
    assert torch.equal(right[..., : 40 - d], picture[..., d:])


@each_method
def test_another_size_is_refused(method: Method, picture: Tensor) -> None:
    with pytest.raises(GeometryError, match="24 x 40"):
        method(picture, Disparity.from_pixels(torch.zeros(24, 39)))


def test_identity_is_the_left_view(picture: Tensor, relief: Disparity) -> None:
    assert torch.equal(identity(picture, relief), picture)


@each_registration
@pytest.mark.parametrize("method", FILLS.values(), ids=FILLS)
def test_a_fill_leaves_visible_pixels_alone(
    method: Callable[..., Image], registration: Registration, picture: Tensor, relief: Disparity
) -> None:
    warped = warp(picture, relief, registration=registration)
    assert bool(warped.occlusion.any())
    right = method(picture, relief, registration=registration)
    assert torch.equal(right * warped.visible, warped.view)


@each_registration
def test_leave_blank_is_black_where_the_left_eye_sees_nothing(
    registration: Registration, picture: Tensor, relief: Disparity
) -> None:
    right = leave_blank(picture, relief, registration=registration)
    black = (right == 0).all(dim=1, keepdim=True)
    assert torch.equal(black, warp(picture, relief, registration=registration).occlusion)


def test_nearest_moves_each_pixel_to_the_rounded_column_and_the_nearer_wins(picture: Tensor, relief: Disparity) -> None:
    expected = torch.zeros_like(picture)
    front = torch.full((24, 40), -1.0)
    for row in range(24):
        for column in range(40):
            d = round(float(relief.pixels[0, 0, row, column]))
            lands = column - d
            if bool(relief.known[0, 0, row, column]) and lands >= 0 and d > float(front[row, lands]):
                front[row, lands] = d
                expected[0, :, row, lands] = picture[0, :, row, column]
    assert torch.equal(leave_blank(picture, relief), expected)


def test_subpixel_leaves_no_cracks_on_a_slanted_wall(picture: Tensor) -> None:
    wall = Disparity.from_pixels(torch.linspace(8, 0, 40).expand(24, 40))
    # Nearest on the left: the wall is drawn out in the right view.
    assert bool(warp(picture, wall).occlusion[..., :38].any())
    assert not bool(warp(picture, wall, registration="subpixel").occlusion.any())


@given(st.integers(0, 2**31), st.floats(0.02, 0.9))
@settings(deadline=None, max_examples=30)
def test_stretch_is_linear_interpolation_on_the_rows(seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    picture = torch.rand((2, 3, 7, 19), generator=generator, dtype=torch.float64)
    visible = torch.rand((2, 1, 7, 19), generator=generator) < share
    visible[..., 4] = True  # something in every row
    expected = picture.numpy().copy()
    for b, c, row in np.ndindex(2, 3, 7):
        at = np.flatnonzero(visible[b, 0, row].numpy())
        expected[b, c, row] = np.interp(np.arange(19), at, picture[b, c, row].numpy()[at])
    filled = stretch_holes(picture, visible)
    np.testing.assert_allclose(filled.numpy(), expected, atol=1e-12)
    assert torch.equal(filled[visible.expand_as(filled)], picture[visible.expand_as(picture)])


def test_rows_that_show_nothing_are_interpolated_between_their_neighbours() -> None:
    picture = torch.tensor([0.9, 0.2, 0.0, 0.0, 0.8, 0.3])[None, None, :, None].expand(1, 3, 6, 5).contiguous()
    visible = torch.zeros(1, 1, 6, 5, dtype=torch.bool)
    visible[:, :, 1, 2:4] = visible[:, :, 4, 0] = True
    filled = stretch_holes(picture, visible)
    expected = torch.tensor([0.2, 0.2, 0.4, 0.6, 0.8, 0.8])[None, None, :, None].expand_as(picture)
    torch.testing.assert_close(filled, expected)


def test_a_picture_that_shows_nothing_stays_black(picture: Tensor) -> None:
    assert not bool(stretch_holes(picture, torch.zeros(1, 1, 24, 40, dtype=torch.bool)).any())
