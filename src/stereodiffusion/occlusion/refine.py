"""Disparity edges moved to image edges.

Depth estimators draw object borders as ramps, a few pixels wide and a few pixels off. Moved by such a map a border is
drawn out like rubber, half object and half background. What is wanted there is a step where the colours change: the
weighted median (Ma et al. 2013, "Constant time weighted median filtering for stereo matching and beyond") takes for
each cell the disparity of the cells around it that have its colour.
"""

from collections.abc import Iterator
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from stereodiffusion.geometry.disparity import Disparity, check_dense
from stereodiffusion.types import Image

_LIKE = 40.0  # deviation of the weight of colours, in 255ths
_ONE_SURFACE_PX = 1.0  # the closer the median is, the more of a cell's own disparity is kept: slopes and fractions
_STEP_PX = 2.0  # what differs more within reach of a border cell is two surfaces
_STEP_REACH = 2  # half the width of what is left of a ramp
_GRAIN = 3  # edge of the plain medians that take single cells away
_LEVEL_PX = 0.25  # tiles that vary less are left alone
_TILE = 256
_ONE_AT_A_TIME = Lock()  # OpenCV's filter keeps what it works with in variables that all threads share


def snap_to_edges(disparity: Disparity, picture: Image, *, radius: int = 8) -> Disparity:
    """Turn ramps between surfaces into steps that lie on the picture's edges.

    Args:
        disparity: of the picture, on its grid, dense.
        picture: (b, 3, h, w), sRGB in [0, 1].
        radius: half the width of the widest ramp that is taken for a border, in cells, at least 1.

    Raises:
        GeometryError: if the map is of another size or batch, or has unknown cells.
    """
    check_dense(disparity, picture)
    maps = disparity.pixels.float().cpu().numpy()[:, 0]
    colours = (255 * picture.clamp(0, 1)).round().byte().movedim(1, -1).cpu().numpy()
    snapped = np.stack([_snapped(pixels, guide, radius) for pixels, guide in zip(maps, colours, strict=True)])
    return Disparity(pixels=torch.from_numpy(snapped)[:, None].to(disparity.pixels), known=disparity.known)


def _snapped(
    pixels: Float32[np.ndarray, "h w"], guide: UInt8[np.ndarray, "h w 3"], radius: int
) -> Float32[np.ndarray, "h w"]:
    import cv2  # takes its time, and geometry is imported where nothing is snapped

    snapped = pixels.copy()
    for inner, outer in _tiles(pixels.shape, radius + _GRAIN // 2):
        own = np.ascontiguousarray(pixels[outer])
        if np.ptp(own) > _LEVEL_PX:
            with _ONE_AT_A_TIME:
                cv2.setRNGSeed(0)  # colours are clustered from random starts
                median = cv2.ximgproc.weightedMedianFilter(np.ascontiguousarray(guide[outer]), own, radius, sigma=_LIKE)
            change = cv2.medianBlur(median, _GRAIN) - own
            moved = own + np.minimum(np.abs(change) / _ONE_SURFACE_PX, 1) * change
            rows, columns = (slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
            snapped[inner] = moved[rows, columns]
    window = np.ones((2 * _STEP_REACH + 1,) * 2, np.uint8)
    high, low = cv2.dilate(snapped, window), cv2.erode(snapped, window)
    # Cells whose colours are mixed are still half-way; they go to the closer surface (Kramer & Bruckner 1975). Where
    # there are more than two, neighbours go to different ones: moved, single cells would be specks.
    closer = np.where(high - snapped < snapped - low, high, low)
    return cv2.medianBlur(np.where(high - low > _STEP_PX, closer, snapped), _GRAIN)


def _tiles(size: tuple[int, ...], margin: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Tiles of a map, and each with what lies around it."""
    height, width = size
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            bottom, right = min(top + _TILE, height), min(left + _TILE, width)
            rows = slice(max(0, top - margin), min(bottom + margin, height))
            columns = slice(max(0, left - margin), min(right + margin, width))
            yield (slice(top, bottom), slice(left, right)), (rows, columns)
