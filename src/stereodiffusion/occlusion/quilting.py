"""What in a picture looks like the continuation of it: exemplars found for its holes, patch by patch.

Image quilting (Efros & Freeman 2001) from the edges of holes inwards. The holes are covered with patches that overlap.
Each shows a known patch of the same picture: the one that agrees best with what is known or laid already below it, with
the low frequencies of a smooth filling, and with the depth of what is hidden there. A patch that goes on with the copy
beside it agrees with it exactly, so copies grow as large as they fit. Borders of surfaces are never copied, and nor is
what lies nearer than the hidden surface.

All this happens on a grid of coarse cells, as many for a large picture as for a small one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from stereodiffusion.geometry.threads import workers

PATCH = 8
"""Edge of a patch, in cells."""

_STEP = 6  # from patch to patch; what is left overlaps
_REACH = 32, 80  # rows and columns that a patch may come from, in cells: textures are alike along a row
_BLURRED = 3.0  # deviation of the low frequencies, in cells
_LIKE_FILLING = 0.3  # weight of their agreement, beside 1 for what overlaps; both are mean squares of colour
_SAME_DEPTH = 5.0  # difference of disparity, in cells, that costs _OTHER_DEPTH
_OTHER_DEPTH = 0.02
_FARTHEST = 4 * _OTHER_DEPTH  # what all greater ones cost
_AWAY = 1e-5  # what a cell's distance to its exemplar costs: among equals the nearest is taken
_LIKE = 0.1  # difference of colour (Euclidean, sRGB in [0, 1]) at which the likeness is one half
_LEAST_CONTRAST = 1e-4  # mean square below which a patch is flat

Field = Float32[np.ndarray, "h w"]
Colours = Float32[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """A picture with holes on a grid of cells.

    Attributes:
        colours: The picture, its holes filled smoothly.
        disparity: In cells; in holes that of what is hidden there.
        hole: Cells that are not known, or not altogether.
        usable: Known cells that show no border: these alone are copied.
        distance: How deep in a hole cells lie, in cells; 0 where it is none.
    """

    colours: Colours
    disparity: Field
    hole: Mask
    usable: Mask
    distance: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A patch and what it shows.

    Attributes:
        row, column: Of its first cell.
        down, right: From there to the first cell of its exemplar.
        trust: How far its exemplar agreed with what was known beside it, 1 if exactly. It is at most that of the
            copies it goes on with, so copies of copies are never trusted more than the first.
        likeness: How far it is of the colour of the smooth filling: near 0 it is of another material.
    """

    row: int
    column: int
    down: int
    right: int
    trust: float
    likeness: float


def quilt(canvas: Canvas, *, threads: int = 1) -> Iterator[Copy]:
    """Find an exemplar for every patch over a hole, from the edges inwards; none where nothing may be copied.

    Args:
        canvas: The picture.
        threads: How many exemplars to look for at a time; the copies do not depend on it.
    """
    low = np.asarray(cv2.GaussianBlur(canvas.colours, (0, 0), _BLURRED), np.float32)
    laid, trust = canvas.colours.copy(), (~canvas.hole).astype(np.float32)
    open_ = canvas.hole.copy()

    def found(patch: _Place) -> _Place | None:
        return _exemplar(canvas, low, laid, open_, patch)

    with workers(threads) as each:
        for patches in _apart(_patches(canvas), threads):
            for (row, column), exemplar in zip(patches, each(found, patches), strict=True):
                if exemplar is None:
                    continue
                here, there = _patch(row, column), _patch(*exemplar)
                new = open_[here].copy()
                agreed = _agreement(canvas.colours[there], low[there], laid[here], trust[here], ~new)
                unlike = ((low[there] - low[here])[canvas.hole[here]] ** 2).sum(1).mean() / _LIKE**2
                laid[here][new], trust[here][new], open_[here] = canvas.colours[there][new], agreed, False
                likeness = float(max(agreed, 1 / (1 + unlike)))
                down, right = exemplar[0] - row, exemplar[1] - column
                yield Copy(row=row, column=column, down=down, right=right, trust=agreed, likeness=likeness)


_Place = tuple[int, int]
"""Row and column of the first cell of a patch."""


def _apart(patches: Sequence[_Place], at_most: int) -> Iterator[list[_Place]]:
    """The same patches in the same order, those together that follow each other and do not overlap."""
    group: list[_Place] = []
    for row, column in patches:
        touches = any(abs(row - r) < PATCH and abs(column - c) < PATCH for r, c in group)
        if touches or len(group) == at_most:
            yield group
            group = []
        group.append((row, column))
    if group:
        yield group


