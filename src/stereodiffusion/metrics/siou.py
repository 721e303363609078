"""Stereo intersection over union of Mono2Stereo (Yu et al., CVPR 2025, arXiv 2503.22262).

It looks at edges, and at where the two eyes differ, since the rest of a picture says little about depth. In the paper
it agrees with what people see far better than SSIM does: Spearman 0.84 against 0.21.
"""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from stereodiffusion.metrics.levels import colour_levels
from stereodiffusion.metrics.region import check_alike
from stereodiffusion.types import Image

_CANNY = (100, 200)  # hysteresis thresholds in levels
_DIFFERENT = 5  # levels from which on the eyes are said to differ
_EDGES, _DIFFERENCES = 0.75, 0.25


def siou(left: Image, generated: Image, truth: Image) -> Float[Tensor, " b"]:
    """0.75 IoU of the right views' edges + 0.25 IoU of where they differ from the left; in [0, 1], higher is better.

    The authors' code subtracts unsigned bytes, so that a difference of -1 counts as 255. Here the difference
    is the absolute one that the paper describes.

    Args:
        left: (b, 3, h, w), sRGB in [0, 1].
        generated: the right view to judge.
        truth: the right view as it should be.

    Returns:
        One number per picture; where neither right view has an edge, or neither differs from the left, that part is 1.

    Raises:
        GeometryError: If the sizes differ.
    """
    check_alike(left, generated)
    check_alike(left, truth)
    views = zip(colour_levels(left), colour_levels(generated), colour_levels(truth), strict=True)
    return torch.tensor(
        [
            _EDGES * _overlap(_edges(made), _edges(true))
            + _DIFFERENCES * _overlap(_differences(made, source), _differences(true, source))
            for source, made, true in views
        ],
        dtype=torch.float64,
    )


def _edges(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), *_CANNY) > 0


def _differences(picture: NDArray[np.uint8], left: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return cv2.cvtColor(cv2.absdiff(picture, left), cv2.COLOR_RGB2GRAY) > _DIFFERENT


def _overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union; two empty sets agree."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0
