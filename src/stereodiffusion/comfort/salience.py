"""What people look at: what stands out, in the middle, and near; and how far away that is.

Three factors are multiplied: the spectral residual of the picture, which is large where it differs from its own
regularities (X. Hou, L. Zhang: Saliency Detection: A Spectral Residual Approach, CVPR 2007; OpenCV's implementation);
a Gaussian about the middle, where people look first whatever is there (B. W. Tatler: The central fixation bias in scene
viewing, Journal of Vision 7(14):4, 2007); and nearness. The screen is put at the median of the disparity so weighted:
half of what is looked at lies before it. Nothing is random and nothing is learnt.
"""

import cv2
import torch
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.accept import check_picture
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.geometry.relative import unit_range
from stereodiffusion.metrics.levels import colour_levels
from stereodiffusion.types import Image, Map

_SPREAD = 0.25  # of the sides: standard deviation of the Gaussian
_LEAST = 0.05  # of salience and of nearness: what is even or far is looked at too


def looked_at(disparity: Disparity, picture: Image | None = None) -> float:
    """The disparity of what people look at first, in pixels.

    Args:
        disparity: Of one picture, on its grid.
        picture: The picture; None where it is not there yet, so that place and nearness alone decide.

    Raises:
        GeometryError: If there are several pictures, sizes differ, or no cell is known.
    """
    check_disparity(disparity)
    if disparity.batch != 1 or not bool(disparity.known.any()):
        raise GeometryError(f"expected one map of which something is known, got {disparity}")
    weights = salience(disparity, picture)[disparity.known].double()
    values, order = disparity.pixels[disparity.known].double().sort()
    reached = weights[order].cumsum(0)
    return float(values[torch.searchsorted(reached, reached[-1] / 2).clamp(max=len(values) - 1)])


def salience(disparity: Disparity, picture: Image | None = None) -> Map:
    """How much each cell is looked at, at least 0; the scale means nothing. Arguments as in `looked_at`."""
    near = _LEAST + unit_range(disparity.pixels, disparity.known).double()
    weights = near * _about_the_middle(disparity.height, disparity.width).to(near.device)
    if picture is None:
        return weights
    check_picture(picture, name="picture")
    if (len(picture), *picture.shape[2:]) != (1, *disparity.size):
        raise GeometryError(f"the picture is {tuple(picture.shape)}, its disparity {tuple(disparity.pixels.shape)}")
    return weights * (_LEAST + _spectral_residual(picture).to(near.device))


def _spectral_residual(picture: Image) -> Map:
    """In [0, 1]."""
    found, residual = cv2.saliency.StaticSaliencySpectralResidual.create().computeSaliency(
        next(colour_levels(picture))[..., ::-1]
    )
    largest = float(residual.max()) if found else 0.0
    if largest == 0:  # an even picture
        return torch.zeros(1, 1, *picture.shape[2:], dtype=torch.float64)
    return torch.from_numpy(residual / largest).double()[None, None]


def _about_the_middle(height: int, width: int) -> Tensor:
    rows, columns = (torch.linspace(-0.5, 0.5, length, dtype=torch.float64) for length in (height, width))
    return (-(rows[:, None] ** 2 + columns**2) / (2 * _SPREAD**2)).exp()[None, None]
