"""What makes the eyes disagree about what both see: colour, sharpness and height (binocular rivalry).

None of these needs the true right view, and as they are about the pair as a whole they tolerate a disparity that is
a little off.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stereodiffusion.metrics.levels import grey_levels, luma
from stereodiffusion.metrics.region import check_alike, mean_over, weighted_mean
from stereodiffusion.metrics.shared import SharedView
from stereodiffusion.types import Image

_KEYPOINTS = 800
_FEWEST_MATCHES = 16  # noise gives some that are wrong
_TALLEST, _WIDEST = 0.05, 0.5  # matches that are farther apart, as fractions of height and width, are wrong


def colour_mismatch(left: Image, right: Image, shared: SharedView) -> Float[Tensor, " b"]:
    """How far apart the mean colours of what both eyes see are, in CIE 1976 delta E; 0 is best, 2.3 just noticeable.

    Raises:
        GeometryError: If the sizes differ.
    """
    check_alike(left, right, shared.left)
    a, b = (weighted_mean(_lab(view), seen.double()) for view, seen in ((left, shared.left), (right, shared.right)))
    return (a - b).norm(dim=1)


def sharpness_mismatch(left: Image, right: Image, shared: SharedView) -> Float[Tensor, " b"]:
    """How much sharper the right eye is, in octaves: log2 of the ratio of the luma's mean |Laplacian|.

    0 is best, -1 means the right has half the detail; noise counts as detail. Over what both eyes see, each in its
    own view.

    Raises:
        GeometryError: If the sizes differ.
    """
    check_alike(left, right, shared.left)
    detail = [mean_over(_laplacian(view), seen) for view, seen in ((left, shared.left), (right, shared.right))]
    return (detail[1] / detail[0]).log2()


def vertical_disparity(left: Image, right: Image) -> Float[Tensor, " b"]:
    """Median difference of height of points matched between the eyes, in pixels; 0 is best.

    Points are SIFT's (Lowe 2004), matched both ways, wherever they are horizontally: this needs no disparity. NaN if
    fewer than 16 match.

    Raises:
        GeometryError: If the sizes differ.
    """
    check_alike(left, right)
    views = zip(grey_levels(left), grey_levels(right), strict=True)
    return torch.tensor([_median_height_difference(a, b) for a, b in views], dtype=torch.float64)


def _lab(image: Image) -> Float[Tensor, "b 3 h w"]:
    """CIE L*a*b*, D65."""
    pictures = image.detach().float().clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    converted = np.stack([cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2Lab) for picture in pictures])
    return torch.from_numpy(converted).permute(0, 3, 1, 2).to(image.device, torch.float64)


def _laplacian(image: Image) -> Float[Tensor, "b 1 h w"]:
    """|Laplacian| of the luma, from the four neighbours."""
    grey = luma(image.double())
    around = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    neighbours = around[..., 1:-1, :-2] + around[..., 1:-1, 2:] + around[..., :-2, 1:-1] + around[..., 2:, 1:-1]
    return (neighbours - 4 * grey).abs()


def _median_height_difference(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> float:
    points, descriptors = zip(*(_keypoints(view.tobytes(), view.shape) for view in (left, right)), strict=True)
    if min(len(found) for found in points) < _FEWEST_MATCHES:
        return float("nan")
    pairs = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(*descriptors)
    apart = np.array(
        [np.subtract(points[1][pair.trainIdx].pt, points[0][pair.queryIdx].pt) for pair in pairs], dtype=np.float64
    ).reshape(-1, 2)
    height, width = left.shape
    plausible = (np.abs(apart[:, 1]) <= _TALLEST * height) & (np.abs(apart[:, 0]) <= _WIDEST * width)
    differences = np.abs(apart[plausible, 1])
    return float(np.median(differences)) if len(differences) >= _FEWEST_MATCHES else float("nan")


@lru_cache(maxsize=2)  # one left view is measured against many right ones
def _keypoints(levels: bytes, size: tuple[int, ...]) -> tuple[Sequence[cv2.KeyPoint], Any]:
    """Points and what describes them: None if there is no point."""
    view = np.frombuffer(levels, dtype=np.uint8).reshape(size)
    return cv2.SIFT.create(_KEYPOINTS).detectAndCompute(view, None)
