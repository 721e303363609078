"""Classical inpainting of the occlusions: Telea (2004) and Navier-Stokes (Bertalmio et al. 2001), by OpenCV.

Visible pixels move with sub-pixel accuracy unless told otherwise: cracks are the warp's business, not the inpainting's.
"""

from typing import Literal

import cv2
import numpy as np
import torch

from stereodiffusion.baselines.blank import Registration, warp
from stereodiffusion.formats.pictures.image import to_levels
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Region

_RADIUS_PX = 3.0  # OpenCV's own examples; wider is slower and blurs


def telea(left: Image, disparity: Disparity, *, registration: Registration = "subpixel") -> Image:
    """The right view, its occlusions filled by Telea's fast marching.

    Args:
        left: (1, 3, h, w), sRGB in [0, 1].
        disparity: of the left view on the same grid; unknown cells are not drawn.
        registration: how the visible pixels move.

    Raises:
        FormatError: If there is more than one picture.
        GeometryError: If the disparity is of another size.
    """
    warped = warp(left, disparity, registration=registration)
    return inpaint_holes(warped.view, warped.visible, method="telea")


def navier_stokes(left: Image, disparity: Disparity, *, registration: Registration = "subpixel") -> Image:
    """As `telea`, but along isophotes, as a fluid flows."""
    warped = warp(left, disparity, registration=registration)
    return inpaint_holes(warped.view, warped.visible, method="navier-stokes")


def inpaint_holes(picture: Image, visible: Region, *, method: Literal["telea", "navier-stokes"]) -> Image:
    """Fill what is not visible in one picture; visible cells keep their values, filled ones have 8 bits."""
    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    hole = (~visible[0, 0]).cpu().numpy().astype(np.uint8)
    levels = cv2.inpaint(to_levels(picture), hole, _RADIUS_PX, flag)
    filled = torch.from_numpy(levels).permute(2, 0, 1)[None].to(picture) / 255
    return torch.where(visible, picture, filled)
