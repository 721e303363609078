"""Other grids for a disparity map, without inventing depths that no surface has.

Plain interpolation mixes a pole with the wall behind it into something that floats between the two, and a
narrow pole disappears. So a coarse cell takes the *nearest* of the surfaces that fall into it, and a fine
cell is interpolated only between neighbours that lie on one surface. Both axes are treated one after the other.
"""

from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stereodiffusion.geometry.bands import in_bands

SAME_SURFACE_PX = 0.5
"""Cells that differ by at most this lie on one surface: neighbours of the coarser grid are interpolated between, cells
that share a coarse cell are averaged. The slope of a disparity map does not depend on its grid (values scale with the
width), and 1/2 is steep: a street seen from a car has 1/3, the surfaces of a room far less."""


def resample(
    values: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"], height: int, width: int
) -> tuple[Float[Tensor, "b 1 h2 w2"], Bool[Tensor, "b 1 h2 w2"]]:
    """Bring a map to another grid; the values keep their unit."""
    values, known = _resample_rows(values, known, width)
    values, known = _resample_rows(values.mT, known.mT, height)
    return values.mT.contiguous(), known.mT.contiguous()


def _resample_rows(
    values: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"], size: int
) -> tuple[Float[Tensor, "b 1 h w2"], Bool[Tensor, "b 1 h w2"]]:
    if size == values.shape[-1]:
        return values, known
    resampled = _shrink_rows if size < values.shape[-1] else _grow_rows
    values, known = in_bands(partial(resampled, size=size), values, known)
    return values, known


def _shrink_rows(
    values: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"], size: int
) -> tuple[Float[Tensor, "b 1 h w2"], Bool[Tensor, "b 1 h w2"]]:
    """Take the nearest surface among the known cells whose centres lie in each coarse cell."""
    index, inside = _footprints(values.shape[-1], size, values.device)
    d = values[..., index]
    present = known[..., index] & inside
    nearest = torch.where(present, d, -torch.inf).amax(dim=-1, keepdim=True)
    same_surface = present & (d >= nearest - SAME_SURFACE_PX)
    behind = torch.where(same_surface, d - nearest, 0.0).sum(dim=-1) / same_surface.sum(dim=-1).clamp(min=1)
    found = present.any(dim=-1)
    return torch.where(found, nearest.squeeze(-1) + behind, 0.0), found


def _footprints(fine: int, coarse: int, device: torch.device) -> tuple[Int[Tensor, "w k"], Bool[Tensor, "w k"]]:
    """For each coarse cell the fine cells in it, each in exactly one; rows are padded to equal length."""
    edges = torch.arange(coarse + 1, device=device)
    # Fine cell i lies in coarse cell floor((i + 1/2) coarse / fine); solved for the first i of each.
    first = -((coarse - 2 * fine * edges) // (2 * coarse))
    index = first[:-1, None] + torch.arange(int(first.diff().max()), device=device)
    return index.clamp(max=fine - 1), index < first[1:, None]


def _grow_rows(
    values: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"], size: int
) -> tuple[Float[Tensor, "b 1 h w2"], Bool[Tensor, "b 1 h w2"]]:
    """Interpolate on a surface, take the nearest cell between surfaces."""
    last = values.shape[-1] - 1
    centre = (torch.arange(size, device=values.device, dtype=values.dtype) + 0.5) * (last + 1) / size - 0.5
    centre = centre.clamp(0, last)
    left = centre.floor().long()
    right = (left + 1).clamp(max=last)
    weight = centre - left
    a, b = values[..., left], values[..., right]
    one_surface = known[..., left] & known[..., right] & ((a - b).abs() <= SAME_SURFACE_PX)
    closest = torch.where(weight < 0.5, left, right)
    return torch.where(one_surface, a + weight * (b - a), values[..., closest]), known[..., closest]
