"""Disparity maps: how far each point moves between the two eyes (section 3.1)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.accept import DECLARE_UNKNOWN, as_maps, check_picture, described, refuse
from stereodiffusion.geometry.fill import fill_from_behind
from stereodiffusion.geometry.relative import unit_range
from stereodiffusion.geometry.resample import resample
from stereodiffusion.geometry.rig import StereoRig
from stereodiffusion.types import Image, Map, Region


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Disparity:
    """How many columns a point lies further left on the right eye's picture: x_R = x_L - d.

    This is the one place where the sign is settled. The nearer a point, the larger its d; d = 0 is infinitely
    far (parallel axes) or, after `converged_at`, on the screen; d < 0 is then behind the screen. Values are in
    pixels of the map's own grid. A map belongs to one eye: on the left eye's map a point at column x is at
    x - d for the right eye, on the right eye's map a point at column x is at x + d for the left.

    Build one with `from_pixels`, `from_depth` or `from_relative`.

    Attributes:
        pixels: the disparity; finite, and 0 in unknown cells, where it carries no meaning.
        known: the cells whose disparity is known.
    """

    pixels: Map
    known: Region

    def __post_init__(self) -> None:
        for part in (self.pixels, self.known):
            if not isinstance(part, Tensor):
                raise GeometryError(f"pixels and known must be tensors (b, 1, h, w), got {described(part)}")
        if self.pixels.ndim != 4 or self.pixels.shape[1] != 1 or self.pixels.shape != self.known.shape:
            raise GeometryError(
                "pixels and known must both have shape (batch, 1, height, width), "
                f"got {tuple(self.pixels.shape)} and {tuple(self.known.shape)}"
            )
        if not self.pixels.is_floating_point() or self.known.dtype != torch.bool:
            raise GeometryError(f"pixels must be float and known bool, got {self.pixels.dtype} and {self.known.dtype}")
        if self.pixels.numel() == 0:
            raise GeometryError(f"the map must have at least one cell, got shape {tuple(self.pixels.shape)}")
        if self.pixels.device != self.known.device:
            raise GeometryError(f"pixels are on {self.pixels.device}, known is on {self.known.device}")
        if not bool(torch.where(self.known, self.pixels.isfinite(), self.pixels == 0).all()):
            raise GeometryError(
                "pixels must be finite where known and 0 elsewhere; Disparity.from_pixels checks and clears"
            )

    def __repr__(self) -> str:
        seen = self.pixels[self.known]
        span = f"{float(seen.min()):.4g}..{float(seen.max()):.4g} px" if len(seen) else "nothing known"
        share = len(seen) / self.known.numel()
        return f"Disparity({self.batch} x {self.height} x {self.width}, {span}, {share:.0%} known)"

    @classmethod
    def from_pixels(cls, pixels: Shaped[Tensor, "..."], known: Shaped[Tensor, "..."] | None = None) -> "Disparity":
        """Take disparities that are in pixels of their own grid already.

        Args:
            pixels: (height, width), (batch, height, width) or (batch, 1, height, width), d >= 0.
            known: which cells count; all by default. Values of other cells are ignored, whatever they are.
        """
        values, region = as_maps(pixels, known, name="disparity")
        refuse(~values.isfinite(), region, name="disparity", what="not finite", then=DECLARE_UNKNOWN)
        refuse(
            values < 0,
            region,
            name="disparity",
            what=f"negative (least {float(torch.where(region, values, 0).min()):g})",
            then="d >= 0 for parallel cameras (x_R = x_L - d); if the sign is turned round negate the map, and to move "
            "the screen into the scene use converged_at(zero_px)",
        )
        return cls(pixels=torch.where(region, values, 0.0), known=region)

    @classmethod
    def from_depth(
        cls, depth_m: Shaped[Tensor, "..."], rig: StereoRig, known: Shaped[Tensor, "..."] | None = None
    ) -> "Disparity":
        """Eq. 2, d = f B / Z, for depth in metres along the optical axis (shapes as `from_pixels`).

        A depth of +inf is allowed and means infinitely far, d = 0. With `rig.doffs_px` disparities are
        smaller by that much and may be negative, as in Middlebury's calibration.
        """
        values, region = as_maps(depth_m, known, name="depth")
        refuse(values.isnan(), region, name="depth", what="NaN", then=DECLARE_UNKNOWN)
        refuse(
            values <= 0,
            region,
            name="depth",
            what=f"not positive (least {float(torch.where(region, values, torch.inf).min()):g})",
            then="depth is in metres along the optical axis; if such values stand for unknown, pass known=depth > 0",
        )
        return cls(pixels=torch.where(region, rig.disparity_px(values), 0.0), known=region)

    @classmethod
    def from_relative(
        cls,
        inverse_depth: Shaped[Tensor, "..."],
        nearest_px: float,
        known: Shaped[Tensor, "..."] | None = None,
    ) -> "Disparity":
        """Give unitless inverse depth (near is large, as depth networks predict it) a parallax.

        The known cells of each picture of the batch are stretched to [0, nearest_px]: the farthest gets 0, the nearest
        `nearest_px`. A constant map has no relief and becomes all zeros.
        """
        if not (math.isfinite(nearest_px) and nearest_px >= 0):
            raise GeometryError(f"nearest_px must be finite and >= 0, got {nearest_px}")
        values, region = as_maps(inverse_depth, known, name="inverse depth")
        refuse(~values.isfinite(), region, name="inverse depth", what="not finite", then=DECLARE_UNKNOWN)
        return cls(pixels=unit_range(values, region).mul_(nearest_px), known=region)

    @property
    def batch(self) -> int:
        """How many maps this holds."""
        return self.pixels.shape[0]

    @property
    def height(self) -> int:
        """Rows."""
        return self.pixels.shape[2]

    @property
    def width(self) -> int:
        """Columns, the unit of the values."""
        return self.pixels.shape[3]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    def percentile(self, percent: float) -> Float[Tensor, " b"]:
        """The disparity that `percent` of the known cells of each picture stay at or below; NaN if none is known."""
        if not 0 <= percent <= 100:
            raise GeometryError(f"percent must be in [0, 100], got {percent}")
        ordered = torch.where(self.known, self.pixels, torch.inf).flatten(1).sort(dim=1).values
        count = self.known.flatten(1).sum(dim=1, keepdim=True)
        rank = (count * (percent / 100)).ceil().long().clamp(min=1) - 1
        return torch.where(count > 0, ordered.gather(1, rank), torch.nan).squeeze(1)

    def resize(self, height: int, width: int) -> "Disparity":
        """Bring the map to another grid; the values scale with the width.

        A coarser cell takes the nearest surface in it, and is unknown only if all of it is. A finer cell is
        interpolated between neighbours of one surface, and takes the closest cell at discontinuities.
        """
        if height < 1 or width < 1:
            raise GeometryError(f"height and width must be at least 1, got {height} x {width}")
        if (height, width) == self.size:
            return self
        pixels, known = resample(self.pixels, self.known, height, width)
        return Disparity(pixels=pixels * (width / self.width), known=known)

    def crop(self, top: int, left: int, height: int, width: int) -> "Disparity":
        """Cut out a window. Both eyes are cut at the same columns, so the values stay."""
        if top < 0 or left < 0 or height < 1 or width < 1 or top + height > self.height or left + width > self.width:
            raise GeometryError(
                f"the window must lie inside {self.height} x {self.width}, "
                f"got rows {top}..{top + height} and columns {left}..{left + width}"
            )
        window = (..., slice(top, top + height), slice(left, left + width))
        return Disparity(pixels=self.pixels[window].contiguous(), known=self.known[window].contiguous())

    def converged_at(self, zero_px: float) -> "Disparity":
        """Put points of disparity `zero_px` on the screen: what is farther becomes negative, the order stays."""
        if not math.isfinite(zero_px):
            raise GeometryError(f"zero_px must be finite, got {zero_px}")
        return Disparity(pixels=torch.where(self.known, self.pixels - zero_px, 0.0), known=self.known)

    def scaled(self, factor: float) -> "Disparity":
        """Deepen (> 1) or flatten (< 1) the relief, as a longer or shorter baseline does."""
        if not (math.isfinite(factor) and factor >= 0):
            raise GeometryError(f"factor must be finite and >= 0, got {factor}; to see the other eye use splat(to=...)")
        if factor == 1:
            return self
        return Disparity(pixels=self.pixels * factor, known=self.known)

    def mirrored(self) -> "Disparity":
        """The map of the mirrored picture, in which the eyes change places: the values stay."""
        return Disparity(pixels=self.pixels.flip(-1), known=self.known.flip(-1))

    def filled(self) -> "Disparity":
        """A map that is known everywhere: the unknown is taken to lie behind the known.

        An unknown cell takes the farther of its nearest known neighbours on the row; in rows without any, on
        the column.
        """
        if bool(self.known.all()):
            return self
        empty = ~self.known.flatten(1).any(dim=1)
        if bool(empty.any()):
            raise GeometryError(f"nothing to fill from: no cell is known in {int(empty.sum())} of {self.batch} maps")
        pixels, known = fill_from_behind(self.pixels, self.known)
        return Disparity(pixels=pixels, known=known)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Disparity":
        """Move to a device or change the precision of the values."""
        return Disparity(pixels=self.pixels.to(device=device, dtype=dtype), known=self.known.to(device=device))


def check_disparity(given: object) -> None:
    """Refuse maps that do not say what they are, such as bare tensors and arrays.

    Raises:
        GeometryError: If it is no `Disparity`.
    """
    if not isinstance(given, Disparity):
        raise GeometryError(f"disparity must be a Disparity (see Disparity.from_pixels), got {described(given)}")


def check_dense(disparity: Disparity, picture: Image) -> None:
    """Refuse maps that do not say of every cell of the picture how near it is.

    Raises:
        GeometryError: If the picture is none, or the map is of another size or batch or has unknown cells.
    """
    check_picture(picture, name="the picture")
    check_disparity(disparity)
    if (disparity.batch, *disparity.size) != (len(picture), *picture.shape[2:]):
        raise GeometryError(f"the picture is {tuple(picture.shape)}, its disparity {tuple(disparity.pixels.shape)}")
    if not bool(disparity.known.all()):
        raise GeometryError("a dense map is needed, known everywhere; use disparity.filled()")
