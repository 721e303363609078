"""Eyes put level: the right picture turned and moved up or down until what both see lies on the same rows.

Hand-held pairs, and cameras that are not quite parallel, differ in height and roll, which eyes cannot fuse. Points
that both pictures show (SIFT, matched both ways) must lie on the same row; the turn and the shift that bring most of
them there (RANSAC) are undone, half on each picture, and what then lies beyond the borders is cut off. Keystone and
different focal lengths are not corrected.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.eyes import Eyes, part_of_view
from stereodiffusion.formats.pictures.image import to_levels
from stereodiffusion.formats.pictures.raster import over_white

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from cv2 import DMatch

_FEWEST = 20  # points
_INLIER_PX = 1.5
_TRIES = 500
_RATIO = 0.75  # of the best match's distance to the second's (Lowe 2004)
_MOST_DEG = 15.0


class Misalignment(NamedTuple):
    """How the right picture lies beside the left.

    Attributes:
        roll_deg: by how much it is turned, clockwise on the screen.
        lower_px: by how much its middle lies lower.
        points: how many points say so.
    """

    roll_deg: float
    lower_px: float
    points: int


def misalignment(eyes: Eyes) -> Misalignment:
    """Roll and height of the right eye against the left.

    Raises:
        FormatError: If too few points are seen by both, or too few of them agree.
    """
    left, right = _matches(eyes)
    if len(left) < _FEWEST:
        raise FormatError(f"cannot align: expected at least {_FEWEST} points that both eyes see, got {len(left)}")
    # For small angles y_right - y_left = lower + roll x, with x from the middle. Each picture is turned by half of the
    # roll, so that x is the mean of both: what remains does not depend on disparity.
    x = (left[:, 0] + right[:, 0] - eyes.size[1]) / 2
    lower = right[:, 1] - left[:, 1]
    agree = _most_agreeing(x, lower)
    if agree.sum() < max(_FEWEST, len(x) / 4):
        raise FormatError(f"cannot align: of {len(x)} points that both eyes see {int(agree.sum())} agree on a height")
    design = np.stack([np.ones(int(agree.sum())), x[agree]], axis=1)
    (shift, slope), *_ = np.linalg.lstsq(design, lower[agree], rcond=None)
    found = Misalignment(math.degrees(math.atan(float(slope))), float(shift), int(agree.sum()))
    if abs(found.roll_deg) > _MOST_DEG:
        raise FormatError(f"cannot align: the right eye seems to be turned by {found.roll_deg:.0f} degrees")
    return found


def aligned(eyes: Eyes, found: Misalignment) -> Eyes:
    """The pair with that misalignment undone, and cut to what is left of both pictures. The disparity is dropped."""
    left, right = eyes.both
    height, width = eyes.size
    turned = [
        _turned(eye, sign * found.roll_deg / 2, sign * found.lower_px / 2) for eye, sign in ((left, 1), (right, -1))
    ]
    angle = math.radians(abs(found.roll_deg) / 2)
    down = math.ceil(width / 2 * math.sin(angle) + abs(found.lower_px) / 2)
    across = math.ceil(height / 2 * math.sin(angle))
    if 2 * down >= height // 2 or 2 * across >= width // 2:
        raise FormatError(f"cannot align: little would be left of {width} x {height} pixels")
    rows, columns = slice(down, height - down), slice(across, width - across)
    first, second = (eye[..., rows, columns].contiguous() for eye in turned)
    view_deg = part_of_view(eyes.field_of_view_deg, (width - 2 * across) / width)
    return replace(eyes, left=first, right=second, disparity=None, field_of_view_deg=view_deg)


def _matches(eyes: Eyes) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]:
    """(x, y) of points that both eyes see, on the left and on the right."""
    import cv2

    grey = [to_levels(over_white(eye)).mean(axis=2).astype(np.uint8) for eye in eyes.both]
    finder = cv2.SIFT.create(2000)
    (points, descriptors), (others, other_descriptors) = (finder.detectAndCompute(eye, None) for eye in grey)
    if descriptors is None or other_descriptors is None or min(len(points), len(others)) < 2:
        return np.empty((0, 2)), np.empty((0, 2))
    best = {}
    for name, one, two in (("there", descriptors, other_descriptors), ("back", other_descriptors, descriptors)):
        pairs = cv2.BFMatcher().knnMatch(one, two, k=2)
        best[name] = {pair[0].queryIdx: pair[0].trainIdx for pair in pairs if _is_clear(pair)}
    both = [(one, two) for one, two in best["there"].items() if best["back"].get(two) == one]
    left = np.array([points[one].pt for one, _ in both], np.float64).reshape(-1, 2)
    right = np.array([others[two].pt for _, two in both], np.float64).reshape(-1, 2)
    return left, right


def _is_clear(pair: "Sequence[DMatch]") -> bool:
    """Whether the best match is much better than the second."""
    return len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance


def _most_agreeing(x: Float64[np.ndarray, " n"], lower: Float64[np.ndarray, " n"]) -> np.ndarray:
    """The points that lie on one line, of the lines through two points the one with the most of them (RANSAC)."""
    random = np.random.default_rng(0)
    best = np.zeros(len(x), bool)
    for _ in range(_TRIES):
        one, two = random.choice(len(x), 2, replace=False)
        if x[one] == x[two]:
            continue
        slope = (lower[two] - lower[one]) / (x[two] - x[one])
        agree = np.abs(lower - lower[one] - slope * (x - x[one])) < _INLIER_PX
        if agree.sum() > best.sum():
            best = agree
    return best


def _turned(eye: Float[Tensor, "1 c h w"], degrees: float, down_px: float) -> Float[Tensor, "1 c h w"]:
    """The picture turned clockwise about its middle and moved down; what comes from beyond repeats the border."""
    import cv2

    height, width = eye.shape[2:]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    matrix[1, 2] += down_px
    pixels = np.ascontiguousarray(eye[0].permute(1, 2, 0).cpu().float().numpy())
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(np.asarray(moved).transpose(2, 0, 1).copy())[None].clamp_(0, 1).to(eye.dtype)
