"""The stereo pixel shift: one eye's picture, or latent, as the other eye sees it (section 3.1).

Eq. 3 reads the target through the disparity of the *target* cell, which is not known, and with a sign that moves
near things to the right. What is meant is the forward splat: the cell at column x of the left view lands on
x - d of the right, and where several land together the nearest is seen. The way to the left eye is the
same on mirrored pictures.
"""

import math
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.accept import check_view
from stereodiffusion.geometry.disparity import Disparity, check_disparity
from stereodiffusion.geometry.raster import polyline, whole_cells
from stereodiffusion.types import Region, SourceIndex

SplatMode: TypeAlias = Literal["paper", "subpixel"]
Eye: TypeAlias = Literal["left", "right"]

_CELLS_AT_ONCE = 1 << 18  # bounds the working memory to some 30 MB


class Warped(NamedTuple):
    """A view moved to another eye.

    Attributes:
        view: the picture or latent; 0 at occlusions.
        occlusion: the cells that no source cell reaches, because the source eye does not see them.
        source: for each cell the column it came from (the closest one in `subpixel` mode), -1 at occlusions.
    """

    view: Float[Tensor, "b c h w"]
    occlusion: Region
    source: SourceIndex

    @property
    def visible(self) -> Region:
        """The cells that show something of the source view: all but the occlusion."""
        return ~self.occlusion


def splat(
    view: Float[Tensor, "b c h w"],
    disparity: Disparity,
    *,
    to: Eye = "right",
    mode: SplatMode = "subpixel",
    fraction: float = 1.0,
) -> Warped:
    """Move a view to the eye on its right or left.

    Args:
        view: picture or latent, any number of channels.
        disparity: of this view, on the same grid; one map may serve a whole batch. Unknown cells are not drawn.
        to: "right" moves near things left (x - d), "left" moves them right (x + d).
        mode: "paper" shifts whole cells, truncated toward zero, and leaves cracks open; "subpixel" interpolates.
        fraction: how much of the way to the other eye; 0.5 is the point between the two.
    """
    _check(view, disparity, fraction)
    # Whatever lands beyond the frame is dropped, so bounding the shift changes nothing but keeps integers small.
    limit = disparity.width + 2
    shift = disparity.pixels.to(torch.promote_types(disparity.pixels.dtype, torch.float32)) * fraction
    shift = shift.clamp(-limit, limit).expand(view.shape[0], -1, -1, -1)
    known = disparity.known.expand(view.shape[0], -1, -1, -1)

    rows = max(1, _CELLS_AT_ONCE // (view.shape[0] * view.shape[3]))
    parts = [
        _splat_rows(*part, to=to, mode=mode)
        for part in zip(view.split(rows, dim=2), shift.split(rows, dim=2), known.split(rows, dim=2), strict=True)
    ]
    return Warped(*(torch.cat(fields, dim=2) for fields in zip(*parts, strict=True)))


def splat_eyes(
    centre: Float[Tensor, "b c h w"], disparity: Disparity, *, mode: SplatMode = "subpixel"
) -> tuple[Warped, Warped]:
    """Both eyes, (left, right), from the view in the middle and its disparity (from left to right eye) there."""
    return (
        splat(centre, disparity, to="left", mode=mode, fraction=0.5),
        splat(centre, disparity, to="right", mode=mode, fraction=0.5),
    )


def heading(position: float) -> tuple[Eye, float]:
    """Which way, and what fraction of it, leads to an eye `position` baselines to the right (negative: to the left)."""
    return ("left" if position < 0 else "right"), abs(position)


def warp_disparity(
    disparity: Disparity, to: Eye = "right", *, mode: SplatMode = "subpixel", fraction: float = 1.0
) -> Disparity:
    """The disparity map of the other eye; known where that eye sees something of this map."""
    check_disparity(disparity)
    warped = splat(disparity.pixels, disparity, to=to, mode=mode, fraction=fraction)
    return Disparity(pixels=warped.view, known=warped.visible)


def take(view: Float[Tensor, "b c h w"], source: SourceIndex) -> Float[Tensor, "b c h w"]:
    """Move another view the way `Warped.source` tells, in whole cells; 0 where the source is -1."""
    if view.shape[0] != source.shape[0] or view.shape[2:] != source.shape[2:]:
        raise GeometryError(f"view {tuple(view.shape)} and source {tuple(source.shape)} must have one batch and size")
    return _gather(view, source.clamp(min=0)).masked_fill(source < 0, 0)


def _splat_rows(
    view: Float[Tensor, "b c h w"], shift: Float[Tensor, "b 1 h w"], known: Region, *, to: Eye, mode: SplatMode
) -> Warped:
    if to == "left":
        mirrored = _splat_rows(view.flip(-1), shift.flip(-1), known.flip(-1), to="right", mode=mode)
        moved, occlusion, source = (field.flip(-1) for field in mirrored)
        return Warped(moved, occlusion, torch.where(occlusion, source, view.shape[-1] - 1 - source))
    column, weight, source = whole_cells(shift, known) if mode == "paper" else polyline(shift, known)
    occlusion = source < 0
    return Warped(_interpolate(view, column, weight).masked_fill(occlusion, 0), occlusion, source)


def _interpolate(
    view: Float[Tensor, "b c h w"], column: Int[Tensor, "b 1 h w"], weight: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b c h w"]:
    between = weight > 0
    a, b = _gather(view, column), _gather(view, column + between)
    precise = torch.promote_types(view.dtype, torch.float32)
    mixed = torch.lerp(a.to(precise), b.to(precise), weight.to(precise)).to(view.dtype)
    return torch.where(between, mixed, a)


def _gather(view: Float[Tensor, "b c h w"], column: Int[Tensor, "b 1 h w"]) -> Float[Tensor, "b c h w"]:
    return view.gather(-1, column.expand(-1, view.shape[1], -1, -1))


def _check(view: Float[Tensor, "b c h w"], disparity: Disparity, fraction: float) -> None:
    check_view(view, name="the view")
    check_disparity(disparity)
    if tuple(view.shape[2:]) != disparity.size:
        raise GeometryError(
            f"the view is {view.shape[2]} x {view.shape[3]} but its disparity {disparity.height} x {disparity.width}; "
            "use disparity.resize(height, width)"
        )
    if disparity.batch not in (1, view.shape[0]):
        raise GeometryError(f"{disparity.batch} disparity maps for a batch of {view.shape[0]} views")
    if view.device != disparity.pixels.device:
        raise GeometryError(f"the view is on {view.device} but its disparity on {disparity.pixels.device}")
    if not (math.isfinite(fraction) and fraction >= 0):
        raise GeometryError(f"fraction must be finite and >= 0, got {fraction}; choose the side with to=")
