"""The background continued into occlusions: what an eye that moves sideways most likely sees behind an edge.

An occlusion opens on the far side of a depth edge, so it belongs to the farther of its two neighbours. Each row is
drawn out from there, and lines that run into the occlusion go on in their own direction. The farther a cell lies from
what is known, the less is known about it: it is read from a coarser level of a mip-map, so that colours spread across
rows and the streaks of a plain stretch are averaged away; less so on lines.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.accept import check_view
from stereodiffusion.geometry.disparity import Disparity, check_disparity
from stereodiffusion.geometry.lines import Edges, isophotes, trace
from stereodiffusion.types import Region

_SAME_SURFACE_PX = 1.0  # neighbours this close in disparity are one surface, and a hole between them is interpolated
_TAKEN_PX = 2  # cells that are averaged at the edge of what is known
_SPREAD = 0.7  # standard deviation of the smoothing per distance from what is known
_OWN_ROW = 0.3  # weight of the row as it was drawn out: nearest neighbours tell most, so the kernel has a peak
_LEAST_SPREAD_PX = 1.5
_SURE = 0.7  # share of the distance that does not count along the surest line
_COARSEST = 6  # mip-map levels above the finest


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
    check_view(view, name="the view")
    check_disparity(seen)
    if (len(view), *view.shape[2:]) != (seen.batch, *seen.size):
        raise GeometryError(f"the view is {tuple(view.shape)}, its disparity {tuple(seen.pixels.shape)}")
    edges, found = _edges(seen)
    drawn, distance = _draw_rows(view, seen, edges)
    drawn, distance = _follow_lines(view, seen, edges, drawn, distance)
    if not bool(found.all()):  # rows that show nothing at all take from the rows above and below
        above = Disparity(pixels=seen.pixels.mT, known=found.mT)
        columns, far = _draw_rows(drawn.mT, above, _edges(above)[0])
        drawn, distance = columns.mT.contiguous(), torch.where(found, distance, far.mT)
    filled = torch.lerp(_smooth(drawn, ~seen.known, distance), drawn, _OWN_ROW)
    return torch.where(seen.known, view, filled)


def _edges(seen: Disparity) -> tuple[Edges, Region]:
    """The farther side of every hole, and the cells of rows that show anything at all."""
    column, width = torch.arange(seen.width, device=seen.pixels.device), seen.width
    before = torch.where(seen.known, column, -1).cummax(dim=-1).values
    after = torch.where(seen.known, column, width).flip(-1).cummin(dim=-1).values.flip(-1)
    d_before = torch.where(before >= 0, _at(seen.pixels, before), torch.inf)
    d_after = torch.where(after < width, _at(seen.pixels, after), torch.inf)
    within = (d_before - d_after).abs() <= _SAME_SURFACE_PX
    edges = Edges(before=before, after=after, from_after=d_after < d_before, within=within)
    return edges, (before >= 0) | (after < width)


def _draw_rows(
    view: Float[Tensor, "b c h w"], seen: Disparity, edges: Edges
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 h w"]]:
    """Rows continued from the farther side of every hole, and the distance to that side; 0 where there is none."""
    column = torch.arange(seen.width, device=view.device)
    to_before, to_after = (column - edges.before).to(view.dtype), (edges.after - column).to(view.dtype)
    share = torch.where(edges.within, to_before / (to_before + to_after).clamp(min=1), edges.from_after.to(view.dtype))
    start, end = _edge_mean(view, seen.known, edges.before, -1), _edge_mean(view, seen.known, edges.after, 1)
    drawn = torch.where(seen.known, view, torch.lerp(start, end, share.expand_as(view)))
    distance = torch.where(edges.within, torch.minimum(to_before, to_after), torch.lerp(to_before, to_after, share))
    found = (edges.before >= 0) | (edges.after < seen.width)
    return drawn.masked_fill(~found, 0), distance.masked_fill(seen.known | ~found, 0)


def _follow_lines(
    view: Float[Tensor, "b c h w"], seen: Disparity, edges: Edges, drawn: Tensor, distance: Tensor
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 h w"]]:
    """Where lines run into holes, what was drawn along rows drawn along lines instead, and counted as less distant."""
    found = (edges.before >= 0) | (edges.after < seen.width)
    lines = trace(isophotes(view, seen), seen, edges, ~seen.known & ~edges.within & found)
    picture, row, column = lines.cells
    upper = lines.leaves_at.floor().long().clamp(max=max(seen.height - 2, 0))
    lower = (upper + 1).clamp(max=seen.height - 1)
    share = (lines.leaves_at - upper)[:, None].to(view.dtype)
    followed, nearer = drawn.clone(), distance.clone()
    above, below = drawn[picture, :, upper, column], drawn[picture, :, lower, column]
    followed[picture, :, row, column] = torch.lerp(above, below, share)
    nearer[picture, 0, row, column] *= 1 - _SURE * lines.coherence
    return followed, nearer


def _edge_mean(
    view: Float[Tensor, "b c h w"], known: Bool[Tensor, "b 1 h w"], edge: Int[Tensor, "b 1 h w"], outwards: int
) -> Float[Tensor, "b c h w"]:
    """Mean of the first known cells behind the edge of a hole."""
    total, count = torch.zeros_like(view), torch.zeros_like(view[:, :1])
    for step in range(_TAKEN_PX):
        inside = _at(known, edge + outwards * step).to(view.dtype)
        total = total + inside * _at(view, edge + outwards * step)
        count = count + inside
    return total / count.clamp(min=1)


def _at(field: Tensor, column: Int[Tensor, "b 1 h w"]) -> Tensor:
    """Values at a column of each cell's own row; the nearest column of the frame where it lies outside."""
    return field.gather(-1, column.clamp(0, field.shape[-1] - 1).expand(-1, field.shape[1], -1, -1))


def _smooth(
    drawn: Float[Tensor, "b c h w"], hole: Bool[Tensor, "b 1 h w"], distance: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b c h w"]:
    """Each cell from the mip-map level whose cells are as wide as the spread that its distance asks for.

    Only holes are averaged: what is known has its say through the rows alone, nearer surfaces through nothing.
    """
    height, width = drawn.shape[2:]
    spread = (_SPREAD * distance).clamp(min=_LEAST_SPREAD_PX)
    wanted = (spread * 2).log2().clamp(max=_COARSEST)  # level k, drawn to full size, has a deviation of about 2^k / 2
    total, weight = drawn * hole, hole.to(drawn.dtype)
    result, finer = torch.zeros_like(drawn), drawn
    for level in range(1, _COARSEST + 1):
        total, weight = (_halved(field) for field in (total, weight))
        coarse = interpolate(torch.cat([total, weight], 1), scale_factor=2**level, mode="bilinear")[
            ..., :height, :width
        ]
        coarser = coarse[:, :-1] / coarse[:, -1:].clamp(min=torch.finfo(drawn.dtype).tiny)
        share = (wanted - (level - 1)).clamp(0, 1)
        inside = (wanted > level - 1) & (wanted <= level)
        result = torch.where(inside, torch.lerp(finer, coarser, share.expand_as(drawn)), result)
        finer = coarser
    return result


def _halved(field: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Means of 2 x 2 cells; a last odd row or column is padded with nothing."""
    return avg_pool2d(pad(field, (0, field.shape[-1] % 2, 0, field.shape[-2] % 2)), 2)
