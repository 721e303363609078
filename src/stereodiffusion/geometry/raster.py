"""Which point of a source row each target column shows: the depth test of the splat, on rows alone.

Towards the right eye the cell at column x lands on t = x - d. So of all that land on one column t, the nearest
(largest d = x - t) is the one with the largest x: the depth test is a maximum over source positions.

`whole_cells` moves each cell by a whole number of columns, as the authors do. `polyline` takes the row for a
surface: cell x is a vertex at x - d(x), and neighbouring vertices are joined unless more than one column would
open between them. A column is covered where the surface passes over its centre. Where the surface is cut both
ends reach half a cell further, so that no object shrinks.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_BITS = 16
_ONE = 1 << _BITS
"""One column in fixed point. Like any rasteriser this one works on a fixed sub-pixel grid: no rounding depends
on how far right a cell lies, and the same input gives the same coverage on every device."""

_HALF = _ONE // 2
_TOLERANCE = _ONE >> 10  # so that a jump of one column counts as one, whatever float made of it
_NOWHERE = -(1 << 60)


class Hits(NamedTuple):
    """What each target column shows.

    Attributes:
        column: source column left of the point that is shown, 0 where there is none.
        weight: how far the point lies towards the next column, in [0, 1).
        source: source column closest to the point, -1 where there is none.
    """

    column: Int[Tensor, "b 1 h w"]
    weight: Float[Tensor, "b 1 h w"]
    source: Int[Tensor, "b 1 h w"]


def whole_cells(shift: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]) -> Hits:
    """Move every known cell left by `shift`, truncated toward zero."""
    cell, column = _known_cells(known)
    frontmost = _Frontmost(shift)
    frontmost.draw(cell - column, column - shift.flatten()[cell].trunc().long(), column)
    source = frontmost.x.clamp(min=-1)
    return Hits(source.clamp(min=0), torch.zeros_like(shift), source)


def polyline(shift: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]) -> Hits:
    """Move the surface that passes through the known cells left by `shift`."""
    cell, column = _known_cells(known)
    s = (shift.flatten().index_select(0, cell) * _ONE).round().long()
    lands = column * _ONE - s

    # Each cell draws from its vertex to the next one on the same surface; free ends reach half a cell further.
    # The jump is at most one column, so no joined piece runs backwards and none is longer than two.
    joined = torch.zeros_like(cell, dtype=torch.bool)
    joined[:-1] = (cell.diff() == 1) & (column[1:] > 0) & (s.diff().abs() <= _ONE + _TOLERANCE)
    start = torch.where(joined.roll(1), lands, lands - _HALF)
    end = torch.where(joined, lands.roll(-1), lands + _HALF)
    length = torch.where(joined, end - lands, _ONE).clamp(min=1)
    frontmost = _Frontmost(shift)
    target = -((-start) >> _BITS)  # shifting rounds down, as // does, in a tenth of the time
    pieces = cell - column, column * _ONE, target, lands, end, length
    for _ in range(3):  # a piece of at most 2 1/2 columns covers three centres, nearly all cover one
        row, x, target, lands, end, length = pieces
        covers = (target * _ONE < end).nonzero().squeeze(1)
        row, x, target, lands, end, length = (part.index_select(0, covers) for part in pieces)
        beyond = target * _ONE - lands
        frontmost.draw(row, target, x + beyond * _ONE // torch.where(beyond >= 0, length, _ONE))
        pieces = row, x, target + 1, lands, end, length

    hit = frontmost.x != _NOWHERE
    x = frontmost.x.masked_fill(~hit, 0)
    closest = (x + _HALF) >> _BITS
    left = (x >> _BITS).clamp(min=0)
    on_piece = torch.zeros_like(known).flatten().scatter(0, cell, joined).view_as(known).gather(-1, left)
    weight = torch.where(on_piece, x - left * _ONE, 0).clamp(min=0).to(shift.dtype) / _ONE
    return Hits(torch.where(on_piece, left, closest), weight, closest.masked_fill(~hit, -1))


def _known_cells(known: Bool[Tensor, "b 1 h w"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Where known cells lie in a flat map, and in which column: work is done for these alone, they may be few."""
    column = torch.arange(known.shape[-1], device=known.device).expand(known.shape)
    cell = known.flatten().nonzero().squeeze(1)
    return cell, column.flatten().index_select(0, cell)


class _Frontmost:
    """For each target column the largest source position that was drawn."""

    def __init__(self, like: Float[Tensor, "b 1 h w"]) -> None:
        self._shape = like.shape
        # With a cell at the end for what falls out of the frame.
        self._x = torch.full((like.numel() + 1,), _NOWHERE, dtype=torch.long, device=like.device)

    @property
    def x(self) -> Int[Tensor, "b 1 h w"]:
        """Those positions; `_NOWHERE` where nothing was drawn."""
        return self._x[:-1].view(self._shape)

    def draw(self, row: Int[Tensor, " n"], target: Int[Tensor, " n"], x: Int[Tensor, " n"]) -> None:
        """Keep the largest of what is there and what comes. A maximum does not depend on the order of writing.

        Args:
            row: Where the row begins in a flat map.
            target: Column.
            x: Source position.
        """
        inside = (target >= 0) & (target < self._shape[-1])
        self._x.scatter_reduce_(0, torch.where(inside, row + target, len(self._x) - 1), x, "amax")
