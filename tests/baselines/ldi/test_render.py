"""The right eye's view of a layered image, held against the splat of `geometry`."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from tests.baselines.ldi.making import box_before_wall

from stereodiffusion.baselines.ldi.edges import find_discontinuities
from stereodiffusion.baselines.ldi.layered import LayeredImage, from_picture
from stereodiffusion.baselines.ldi.render import look, paint, seen_pixels
from stereodiffusion.geometry import Disparity, splat


def single_layer(colour: Float[np.ndarray, "h w 3"], disparity: Float[np.ndarray, "h w"]) -> LayeredImage:
    edges = find_discontinuities(disparity, shortest=1)
    return from_picture(colour, disparity, margin=0, cut_right=edges.right > 0, cut_down=edges.down > 0)


def noise(height: int, width: int, seed: int) -> Float[np.ndarray, "h w 3"]:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def test_from_the_left_eye_the_picture_is_the_picture() -> None:
    colour = noise(9, 17, 0)
    image = single_layer(colour, np.zeros((9, 17), dtype=np.float32))
    view = look(image, 17)
    assert not view.hole.any()
    assert seen_pixels(image, view).all()
    np.testing.assert_array_equal(paint(image, view), colour)


@given(st.integers(1, 4), st.integers(2, 24), st.integers(0, 2**31), st.booleans())
@settings(deadline=None, max_examples=80)
def test_one_layer_is_seen_as_the_splat_sees_it(height: int, width: int, seed: int, slanted: bool) -> None:
    generator = np.random.default_rng(seed)
    steps = generator.integers(0, 4, (height, width)) * 3.0
    # In steps of the splat's fixed-point grid: no jump lies in the tolerance between "one column" and "a cut".
    slope = generator.integers(0, 30, (height, width)) / 32 if slanted else 0.0
    disparity = np.asarray(steps + slope, dtype=np.float32)
    colour = noise(height, width, seed)
    view = look(image := single_layer(colour, disparity), width)
    picture = torch.from_numpy(colour).permute(2, 0, 1)[None]
    warped = splat(picture, Disparity.from_pixels(torch.from_numpy(disparity)))
    np.testing.assert_array_equal(view.hole, warped.occlusion[0, 0].numpy())
    painted = torch.from_numpy(paint(image, view)).permute(2, 0, 1)[None]
    torch.testing.assert_close(painted * warped.visible, warped.view, atol=2e-3, rtol=0)


def test_holes_take_the_colour_behind_them() -> None:
    scene = box_before_wall()
    image = single_layer(scene.colour, scene.disparity)
    view = look(image, scene.colour.shape[1])
    assert view.hole[10:30].any()
    hole = paint(image, view)[view.hole]
    assert (hole[:, 1] < 0.5).all()  # none of the box's green


def test_seen_pixels_are_the_ones_that_are_not_hidden() -> None:
    scene = box_before_wall()
    image = single_layer(scene.colour, scene.disparity)
    seen = seen_pixels(image, look(image, scene.colour.shape[1]))[0]
    assert seen[:, 2:][scene.box[:, 2:]].all()
    # The box moves ten columns further left than the wall and hides as many of it; two leave the frame.
    assert not seen[10:30, 14:24].any()
    assert seen[10:30, 2:14].all()
    assert not seen[:, :2].any()
