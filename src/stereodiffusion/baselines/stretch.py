"""Stretch (table 1): what lies left and right of a hole is drawn out over it, row by row."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stereodiffusion.baselines.blank import Registration, warp
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Region


def stretch(left: Image, disparity: Disparity, *, registration: Registration = "nearest") -> Image:
    """The right view with its occlusions stretched over.

    Args:
        left: (b, 3, h, w), sRGB in [0, 1].
        disparity: of the left view on the same grid; unknown cells are not drawn.
        registration: how the visible pixels move.

    Raises:
        GeometryError: If the disparity is of another size.
    """
    warped = warp(left, disparity, registration=registration)
    return stretch_holes(warped.view, warped.visible)


def stretch_holes(picture: Image, visible: Region) -> Image:
    """Fill by linear interpolation between the visible neighbours on the row.

    A hole at the border repeats the one neighbour it has. Rows that show nothing at all are interpolated between
    the rows above and below; a picture that shows nothing stays black. Visible cells keep their values.
    """
    filled, found = _stretch_rows(picture, visible)
    if not bool(found.all()):
        filled, found = (field.mT for field in _stretch_rows(filled.mT, found.mT))
    return filled.contiguous()


def _stretch_rows(
    picture: Float[Tensor, "b c h w"], visible: Bool[Tensor, "b 1 h w"]
) -> tuple[Float[Tensor, "b c h w"], Bool[Tensor, "b 1 h w"]]:
    """The filled rows, and the cells that have a value now."""
    width = picture.shape[-1]
    column = torch.arange(width, device=picture.device)
    before = torch.where(visible, column, -1).cummax(dim=-1).values
    after = torch.where(visible, column, width).flip(-1).cummin(dim=-1).values.flip(-1)
    found = (before >= 0) | (after < width)
    start = torch.where(before >= 0, before, after).clamp(max=width - 1)
    end = torch.where(after < width, after, start)
    precise = torch.promote_types(picture.dtype, torch.float32)
    weight = ((column - start).to(precise) / (end - start).clamp(min=1)).to(picture.dtype)
    a, b = (picture.gather(-1, at.expand_as(picture)) for at in (start, end))
    drawn = torch.where(found, torch.lerp(a, b, weight.expand_as(a)), 0.0)
    return torch.where(visible, picture, drawn), found.expand_as(visible)
