"""Depth edges: the disparity sharpened, jumps found, linked into connected discontinuities (section 3.1).

A discontinuity is a curve *between* cells: it is made of cuts, each between a cell and the next one in its row or
column. On one side of a cut is the foreground, on the other the background (the smaller disparity).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Int8, Int32, Shaped

JUMP_PX = 1.0
"""Neighbours whose disparities differ by more are not one surface: more than one column would open between them."""

SHORTEST = 10
"""Discontinuities of fewer cuts are speckles, and are left connected (the paper: short segments, < 10 pixels)."""

_TOLERANCE = 1e-3  # so that a jump of exactly one column is none, whatever float made of it
_RADIUS = 3  # 7 x 7 window, sigma_spatial 4.0, sigma_intensity 0.5: the paper's numbers
_SIGMA_SPATIAL = 4.0
_SIGMA_INTENSITY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Discontinuities:
    """The cuts of a disparity map and the connected discontinuities they form.

    Attributes:
        right: number of the discontinuity between each cell and the next column, 0 where the two are connected.
        down: the same between each cell and the next row.
        count: how many discontinuities there are; they are numbered from 1.
    """

    right: Int32[np.ndarray, "h w"]
    down: Int32[np.ndarray, "h w"]
    count: int


def find_discontinuities(disparity: Float[np.ndarray, "h w"], *, shortest: int = SHORTEST) -> Discontinuities:
    """Jumps of more than `JUMP_PX`, linked; +inf stands for what lies outside the frame and is always cut off.

    Linked are cuts that meet in a corner of cells. Discontinuities of less than `shortest` cuts are dropped.
    """
    height, width = disparity.shape
    # Cells, cuts and corners on one grid of twice the size: cells at even, corners at odd places, cuts between them.
    curve = np.zeros((2 * height, 2 * width), dtype=np.uint8)
    curve[::2, 1::2] = _jumps(disparity) != 0
    curve[1::2, ::2] = _jumps(disparity.T).T != 0
    corner = curve[1::2, 1::2]
    corner |= curve[::2, 1::2] | curve[1::2, ::2]
    corner[:, :-1] |= curve[1::2, 2::2]
    corner[:-1] |= curve[2::2, 1::2]
    labels = cv2.connectedComponents(curve, connectivity=4, ltype=cv2.CV_32S)[1].astype(np.int32)
    right, down = labels[::2, 1::2], labels[1::2, ::2]
    cuts = np.bincount(right.ravel()) if right.size else np.zeros(1, dtype=np.intp)
    below = np.bincount(down.ravel(), minlength=len(cuts))
    cuts = np.pad(cuts, (0, len(below) - len(cuts))) + below
    kept = cuts >= shortest
    kept[_at_the_frame(disparity, right)] = True
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return Discontinuities(right=number[right], down=number[down], count=int(kept.sum()))


def sharpen(disparity: Float[np.ndarray, "h w"], *, rounds: int = 2) -> Float[np.ndarray, "h w"]:
    """Bilateral median filter at jumps: blurred steps become sharp, ragged ones smooth, the rest stays as it is.

    Each cell beside a jump takes the weighted median of its window. The weights fall with distance and with the
    difference in disparity relative to the range of the map. A cell between two jumps of the same direction is part of
    a blurred step, belongs to no surface, and has no weight.
    """
    span = float(disparity.max() - disparity.min())
    if span == 0:
        return disparity
    offset = np.arange(2 * _RADIUS + 1) - _RADIUS
    closeness = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * _SIGMA_SPATIAL**2)).ravel().astype(np.float32)
    for _ in range(rounds):
        right, down = _jumps(disparity), _jumps(disparity.T).T
        blurred = _repeated(right) | _repeated(down.T).T
        cut = ((right != 0) | (down != 0)).astype(np.uint8)
        y, x = np.nonzero(cv2.dilate(cut, np.ones((2, 2), np.uint8)))  # both sides of each cut
        window, own = _windows(disparity, y, x), disparity[y, x, None]
        similarity = np.exp(-0.5 * ((window - own) / (span * _SIGMA_INTENSITY)) ** 2)
        weight = closeness * similarity * _windows(~blurred, y, x)
        order = np.argsort(window, axis=1)
        mass = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
        middle = (mass < mass[:, -1:] / 2).sum(axis=1, keepdims=True)
        median = np.take_along_axis(window, np.take_along_axis(order, middle, axis=1), axis=1)
        disparity = disparity.copy()
        disparity[y, x] = np.where(mass[:, -1:] > 0, median, own)[:, 0]
    return disparity


def _jumps(disparity: Float[np.ndarray, "h w"]) -> Int8[np.ndarray, "h w"]:
    """Between each cell and the next column: 1 where disparity jumps up, -1 where it jumps down, 0 on one surface."""
    with np.errstate(invalid="ignore"):  # inf - inf is no jump, and NaN compares false
        step = np.diff(disparity, axis=1, append=disparity[:, -1:])
        return (step > JUMP_PX + _TOLERANCE).astype(np.int8) - (step < -JUMP_PX - _TOLERANCE)


def _repeated(jumps: Int8[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The cells with a jump on either side, both of the same direction."""
    return (jumps != 0) & (jumps == np.roll(jumps, 1, axis=1))


def _windows(
    field: Shaped[np.ndarray, "h w"], y: Int[np.ndarray, " n"], x: Int[np.ndarray, " n"]
) -> Shaped[np.ndarray, "n k"]:
    """The cells of the square around some cells; beyond the map the nearest."""
    side = 2 * _RADIUS + 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(field, _RADIUS, mode="edge"), (side, side))
    return windows[y, x].reshape(-1, side * side)


def _at_the_frame(disparity: Float[np.ndarray, "h w"], right: Int32[np.ndarray, "h w"]) -> Int32[np.ndarray, " n"]:
    """Numbers of the discontinuities between the picture and the outside."""
    outside = np.isinf(disparity)
    between = np.zeros_like(outside)
    between[:, :-1] = outside[:, 1:] & ~outside[:, :-1]
    return np.unique(right[between])
