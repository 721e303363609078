"""The background continued into occlusions: what an eye that moves sideways most likely sees behind an edge.

An occlusion opens on the far side of a depth edge, so it belongs to the farther of its two neighbours. Each row is
drawn out from there, and lines that run into the occlusion go on in their own direction. The farther a cell lies from
what is known, the less is known about it: it is read from a coarser level of a mip-map, so that colours spread across
rows and the streaks of a plain stretch are averaged away; less so on lines.

Holes are few, so what is computed is computed there. A line may come from rows far away, and a coarse level is of many
rows, so these look at the whole picture.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.accept import check_view
from stereodiffusion.geometry.bands import CELLS_AT_ONCE, Band, in_bands, in_parts
from stereodiffusion.geometry.disparity import Disparity, check_disparity
from stereodiffusion.geometry.threads import side_by_side
from stereodiffusion.occlusion.lines import Edges, Isophotes, isophotes, trace
from stereodiffusion.types import Region

_SAME_SURFACE_PX = 1.0  # neighbours this close in disparity are one surface, and a hole between them is interpolated
_TAKEN_PX = 2  # cells that are averaged at the edge of what is known
_SPREAD = 0.7  # standard deviation of the smoothing per distance from what is known
_OWN_ROW = 0.3  # weight of the row as it was drawn out: nearest neighbours tell most, so the kernel has a peak
_LEAST_SPREAD_PX = 1.5
_SURE = 0.7  # share of the distance that does not count along the surest line
_COARSEST = 6  # mip-map levels above the finest


def extend_background(
    view: Float[Tensor, "b c h w"], seen: Disparity, *, cells: int = CELLS_AT_ONCE, in_place: bool = False
) -> Float[Tensor, "b c h w"]:
    """Fill the cells that show nothing from the background beside them.

    Args:
        view: a warped view, any number of channels; what its unknown cells contain does not matter.
        seen: the disparity of that view on its grid, known where the view shows something (see `warp_disparity`).
        cells: how many to compute at once, about; the result does not depend on it.
        in_place: whether `view` itself may be changed: a large picture has no room for another.

    Returns:
        The view with every cell filled; known cells keep their values. A view that shows nothing becomes 0.

    Raises:
        GeometryError: if the disparity is of another size or batch.
    """
    check_view(view, name="the view")
    check_disparity(seen)
    if (len(view), *view.shape[2:]) != (seen.batch, *seen.size):
        raise GeometryError(f"the view is {tuple(view.shape)}, its disparity {tuple(seen.pixels.shape)}")
    drawn, distance = _draw_out(view if in_place else view.clone(), seen, cells)
    _smooth(drawn, ~seen.known, distance, cells)
    return drawn


def draw_rows(
    view: Float[Tensor, "b c h w"], seen: Disparity, *, cells: int = CELLS_AT_ONCE
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 h w"]]:
    """Rows continued plainly from the farther side of every hole; of a view that is its disparity, what is hidden.

    Returns:
        The view, 0 where a row shows nothing, and how far away in its row that side is, 0 where there is no hole.
    """
    drawn = view.clone()
    return drawn, _draw_rows(drawn, seen, _edges(seen, cells), cells)


_Cells = tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]
"""Cells of a batch of views: picture, row and column of each."""


def _cells(hole: Bool[Tensor, "b 1 h w"], rows: slice = slice(None)) -> _Cells:
    """The cells of holes, on some rows if not on all."""
    picture, row, column = hole[:, 0, rows].nonzero(as_tuple=True)
    return picture, row + (rows.start or 0), column


def _of(field: Shaped[Tensor, "b c h w"], at: _Cells) -> Shaped[Tensor, "n c"]:
    return field.movedim(1, -1)[at]


def _draw_out(
    drawn: Float[Tensor, "b c h w"], seen: Disparity, cells: int
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 h w"]]:
    """Rows and lines continued into holes, and how far away what is known counts as; 0 where there is no hole.

    The view is changed; it is also what is returned, unless some of its rows show nothing.
    """
    lines, edges = isophotes(drawn, seen, cells=cells), _edges(seen, cells)
    distance = _draw_rows(drawn, seen, edges, cells)
    _follow_lines(lines, seen, edges, drawn, distance)
    found = seen.known.any(dim=-1, keepdim=True).expand_as(seen.known)
    if not bool(found.all()):  # rows that show nothing at all take from the rows above and below
        above = Disparity(pixels=seen.pixels.mT, known=found.mT)
        columns = drawn.mT.clone()
        far = _draw_rows(columns, above, _edges(above, cells), cells)
        drawn, distance = columns.mT.contiguous(), torch.where(found, distance, far.mT)
    return drawn, distance


def _edges(seen: Disparity, cells: int) -> Edges:
    """The farther side of every hole."""
    before, after, from_after, within = in_bands(_edges_of_rows, seen.pixels, seen.known, cells=cells)
    return Edges(before=before, after=after, from_after=from_after, within=within)


def _edges_of_rows(
    pixels: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]
) -> tuple[Int[Tensor, "b 1 h w"], Int[Tensor, "b 1 h w"], Region, Region]:
    width = pixels.shape[-1]
    column = torch.arange(width, device=pixels.device)
    before = torch.where(known, column, -1).cummax(dim=-1).values
    after = torch.where(known, column, width).flip(-1).cummin(dim=-1).values.flip(-1)
    d_before, d_after = (pixels.gather(-1, edge.clamp(0, width - 1)) for edge in (before, after))
    d_before, d_after = torch.where(before >= 0, d_before, torch.inf), torch.where(after < width, d_after, torch.inf)
    within = (d_before - d_after).abs() <= _SAME_SURFACE_PX
    short = torch.int16 if width < 1 << 15 else torch.int32
    return before.to(short), after.to(short), d_after < d_before, within


def _draw_rows(drawn: Float[Tensor, "b c h w"], seen: Disparity, edges: Edges, cells: int) -> Float[Tensor, "b 1 h w"]:
    """Continues rows from the farther side of every hole; returns the distance to that side, 0 where there is none."""
    distance = torch.zeros_like(drawn[:, :1])

    def draw(band: Band) -> None:
        view, known = drawn[:, :, band.rows], seen.known[:, :, band.rows]
        at = picture, row, column = _cells(~known)
        before, after, from_after, within = (
            _of(field[:, :, band.rows], at).squeeze(1)
            for field in (edges.before, edges.after, edges.from_after, edges.within)
        )
        to_before, to_after = (column - before).to(view.dtype), (after - column).to(view.dtype)
        share = torch.where(within, to_before / (to_before + to_after).clamp(min=1), from_after.to(view.dtype))
        start, end = (
            _edge_mean(view, known, (picture, row, edge.long()), outwards)
            for edge, outwards in ((before, -1), (after, 1))
        )
        nearest = torch.where(within, torch.minimum(to_before, to_after), torch.lerp(to_before, to_after, share))
        nothing = (before < 0) & (after == seen.width)
        mixed = torch.lerp(start, end, share[:, None].expand_as(start))
        view.movedim(1, -1)[at] = mixed.masked_fill(nothing[:, None], 0)
        distance[:, 0, band.rows][at] = nearest.masked_fill(nothing, 0)

    cut, threads = in_parts(seen.height, seen.batch * seen.width, drawn.device, cells=cells)
    for _ in side_by_side(draw, cut, threads=threads):
        pass
    return distance


def _follow_lines(lines: Isophotes, seen: Disparity, edges: Edges, drawn: Tensor, distance: Tensor) -> None:
    """Changes what was drawn along rows to what lines that run into holes show; counts it as less distant."""
    found = seen.known.any(dim=-1, keepdim=True)
    traced = trace(lines, seen, edges, ~seen.known & ~edges.within & found)
    picture, _, column = traced.cells
    upper = traced.leaves_at.floor().long().clamp(max=max(seen.height - 2, 0))
    lower = (upper + 1).clamp(max=seen.height - 1)
    share = (traced.leaves_at - upper)[:, None].to(drawn.dtype)
    above, below = _of(drawn, (picture, upper, column)), _of(drawn, (picture, lower, column))
    drawn.movedim(1, -1)[traced.cells] = torch.lerp(above, below, share)
    distance.squeeze(1)[traced.cells] *= 1 - _SURE * traced.coherence


def _edge_mean(
    view: Float[Tensor, "b c h w"], known: Bool[Tensor, "b 1 h w"], edge: _Cells, outwards: int
) -> Float[Tensor, "n c"]:
    """Mean of the first known cells behind the edge of a hole; the nearest column of the frame for those outside."""
    picture, row, column = edge
    total, count = view.new_zeros((len(column), view.shape[1])), view.new_zeros((len(column), 1))
    for step in range(_TAKEN_PX):
        taken = picture, row, (column + outwards * step).clamp(0, view.shape[-1] - 1)
        inside = _of(known, taken).to(view.dtype)
        total = total + inside * _of(view, taken)
        count = count + inside
    return total / count.clamp(min=1)


def _smooth(
    drawn: Float[Tensor, "b c h w"], hole: Bool[Tensor, "b 1 h w"], distance: Float[Tensor, "b 1 h w"], cells: int
) -> None:
    """Changes what was drawn in holes to what is to be seen there.

    Each cell is read from the mip-map level whose cells are as wide as the spread that its distance asks for. Only
    holes are averaged: what is known has its say through the rows alone, nearer surfaces through nothing.
    """
    batch, _, height, width = drawn.shape
    levels = _mip_map(drawn, hole, cells)
    cut, threads = in_parts(height, batch * width, drawn.device, cells=cells)

    def smooth(band: Band) -> None:
        at = picture, row, column = _cells(hole, band.rows)
        own = _of(drawn, at).mT
        spread = (_SPREAD * _of(distance, at).squeeze(1)).clamp(min=_LEAST_SPREAD_PX)
        wanted = (spread * 2).log2().clamp(max=_COARSEST)  # level k, at full size, has a deviation of about 2^k / 2
        result = torch.zeros_like(own)
        for level in range(1, _COARSEST + 1):
            here = ((wanted > level - 1) & (wanted <= level)).nonzero().squeeze(1)
            there = picture[here], row[here], column[here]
            finer = own[:, here] if level == 1 else _read(levels[level - 2], there, level - 1)
            share = (wanted[here] - (level - 1)).expand_as(finer)
            result[:, here] = torch.lerp(finer, _read(levels[level - 1], there, level), share)
        drawn.movedim(1, -1)[at] = torch.lerp(result, own, _OWN_ROW).mT

    for _ in side_by_side(smooth, cut, threads=threads):
        pass


def _mip_map(
    drawn: Float[Tensor, "b c h w"], hole: Bool[Tensor, "b 1 h w"], cells: int
) -> list[Float[Tensor, "b _d _h _w"]]:
    """Colours of holes, and how many cells they are of, from the level of 2 x 2 cells to the coarsest."""
    batch, _, height, width = drawn.shape

    def finest(band: Band) -> Float[Tensor, "b _d _h _w"]:
        colours, counted = drawn[:, :, band.rows], hole[:, :, band.rows]
        return _halved(torch.cat([colours * counted, counted.to(drawn.dtype)], 1))

    cut, threads = in_parts(height, batch * width, drawn.device, align=2, cells=cells)
    levels = [torch.cat([*side_by_side(finest, cut, threads=threads)], dim=2)]
    while len(levels) < _COARSEST:
        levels.append(_halved(levels[-1]))
    return levels


def _read(sums: Float[Tensor, "b d h w"], at: _Cells, level: int) -> Float[Tensor, "_c n"]:
    """Mean colours of a level at cells of the picture, interpolated bilinearly."""
    picture, row, column = at
    height, width = sums.shape[2:]
    planes = sums.transpose(0, 1).flatten(1)
    above, below, down = _neighbours(row, level, height, sums.dtype)
    left, right, along = _neighbours(column, level, width, sums.dtype)

    def on_row(of: Int[Tensor, " n"]) -> Float[Tensor, "_d n"]:
        start = (picture * height + of) * width
        first, second = planes.index_select(1, start + left), planes.index_select(1, start + right)
        return torch.addcmul(second * along, first, 1 - along)

    mixed = torch.addcmul(on_row(below) * down, on_row(above), 1 - down)
    return mixed[:-1] / mixed[-1:].clamp(min=torch.finfo(sums.dtype).tiny)


def _neighbours(
    at: Int[Tensor, " n"], level: int, length: int, dtype: torch.dtype
) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Float[Tensor, " n"]]:
    """The two cells of a level between whose centres a cell of the picture lies, and how far towards the second."""
    place = ((at.to(dtype) + 0.5) / 2**level - 0.5).clamp(min=0)
    first = place.long()
    return first, (first + 1).clamp(max=length - 1), place - first


def _halved(field: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Means of 2 x 2 cells; a last odd row or column is padded with nothing."""
    return avg_pool2d(pad(field, (0, field.shape[-1] % 2, 0, field.shape[-2] % 2)), 2)
