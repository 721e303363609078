"""Where a large picture is looked at again: windows that cover its occlusions, and how they are blended.

A model sees a picture of its own size. The whole of a large photo in that size shows what an occlusion is part of, and
a window of it shows the grain that it should have. Windows are only laid where there are occlusions, all on one scale:
the finest at which wide occlusions still leave half of a window to what surrounds them, and which few enough cover.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from stereodiffusion.types import Region

_MARGIN = 1 / 8  # of a window's side: what is known around the occlusions it is laid for
_WIDEST = 1 / 2  # of a window's width: occlusions that are wider want a coarser scale
_WIDE = 0.9  # share of the occluded pixels whose occlusion may be at most that wide
_STEP = sqrt(2)  # between one scale and the next; what is less finer than the whole picture is not worth it
_ROWS_LOOKED_AT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a picture, in its pixels.

    Attributes:
        top: Its first row.
        left: Its first column.
        height: Rows.
        width: Columns.
    """

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: Shaped[Tensor, "*c h w"]) -> Shaped[Tensor, "*c height width"]:
        """What the window shows of a picture; a view of it."""
        return picture[..., self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """Windows of one size that together cover all occlusions of a picture.

    Attributes:
        windows: From top to bottom, from left to right; none if there is nothing to be gained.
        working: (height, width) at which the model sees them, in whole cells.
    """

    windows: tuple[Window, ...]
    working: tuple[int, int]


def plan_crops(occlusion: Region, *, native: tuple[int, int], cell: int, at_most: int) -> Crops:
    """Lay windows over the occlusions of a picture.

    Args:
        occlusion: (b, 1, h, w); pictures of a batch share their windows.
        native: (height, width) that the model was trained at.
        cell: Edge of a latent cell, or of a patch of them, in pixels.
        at_most: How many windows there may be. If more are needed at every scale that is finer than the whole picture
            by at least √2, there are none.
    """
    hole = occlusion.any(dim=0).squeeze(0)
    height, width = hole.shape
    coarsest = _STEP * sqrt(native[0] * native[1] / (height * width))
    zoom = min(1.0, _WIDEST * native[1] / max(_typical_width(hole), 1))
    while zoom >= coarsest:
        fits = [
            min(side, max(1, int(whole * zoom) // cell) * cell) for side, whole in zip(native, hole.shape, strict=True)
        ]
        sides = [min(whole, round(side / zoom)) for side, whole in zip(fits, hole.shape, strict=True)]
        windows = tuple(dict.fromkeys(_covering(hole, sides[0], sides[1])))  # the frame may push two to one place
        if len(windows) <= at_most:
            return Crops(windows=windows, working=(fits[0], fits[1]))
        zoom /= _STEP
    return Crops(windows=(), working=native)


def blending(window: Window, windows: Sequence[Window], size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """How much a window has to say about each of its pixels, in [0, 1].

    Windows fade into each other and, where there is none to fade into, to nothing. At the pixels that they were laid
    for all of them add up to 1, and nowhere to more.

    Args:
        window: One of the windows.
        windows: All of them.
        size: (height, width) of the picture.
    """
    own = _feather(window, size)
    total = own.clone()
    for other in windows:
        top, bottom = max(window.top, other.top), min(window.top + window.height, other.top + other.height)
        left, right = max(window.left, other.left), min(window.left + window.width, other.left + other.width)
        if other != window and top < bottom and left < right:
            shared = Window(top=top, left=left, height=bottom - top, width=right - left)
            _inside(shared, window).of(total).add_(_inside(shared, other).of(_feather(other, size)))
    return own / total.clamp(min=0.25)  # what a single window has at the corners of what it was laid for


def _inside(part: Window, whole: Window) -> Window:
    """A part in the coordinates of the window that it lies in."""
    return Window(top=part.top - whole.top, left=part.left - whole.left, height=part.height, width=part.width)


def _feather(window: Window, size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """1 in the middle, falling to 0 over two margins on every side that is not the frame's."""
    rows = _ramp(window.top, window.height, size[0])
    columns = _ramp(window.left, window.width, size[1])
    return rows[:, None] * columns


def _ramp(start: int, length: int, whole: int) -> Float[Tensor, " n"]:
    position = torch.arange(length, dtype=torch.float32) + 0.5
    faded = 2 * max(1, _margin(length))
    before = torch.full_like(position, faded) if start == 0 else position
    after = torch.full_like(position, faded) if start + length == whole else length - position
    return torch.minimum(before, after).clamp(max=faded) / faded


def _margin(length: int) -> int:
    return int(_MARGIN * length)


def _covering(hole: Bool[Tensor, "h w"], height: int, width: int) -> Iterator[Window]:
    """Windows of one size, each around as much of the holes as leaves a margin of its own on every side."""
    rows, columns = hole.shape
    for top, bottom in _extents(hole.any(dim=1), height - 2 * _margin(height)):
        for left, right in _extents(hole[top:bottom].any(dim=0), width - 2 * _margin(width)):
            yield Window(
                top=_centred(top, bottom, height, rows),
                left=_centred(left, right, width, columns),
                height=height,
                width=width,
            )


def _extents(occupied: Bool[Tensor, " n"], longest: int) -> Iterator[tuple[int, int]]:
    """Intervals of limited length that cover all that is occupied, from the first on; begin and end are occupied."""
    places = occupied.nonzero().flatten()
    while len(places):
        first = int(places[0])
        taken = places[places < first + longest]
        yield first, int(taken[-1]) + 1
        places = places[len(taken) :]


def _centred(begin: int, end: int, length: int, whole: int) -> int:
    """Where a window around an interval begins, within the frame."""
    return min(max(0, (begin + end - length) // 2), whole - length)


def _typical_width(hole: Bool[Tensor, "h w"]) -> int:
    """Columns that nine of ten occluded pixels' occlusions are at most wide; 0 if there are none."""
    some = hole[:: -(-len(hole) // _ROWS_LOOKED_AT)]
    column = torch.arange(some.shape[1], device=hole.device)
    before = torch.where(some, -1, column).cummax(dim=1).values
    after = torch.where(some, some.shape[1], column).flip(1).cummin(dim=1).values.flip(1)
    widths = (after - before - 1)[some].sort().values
    return int(widths[int(_WIDE * (len(widths) - 1))]) if len(widths) else 0
