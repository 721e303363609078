"""The pair of cameras: what turns metric depth into disparity and back (section 3.1, Eq. 2)."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from stereodiffusion.errors import GeometryError
from stereodiffusion.types import Map, Region


@runtime_checkable
class _DisparityMap(Protocol):
    """What a rig needs of a `Disparity`, which is built on this module."""

    @property
    def pixels(self) -> Map: ...

    @property
    def known(self) -> Region: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StereoRig:
    """Two equal cameras side by side with parallel optical axes.

    Attributes:
        focal_px: focal length, in pixels of the grid that the maps lie on.
        baseline_m: distance between the two optical centres.
        doffs_px: column of the principal point on the right minus that on the left, as in Middlebury's
            `calib.txt`; 0 when both are the same. A point infinitely far away has disparity `-doffs_px`.
    """

    focal_px: float
    baseline_m: float
    doffs_px: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("focal_px", self.focal_px), ("baseline_m", self.baseline_m)):
            if not (math.isfinite(value) and value > 0):
                raise GeometryError(f"{name} must be positive and finite, got {value}")
        if not math.isfinite(self.doffs_px):
            raise GeometryError(f"doffs_px must be finite, got {self.doffs_px}")

    @classmethod
    def with_view(cls, fov_degrees: float, baseline_m: float, width: int) -> "StereoRig":
        """Cameras that see `fov_degrees` from the left side to the right of pictures `width` pixels wide."""
        if not 0 < fov_degrees < 180:
            raise GeometryError(f"fov_degrees must be between 0 and 180, got {fov_degrees}")
        return cls(focal_px=width / (2 * math.tan(math.radians(fov_degrees) / 2)), baseline_m=baseline_m)

    def disparity_px(self, depth_m: Map) -> Map:
        """Disparity of points at `depth_m` > 0; infinity is allowed and gives `-doffs_px`."""
        return self.focal_px * self.baseline_m / depth_m - self.doffs_px  # Eq. 2

    def depth(self, disparity: _DisparityMap) -> Map:
        """Depth in metres of a `Disparity`, the inverse of `Disparity.from_depth`.

        Points without parallax are infinitely far (`inf`). Unknown cells get 0, which is no depth.
        """
        parallax_px = torch.where(disparity.known, disparity.pixels + self.doffs_px, 1.0)
        beyond = int((parallax_px < 0).sum())
        if beyond:
            raise GeometryError(
                f"{beyond} cells have disparity + doffs_px < 0 (least {float(parallax_px.min()):g}), "
                "which no depth gives; undo converged_at() before asking for depth"
            )
        return torch.where(disparity.known, self.focal_px * self.baseline_m / parallax_px.abs(), 0.0)

    def resized(self, scale: float) -> "StereoRig":
        """The same rig for pictures resized by `scale` in width."""
        if not (math.isfinite(scale) and scale > 0):
            raise GeometryError(f"scale must be positive and finite, got {scale}")
        return StereoRig(focal_px=self.focal_px * scale, baseline_m=self.baseline_m, doffs_px=self.doffs_px * scale)
