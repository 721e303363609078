"""What both eyes see: the cells of either view that show a point which the other shows too, by a disparity map."""

from typing import NamedTuple

import torch
from torch.nn import functional

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.types import Map, Region

_HIDDEN_PX = 1.0  # how much nearer than a point something must be to hide it; more than slanted surfaces climb per cell


class SharedView(NamedTuple):
    """The cells of the two views that show the same points.

    Attributes:
        left: Cells of the left view with a known disparity, that the right eye sees as well.
        right: The cells of the right view where these land.
    """

    left: Region
    right: Region


def shared_view(disparity: Disparity, occlusion: Region | None = None) -> SharedView:
    """What both eyes see, from the disparity of the left view.

    A point is not shared if it lands outside the frame, or where something nearer by more than a pixel lands on it
    or beside it. The map may be sparse: nothing is said of cells between known ones.

    Args:
        disparity: of the left view.
        occlusion: cells of the right view that show something else, if the caller knows better.

    Raises:
        GeometryError: If the occlusion is of another size.
    """
    check_disparity(disparity)
    if occlusion is not None and occlusion.shape != disparity.known.shape:
        raise GeometryError(f"the occlusion is {tuple(occlusion.shape)}, the disparity {tuple(disparity.known.shape)}")
    column = torch.arange(disparity.width, device=disparity.pixels.device)
    landing = (column - disparity.pixels).round().long()
    lands = disparity.known & (landing >= 0) & (landing < disparity.width)
    landing = torch.where(lands, landing, 0)

    nearest = _nearest(disparity.pixels, landing, lands)
    around = functional.max_pool2d(nearest, (1, 3), stride=1, padding=(0, 1))
    seen = lands & (disparity.pixels >= around.gather(-1, landing) - _HIDDEN_PX)
    if occlusion is not None:
        seen &= ~occlusion.gather(-1, landing)
    reached = torch.zeros_like(nearest).scatter_reduce(-1, landing, seen.to(nearest.dtype), "amax") > 0
    return SharedView(left=seen, right=reached)


def _nearest(pixels: Map, landing: torch.Tensor, lands: Region) -> Map:
    """The largest disparity that lands on each cell of the right view, -inf where none does."""
    empty = torch.full_like(pixels, -torch.inf)
    return empty.scatter_reduce(-1, landing, torch.where(lands, pixels, -torch.inf), "amax")
