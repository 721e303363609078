"""What there is to know of a pair before anybody asks on which display it is looked at."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.accept import check_picture
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.geometry.frame import border_parallax
from stereodiffusion.metrics import (
    SemiGlobalMatcher,
    SharedView,
    colour_mismatch,
    match_pair,
    shared_view,
    sharpness_mismatch,
    vertical_disparity,
)
from stereodiffusion.metrics.matching import matchable
from stereodiffusion.pair import StereoPair
from stereodiffusion.types import Image, Region

_WIDEST = 1024  # columns at which pairs are matched: time and memory grow with the cube of the width
_SIDE = 0.02  # of the width: matching says nothing closer to the sides of the frame
_LEAST_PATCH = 0.001  # of the picture: a smaller patch of one disparity, within a pixel, is taken for a mismatch
_NO_MATCH = -32768
_APART = 0.02  # of the width: points whose disparity gradient is looked at


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A pair's parallax and how alike its eyes are.

    Attributes:
        disparity: Of the left picture as it is shown, of one pair; positive in front of the screen.
        exact: Whether it is the one that the pair was made with; otherwise it was matched.
        at_sides: For each row the largest disparity of what touches the left and the right side of the frame, -inf
            where nothing does, (2, height).
        bars: Width of the black bars of a floating window, left and right, in pixels.
        steep: Share of the points that both eyes see, beside which the disparity gradient is more than 1.
        vertical_px: Difference of height between the eyes, in pixels; 0 by construction where disparity is exact, NaN
            where nothing could be matched.
        colour: Difference of the mean colours, in delta E of CIE 1976; NaN where the eyes share nothing.
        sharpness: How much sharper the right eye is, in octaves; NaN as before.
    """

    disparity: Disparity
    exact: bool
    at_sides: Tensor
    bars: tuple[int, int]
    steep: float
    vertical_px: float
    colour: float
    sharpness: float
    _ranked: NDArray[np.floating[Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = self.disparity.pixels[self.disparity.known]
        object.__setattr__(self, "_ranked", np.sort(known.cpu().numpy()))  # once, since rules ask for many percentiles

    def percentile(self, percent: float) -> float:
        """The parallax that so many percent of the cells stay at or below, as a fraction of the width."""
        if not 0 <= percent <= 100:
            raise GeometryError(f"percent must be in [0, 100], got {percent}")
        rank = max(math.ceil(len(self._ranked) * (percent / 100)), 1) - 1
        return float(self._ranked[rank]) / self.disparity.width

    @property
    def sides(self) -> float:
        """The largest parallax at the sides of the frame, as a fraction of the width; -inf if none is known there."""
        return float(self.at_sides.max()) / self.disparity.width


def measure(
    left: Image,
    right: Image,
    disparity: Disparity,
    *,
    occlusion: Region | None = None,
    bars: tuple[int, int] = (0, 0),
) -> Measured:
    """A pair of which the disparity is known exactly.

    Args:
        left: One picture.
        right: The other eye's.
        disparity: Of the left picture, as it is shown.
        occlusion: The cells of the right picture that show something else, if the caller knows.
        bars: Of a floating window that is drawn in the pictures, in pixels.

    Raises:
        GeometryError: If there are several pairs, sizes differ, or no disparity is known.
    """
    _check(left, right)
    check_disparity(disparity)
    if (disparity.batch, *disparity.size) != (1, *left.shape[2:]):
        raise GeometryError(f"the left picture is {tuple(left.shape)}, its disparity {tuple(disparity.pixels.shape)}")
    disparity = _beside_bars(disparity, bars)
    sides = torch.stack(border_parallax(disparity))[:, 0]
    return _measured(left, right, disparity, shared_view(disparity, occlusion), sides, bars=bars, vertical_px=0.0)


def measure_pair(pair: StereoPair) -> Measured:
    """A pair that was made here: its disparity is exact, and its provenance tells of a floating window.

    Raises:
        GeometryError: If it is a batch of several, or nothing of its disparity is known.
    """
    bars = bars_in(pair.provenance)
    return measure(pair.left, pair.right, pair.disparity, occlusion=pair.occlusion, bars=bars)


def bars_in(provenance: Mapping[str, object]) -> tuple[int, int]:
    """How wide the bars of a floating window are, by what is written beside a pair, in pixels; 0 without."""
    match provenance.get("floating_window"):
        case [int(left), int(right)]:
            return left, right
        case _:
            return 0, 0


def measure_by_matching(left: Image, right: Image) -> Measured:
    """A pair from anywhere: its disparity is matched (Hirschmueller 2008), and kept where both eyes agree on it.

    Raises:
        GeometryError: If there are several pairs, sizes differ, or nothing matches.
    """
    _check(left, right)
    height, width = left.shape[2:]
    vertical_px = float(vertical_disparity(left, right))
    if width > _WIDEST:
        left, right = (resize_image(eye, max(1, round(height * _WIDEST / width)), _WIDEST) for eye in (left, right))
        vertical_px *= _WIDEST / width
    matched = match_pair(left, right, SemiGlobalMatcher()).consistent()
    known = _without_speckles(matched) & matchable(left)
    if not bool(known.any()):
        raise GeometryError("nothing in the left picture was found in the right one: are these two eyes of one scene?")
    disparity = Disparity(pixels=torch.where(known, matched.pixels, 0.0), known=known)
    sides = torch.stack(border_parallax(disparity, strip_px=_SIDE * disparity.width))[:, 0]
    shared = shared_view(disparity)
    return _measured(left, right, disparity, shared, sides, bars=(0, 0), vertical_px=vertical_px, exact=False)


def steepness(disparity: Disparity, seen: Region) -> float:
    """Share of the points that have a neighbour from which their disparity differs by more than their distance.

    The disparity gradient is the difference of the disparities over the distance of the two points, each taken midway
    between its places in the two eyes' pictures. Above 1 most people cannot fuse both points (P. Burt, B. Julesz: A
    disparity gradient limit for binocular fusion, Science 208:615, 1980). Neighbours are 2 % of the width away, to the
    right and below: at a border of depth, points that are closer have any gradient, and no pair would be without.

    Args:
        disparity: Of the left picture.
        seen: What both eyes see of it.
    """
    step = max(1, round(_APART * disparity.width))
    pixels = disparity.pixels.double()
    steep, asked = torch.zeros_like(seen), torch.zeros_like(seen)
    for axis in (3, 2):
        if disparity.pixels.shape[axis] <= step:
            continue
        rise = _ahead(pixels, step, axis) - _behind(pixels, step, axis)
        both = _ahead(seen, step, axis) & _behind(seen, step, axis)
        apart = (step - rise / 2).abs() if axis == 3 else (step**2 + rise**2 / 4).sqrt()
        _behind(steep, step, axis).logical_or_(both & (rise.abs() > apart))
        _behind(asked, step, axis).logical_or_(both)
    return float(steep.sum() / asked.sum()) if bool(asked.any()) else math.nan


def _behind(values: Tensor, step: int, axis: int) -> Tensor:
    return values.narrow(axis, 0, values.shape[axis] - step)


def _ahead(values: Tensor, step: int, axis: int) -> Tensor:
    return values.narrow(axis, step, values.shape[axis] - step)


def _check(left: Image, right: Image) -> None:
    for name, eye in (("left", left), ("right", right)):
        check_picture(eye, name=name)
        if len(eye) != 1:
            raise GeometryError(f"comfort is of one pair, got a batch of {len(eye)}: index it")
    if left.shape != right.shape:
        raise GeometryError(f"two eyes of one size are needed, got {tuple(left.shape)} and {tuple(right.shape)}")


def _without_speckles(matched: Disparity) -> Region:
    """What is known in patches of some size: a few cells far from all around them are mismatches."""
    levels = torch.where(matched.known, matched.pixels * 16, _NO_MATCH).round().short()[0, 0].cpu().numpy()
    least = round(_LEAST_PATCH * levels.size)
    filtered, _ = cv2.filterSpeckles(levels, _NO_MATCH, least, 16)
    return torch.from_numpy(filtered != _NO_MATCH)[None, None].to(matched.known.device)


def _beside_bars(disparity: Disparity, bars: tuple[int, int]) -> Disparity:
    """Without what the bars of a floating window hide: on the left in the left picture, on the right in the right."""
    if bars == (0, 0):
        return disparity
    column = torch.arange(disparity.width, device=disparity.pixels.device)
    open_ = (column >= bars[0]) & (column - disparity.pixels < disparity.width - bars[1])
    known = disparity.known & open_
    return Disparity(pixels=torch.where(known, disparity.pixels, 0.0), known=known)


def _measured(
    left: Image,
    right: Image,
    disparity: Disparity,
    shared: SharedView,
    at_sides: Tensor,
    *,
    bars: tuple[int, int],
    vertical_px: float,
    exact: bool = True,
) -> Measured:
    if not bool(disparity.known.any()):
        raise GeometryError("no disparity is known of the pair")
    return Measured(
        disparity=disparity,
        exact=exact,
        at_sides=at_sides,
        bars=bars,
        steep=steepness(disparity, shared.left),
        vertical_px=vertical_px,
        colour=float(colour_mismatch(left, right, shared)),
        sharpness=float(sharpness_mismatch(left, right, shared)),
    )
