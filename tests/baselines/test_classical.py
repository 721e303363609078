"""Classical inpainting, held against OpenCV itself."""

from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from stereodiffusion.baselines.blank import warp
from stereodiffusion.baselines.classical import inpaint_holes, navier_stokes, telea
from stereodiffusion.errors import FormatError
from stereodiffusion.geometry import Disparity

REFUSED = (FormatError, TypeCheckError)  # the latter where the declared shapes are checked at run time
FLAGS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}


@pytest.mark.parametrize("method", FLAGS)
def test_holes_are_what_opencv_paints(method: Literal["telea", "navier-stokes"], picture: Tensor) -> None:
    levels = (picture * 255).round()
    visible = torch.rand((1, 1, 24, 40), generator=torch.Generator().manual_seed(1)) < 0.8
    hole = (~visible[0, 0]).numpy().astype(np.uint8)
    painted = cv2.inpaint(levels[0].permute(1, 2, 0).byte().numpy(), hole, 3, FLAGS[method])
    filled = inpaint_holes(levels / 255, visible, method=method)
    np.testing.assert_array_equal((filled * 255).round()[0].permute(1, 2, 0).numpy(), painted)


def test_what_a_hole_contains_does_not_matter(picture: Tensor) -> None:
    visible = torch.ones(1, 1, 24, 40, dtype=torch.bool)
    visible[..., 8:14, 10:18] = False
    expected = inpaint_holes(picture, visible, method="telea")
    assert torch.equal(inpaint_holes(picture * visible, visible, method="telea"), expected)


def test_the_methods_fill_the_occlusions_of_the_subpixel_warp(picture: Tensor, relief: Disparity) -> None:
    warped = warp(picture, relief, registration="subpixel")
    by_telea = inpaint_holes(warped.view, warped.visible, method="telea")
    by_flow = inpaint_holes(warped.view, warped.visible, method="navier-stokes")
    assert torch.equal(telea(picture, relief), by_telea)
    assert torch.equal(navier_stokes(picture, relief), by_flow)
    assert not torch.equal(by_telea, by_flow)


def test_a_batch_is_refused(picture: Tensor) -> None:
    with pytest.raises(REFUSED):
        telea(picture.expand(2, -1, -1, -1), Disparity.from_pixels(torch.ones(24, 40)))
