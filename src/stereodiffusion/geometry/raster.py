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
    x = torch.arange(shift.shape[-1], device=shift.device).expand(shift.shape)
    frontmost = _nothing(shift)
    _draw(x - shift.trunc().long(), x, known, onto=frontmost)
    source = frontmost[..., :-1].clamp(min=-1)
    return Hits(source.clamp(min=0), torch.zeros_like(shift), source)


def polyline(shift: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]) -> Hits:
    """Move the surface that passes through the known cells left by `shift`."""
    column = torch.arange(shift.shape[-1], device=shift.device).expand(shift.shape)
    s = (shift * _ONE).round().long()
    lands = column * _ONE - s

    # Each cell draws from its vertex to the next one on the same surface; free ends reach half a cell further.
    # The jump is at most one column, so no joined piece runs backwards and none is longer than two.
    joined = torch.zeros_like(known)
    joined[..., :-1] = known[..., :-1] & known[..., 1:] & (s.diff(dim=-1).abs() <= _ONE + _TOLERANCE)
    start = torch.where(joined.roll(1, dims=-1), lands, lands - _HALF)
    end = torch.where(joined, lands.roll(-1, dims=-1), lands + _HALF)
    first = -((-start) >> _BITS)  # shifting rounds down, as // does, in a tenth of the time
    frontmost = _nothing(shift)
    for slot in range(3):  # a piece of at most 2 1/2 columns covers three centres
        target = first + slot
        beyond = target * _ONE - lands
        length = torch.where(joined & (beyond >= 0), end - lands, _ONE)
        x = column * _ONE + beyond * _ONE // length.clamp(min=1)
        _draw(target, x, known & (target * _ONE < end), onto=frontmost)

    x = frontmost[..., :-1]
    hit = x != _NOWHERE
    x = x.masked_fill(~hit, 0)
    closest = (x + _HALF) >> _BITS
    left = (x >> _BITS).clamp(min=0)
    on_piece = joined.gather(-1, left)
    weight = torch.where(on_piece, x - left * _ONE, 0).clamp(min=0).to(shift.dtype) / _ONE
    return Hits(torch.where(on_piece, left, closest), weight, closest.masked_fill(~hit, -1))


def _nothing(like: Float[Tensor, "b 1 h w"]) -> Int[Tensor, "b 1 h w+1"]:
    """Rows on which nothing is drawn, with a column at the end for what falls out of the frame."""
    *leading, width = like.shape
    return torch.full((*leading, width + 1), _NOWHERE, dtype=torch.long, device=like.device)


def _draw(
    target: Int[Tensor, "b 1 h w"],
    x: Int[Tensor, "b 1 h w"],
    drawn: Bool[Tensor, "b 1 h w"],
    *,
    onto: Int[Tensor, "b 1 h w+1"],
) -> None:
    """Keep for each target column the largest source position. A maximum does not depend on the order of writing."""
    width = target.shape[-1]
    inside = drawn & (target >= 0) & (target < width)
    onto.scatter_reduce_(-1, torch.where(inside, target, width), x, "amax")
