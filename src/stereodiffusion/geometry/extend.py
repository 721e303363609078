"""The background continued into occlusions: what an eye that moves sideways most likely sees behind an edge.

An occlusion opens on the far side of a depth edge, so it belongs to the farther of its two neighbours. Each row is
drawn out from there. The farther a cell lies from what is known, the less is known about it: it is read from a coarser
level of a mip-map, so that colours spread across rows and the streaks of a plain stretch are averaged away.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.disparity import Disparity

_SAME_SURFACE_PX = 1.0  # neighbours this close in disparity are one surface, and a hole between them is interpolated
_TAKEN_PX = 2  # cells that are averaged at the edge of what is known
_SPREAD = 0.7  # standard deviation of the smoothing per distance from what is known
_OWN_ROW = 0.3  # weight of the row as it was drawn out: nearest neighbours tell most, so the kernel has a peak
_LEAST_SPREAD_PX = 1.5
_COARSEST = 6  # mip-map levels above the finest

EXTENDED_BLOCK = 1 << _COARSEST
"""Rows of a cell of the coarsest level. A filled row depends on the blocks beside its own, and on farther rows only if
there are some that show nothing at all; bands of a view have to begin at multiples of it."""


def extend_background(view: Float[Tensor, "b c h w"], seen: Disparity) -> Float[Tensor, "b c h w"]:
    """Fill the cells that show nothing from the background beside them.

    Args:
        view: a warped view, any number of channels; what its unknown cells contain does not matter.
        seen: the disparity of that view on its grid, known where the view shows something (see `warp_disparity`).

    Returns:
        The view with every cell filled; known cells keep their values. A view that shows nothing becomes 0.

    Raises:
        GeometryError: if the disparity is of another size or batch.
    """
    if (len(view), *view.shape[2:]) != (seen.batch, *seen.size):
        raise GeometryError(f"the view is {tuple(view.shape)}, its disparity {tuple(seen.pixels.shape)}")
    drawn, distance, found = _draw_out(view, seen.pixels, seen.known)
    if not bool(found.all()):  # rows that show nothing at all take from the rows above and below
        columns = _draw_out(*(field.mT for field in (drawn, seen.pixels, found)))
        drawn = columns[0].mT.contiguous()
        distance = torch.where(found, distance, columns[1].mT)
    at = _cells(~seen.known)
    filled = view.clone()
    filled.movedim(1, -1)[at] = torch.lerp(_smooth(drawn, ~seen.known, distance, at), _of(drawn, at), _OWN_ROW)
    return filled


_Cells = tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]
"""Cells of a batch of views: picture, row and column of each. Holes are few, so what is computed is computed there."""


def _cells(hole: Bool[Tensor, "b 1 h w"]) -> _Cells:
    number, row, column = hole.squeeze(1).nonzero(as_tuple=True)
    return number, row, column


def _of(field: Float[Tensor, "b c h w"], at: _Cells) -> Float[Tensor, "n c"]:
    return field.movedim(1, -1)[at]


def _draw_out(
    view: Float[Tensor, "b c h w"], disparity: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 h w"], Bool[Tensor, "b 1 h w"]]:
    """Rows continued from the farther side of every hole; distance to that side; the cells that have a value now."""
    width = view.shape[-1]
    column = torch.arange(width, device=view.device)
    at = number, row, own = _cells(~known)
    before = torch.where(known, column, -1).cummax(dim=-1).values.squeeze(1)[at]
    after = torch.where(known, column, width).flip(-1).cummin(dim=-1).values.flip(-1).squeeze(1)[at]
    to_before, to_after = (own - before).to(view.dtype), (after - own).to(view.dtype)
    d_before, d_after = (_of(disparity, (number, row, edge.clamp(0, width - 1))).squeeze(1) for edge in (before, after))
    d_before, d_after = torch.where(before >= 0, d_before, torch.inf), torch.where(after < width, d_after, torch.inf)
    found = (before >= 0) | (after < width)

    one_surface = (d_before - d_after).abs() <= _SAME_SURFACE_PX
    share = torch.where(
        one_surface, to_before / (to_before + to_after).clamp(min=1), (d_after < d_before).to(view.dtype)
    )
    start, end = (_edge_mean(view, known, (number, row, edge), step) for edge, step in ((before, -1), (after, 1)))
    nearest = torch.where(one_surface, torch.minimum(to_before, to_after), torch.lerp(to_before, to_after, share))
    drawn, distance = view.clone(), torch.zeros_like(disparity)
    drawn.movedim(1, -1)[at] = torch.lerp(start, end, share[:, None].expand_as(start)).masked_fill(~found[:, None], 0)
    distance.squeeze(1)[at] = nearest.masked_fill(~found, 0)
    return drawn, distance, known.any(dim=-1, keepdim=True).expand_as(known)


def _edge_mean(
    view: Float[Tensor, "b c h w"], known: Bool[Tensor, "b 1 h w"], edge: _Cells, outwards: int
) -> Float[Tensor, "n c"]:
    """Mean of the first known cells behind the edge of a hole; the nearest column of the frame for those outside."""
    number, row, column = edge
    total, count = view.new_zeros((len(column), view.shape[1])), view.new_zeros((len(column), 1))
    for step in range(_TAKEN_PX):
        taken = number, row, (column + outwards * step).clamp(0, view.shape[-1] - 1)
        inside = known.squeeze(1)[taken][:, None].to(view.dtype)
        total = total + inside * _of(view, taken)
        count = count + inside
    return total / count.clamp(min=1)


def _smooth(
    drawn: Float[Tensor, "b c h w"], hole: Bool[Tensor, "b 1 h w"], distance: Float[Tensor, "b 1 h w"], at: _Cells
) -> Float[Tensor, "n c"]:
    """Each cell from the mip-map level whose cells are as wide as the spread that its distance asks for.

    Only holes are averaged: what is known has its say through the rows alone, nearer surfaces through nothing.
    """
    height, width = drawn.shape[2:]
    spread = (_SPREAD * _of(distance, at)).clamp(min=_LEAST_SPREAD_PX)
    wanted = (spread * 2).log2().clamp(max=_COARSEST)  # level k, drawn to full size, has a deviation of about 2^k / 2
    sums = torch.cat([drawn * hole, hole.to(drawn.dtype)], 1)  # colours, and how many cells they are of
    finer = _of(drawn, at)
    result = torch.zeros_like(finer)
    for level in range(1, _COARSEST + 1):
        sums = _halved(sums)
        coarse = _of(interpolate(sums, scale_factor=2**level, mode="bilinear")[..., :height, :width], at)
        coarser = coarse[:, :-1] / coarse[:, -1:].clamp(min=torch.finfo(drawn.dtype).tiny)
        share = (wanted - (level - 1)).clamp(0, 1)
        inside = (wanted > level - 1) & (wanted <= level)
        result = torch.where(inside, torch.lerp(finer, coarser, share.expand_as(finer)), result)
        finer = coarser
    return result


def _halved(field: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Means of 2 x 2 cells; a last odd row or column is padded with nothing."""
    return avg_pool2d(pad(field, (0, field.shape[-1] % 2, 0, field.shape[-2] % 2)), 2)