def _exemplar(canvas: Canvas, low: Colours, laid: Colours, open_: Mask, patch: _Place) -> _Place | None:
    """What suits a patch best; None if it is laid already, or nothing may be copied there."""
    here, (row, column), (height, width) = _patch(*patch), patch, canvas.hole.shape
    if not open_[here].any():
        return None
    top, start = max(0, row - _REACH[0]), max(0, column - _REACH[1])
    window = np.s_[top : min(height, row + PATCH + _REACH[0]), start : min(width, column + PATCH + _REACH[1])]
    cost = _differences(canvas, low, laid, open_, here, window)
    best = np.unravel_index(int(cost.argmin()), cost.shape)
    return (top + int(best[0]), start + int(best[1])) if np.isfinite(cost[best]) else None


_Cut = tuple[slice, slice]


def _patch(row: int, column: int) -> _Cut:
    return np.s_[row : row + PATCH, column : column + PATCH]


def _patches(canvas: Canvas) -> list[_Place]:
    """Patches that cover the holes, those at their edges first."""
    height, width = canvas.hole.shape
    found: list[tuple[float, int, int]] = []
    for row in _starts(height):
        for column in _starts(width):
            hole = canvas.hole[_patch(row, column)]
            if hole.any():
                found.append((float(canvas.distance[_patch(row, column)][hole].mean()), row, column))
    return [(row, column) for _, row, column in sorted(found)]


def _starts(length: int) -> list[int]:
    """Where patches begin that cover a length; none if it is shorter than a patch."""
    last = length - PATCH
    return sorted({*range(0, last + 1, _STEP), *([last] if last >= 0 else [])})


def _differences(
    canvas: Canvas, low: Colours, laid: Colours, open_: Mask, here: _Cut, window: _Cut
) -> NDArray[np.float32]:
    """How little every exemplar in the window suits a patch; infinitely, where it must not be copied."""
    hole, overlap = canvas.hole[here], ~open_[here]
    cost = _LIKE_FILLING * _squares(low[window], low[here], hole)
    if overlap.any():
        cost += _squares(canvas.colours[window], laid[here], overlap)
    apart = _squares(canvas.disparity[window], canvas.disparity[here], hole)
    cost += np.minimum(_OTHER_DEPTH * apart / _SAME_DEPTH**2, _FARTHEST)
    rows, columns = (at.start - there.start for at, there in zip(here, window, strict=True))
    first, left = _REACH[0] - rows, _REACH[1] - columns
    cost += _COST_OF_WAY[first : first + cost.shape[0], left : left + cost.shape[1]]
    nearer = canvas.disparity[window] > canvas.disparity[here][hole].max() + _SAME_DEPTH
    barred = cv2.dilate((nearer | ~canvas.usable[window]).astype(np.uint8), _EVERYWHERE, anchor=(0, 0))
    return np.where(barred[: cost.shape[0], : cost.shape[1]] > 0, np.float32(np.inf), cost)


_EVERYWHERE = np.ones((PATCH, PATCH), np.uint8)
_COST_OF_WAY = np.float32(_AWAY) * np.hypot(*np.ogrid[-_REACH[0] : _REACH[0] + 1, -_REACH[1] : _REACH[1] + 1])


def _squares(picture: NDArray[np.float32], patch: NDArray[np.float32], where: Mask) -> NDArray[np.float32]:
    """Mean square of the difference between a patch and all patches of a picture, over some of its cells."""
    weight = where.astype(np.float32).reshape(*where.shape, *[1] * (patch.ndim - 2))
    mask = np.ascontiguousarray(np.broadcast_to(weight, patch.shape))
    found = cv2.matchTemplate(picture, np.ascontiguousarray(patch), cv2.TM_SQDIFF, mask=mask)
    return np.asarray(found.clip(0) / where.sum(), np.float32)


def _agreement(exemplar: Colours, low: Colours, laid: Colours, trust: Field, overlap: Mask) -> float:
    """How far an exemplar tells what it overlaps, as a share of its contrast, and no farther than that is trusted.

    Two patches that have nothing to do with each other differ by twice the contrast of each, on average.
    """
    if not overlap.any():
        return 0.0
    error = ((exemplar - laid)[overlap] ** 2).sum(1).mean()
    contrast = ((exemplar - low)[overlap] ** 2).sum(1).mean() + _LEAST_CONTRAST
    return float(min(max(0.0, 1 - error / (2 * contrast)), trust[overlap].mean()))
