"""Lines that run into a hole, and where in it they go.

The structure tensor (Bigün & Granlund 1987) tells which way a picture runs beside a hole, and how surely. A cell of
the hole then shows what lies where the line through it leaves the known part. Lines are taken to be straight: what is
hidden is seldom more than a few percent of the picture's width.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import conv2d, pad

from stereodiffusion.geometry.bands import CELLS_AT_ONCE, Band, in_bands, in_parts
from stereodiffusion.geometry.disparity import Disparity
from stereodiffusion.geometry.threads import side_by_side
from stereodiffusion.occlusion.weighted import weighted_mean
from stereodiffusion.types import Map, Region

_AROUND_PX = 5.0  # standard deviation of what is looked at
_REACH_PX = round(3 * _AROUND_PX)
_COHERENCE = 0.6  # 1 is a line, 0 is texture without direction
_CONTRAST = 0.01  # gradient, per cell, below which there is nothing to follow
_STEEPEST = 2.0  # dy/dx of the steepest line that is followed
_ONE_SURFACE_PX = 2.0
_ROUNDS = 8
_MISSED_PX = 1.0  # lines through a cell that miss it by more cross others: none of them is followed


@dataclass(frozen=True, slots=True, kw_only=True)
class Isophotes:
    """Which way a picture runs.

    Attributes:
        slope: dy/dx, (b, 1, h, w); 0 where nothing is to be told.
        coherence: How surely, in [0, 1]; 0 where nothing is to be told.
    """

    slope: Map
    coherence: Map


def isophotes(view: Float[Tensor, "b c h w"], seen: Disparity, *, cells: int = CELLS_AT_ONCE) -> Isophotes:
    """The direction of a picture's lines, told from its known cells alone; borders of surfaces are no lines.

    Args:
        view: any number of channels; what its unknown cells contain does not matter.
        seen: its disparity.
        cells: how many to compute at once, about; the result does not depend on it.
    """
    slope, coherence = in_bands(_directions, view, seen.pixels, seen.known, halo=_REACH_PX + 1, cells=cells)
    return Isophotes(slope=slope, coherence=coherence)


def _directions(view: Float[Tensor, "b c h w"], pixels: Map, known: Region) -> tuple[Map, Map]:
    seen = Disparity(pixels=pixels, known=known)
    (across, on_rows), (down, on_columns) = _gradient(view, seen, dim=3), _gradient(view, seen, dim=2)
    there = (on_rows & on_columns).to(view.dtype)
    products = [(one * other).sum(1, keepdim=True) for one, other in ((across, across), (across, down), (down, down))]
    total, weight = _blurred(torch.cat([*products, there], 1) * there).split([3, 1], dim=1)
    xx, xy, yy = weighted_mean(total, weight)[0].split(1, dim=1)
    difference = ((xx - yy).square() + 4 * xy.square()).sqrt()
    coherence = difference / (xx + yy).clamp(min=1e-8)
    slope = -1 / (torch.atan2(2 * xy, xx - yy) / 2).tan()  # across the direction in which the picture changes most
    clear = (coherence > _COHERENCE) & (slope.abs() < _STEEPEST) & (xx + yy + difference > 2 * _CONTRAST**2)
    return torch.where(clear, slope, 0.0), coherence * clear


def _gradient(view: Float[Tensor, "b c h w"], seen: Disparity, dim: int) -> tuple[Float[Tensor, "b c h w"], Region]:
    """Central differences, and where they reach over neither the frame nor a hole nor a border; elsewhere 0."""
    length = view.shape[dim] - 2
    if length < 1:  # no cell has one on either side
        return torch.zeros_like(view), torch.zeros_like(seen.known)

    def behind(field: Tensor) -> Tensor:
        return field.narrow(dim, 0, length)

    def ahead(field: Tensor) -> Tensor:
        return field.narrow(dim, 2, length)

    one_surface = (ahead(seen.pixels) - behind(seen.pixels)).abs() < _ONE_SURFACE_PX
    there = ahead(seen.known) & behind(seen.known) & one_surface
    sides = (1, 1, 0, 0) if dim == 3 else (0, 0, 1, 1)
    return pad((ahead(view) - behind(view)) / 2 * there, sides), pad(there, sides)


def _blurred(field: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    reach = _REACH_PX
    offset = torch.arange(-reach, reach + 1, dtype=field.dtype, device=field.device)
    kernel = torch.exp(-offset.square() / (2 * _AROUND_PX**2))
    kernel = (kernel / kernel.sum()).expand(field.shape[1], 1, -1)
    for weights, sides in ((kernel[..., None], (0, 0, reach, reach)), (kernel[..., None, :], (reach, reach, 0, 0))):
        field = conv2d(pad(field, sides), weights, groups=field.shape[1])
    return field


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """For every cell of a hole the edge that it is filled from.

    Attributes:
        before: Column of the last known cell before it on its row, -1 if there is none, (b, 1, h, w).
        after: Column of the first known cell after it, the width if there is none.
        from_after: Whether it is filled from `after`.
        within: Whether both are of one surface, and it is filled from both.
    """

    before: Int[Tensor, "b 1 h w"]
    after: Int[Tensor, "b 1 h w"]
    from_after: Region
    within: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """Cells of holes through which lines run.

    Attributes:
        cells: Picture, row and column of each, n of them.
        leaves_at: The row at whose edge the line through the cell leaves what is known.
        coherence: How sure the line is, in [0, 1].
    """

    cells: tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]
    leaves_at: Float[Tensor, " n"]
    coherence: Float[Tensor, " n"]


def trace(lines: Isophotes, seen: Disparity, edges: Edges, holes: Region) -> Traced:
    """Follow lines into holes: the row r at which a line leaves solves r = row - slope(r) (column - edge(r)).

    Args:
        lines: Of the view with the holes.
        seen: Its disparity.
        edges: From where its cells are filled.
        holes: The cells to ask for.
    """
    cut, threads = in_parts(seen.height, seen.batch * seen.width, seen.pixels.device)

    def followed(band: Band) -> Traced:
        picture, _, row, column = holes[:, :, band.rows].nonzero(as_tuple=True)
        return _followed(lines, seen, edges, (picture, row + band.rows.start, column))

    parts = [*side_by_side(followed, cut, threads=threads)]
    picture, row, column = (torch.cat(index) for index in zip(*(part.cells for part in parts), strict=True))
    return Traced(
        cells=(picture, row, column),
        leaves_at=torch.cat([part.leaves_at for part in parts]),
        coherence=torch.cat([part.coherence for part in parts]),
    )


def _followed(
    lines: Isophotes, seen: Disparity, edges: Edges, at: tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]
) -> Traced:
    """Lines through some cells."""
    height, width = seen.size
    picture, row, column = at
    from_after = edges.from_after[picture, 0, row, column]
    first = torch.where(from_after, edges.after[picture, 0, row, column], edges.before[picture, 0, row, column])
    # A cell in whose own row nothing is to be told would stay there, and not be kept.
    told = lines.coherence[picture, 0, row, first.long().clamp(0, width - 1)] > 0
    picture, row, column, from_after = (index[told] for index in (picture, row, column, from_after))

    def edge(at: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        there = torch.where(from_after, edges.after[picture, 0, at, column], edges.before[picture, 0, at, column])
        return there.long().clamp(0, width - 1)

    def beside(field: Map, at: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        nearest = at.round().long().clamp(0, height - 1)
        return field[picture, 0, nearest, edge(nearest)]

    def leaves(at: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return row - beside(lines.slope, at) * (column - edge(at.round().long().clamp(0, height - 1)))

    found = row.to(lines.slope)
    for _ in range(_ROUNDS):
        found = (found + leaves(found)) / 2
    one_surface = (beside(seen.pixels, found) - beside(seen.pixels, row.to(found))).abs() < _ONE_SURFACE_PX
    met = (leaves(found) - found).abs() <= _MISSED_PX
    inside = (found >= 0) & (found <= height - 1) & (beside(seen.known.to(found), found) > 0)
    kept = one_surface & met & inside & (beside(lines.coherence, found) > 0)
    return Traced(
        cells=(picture[kept], row[kept], column[kept]),
        leaves_at=found[kept],
        coherence=beside(lines.coherence, found)[kept],
    )
