"""Both eyes' pictures and what is known beside them: the value that every format is written from and read into."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.formats.pictures.raster import over_white
from stereodiffusion.geometry import Disparity, warp_disparity

FIELD_OF_VIEW_DEG = 65.0
"""Horizontal, of an eye's picture of which nothing else is known: about that of a phone's main camera."""

BASELINE_M = 0.063
"""Between eyes of which nothing else is known: the mean distance of people's pupils."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Eyes:
    """A stereo pair as files hold it, one pair at a time.

    Attributes:
        left: The left eye's picture, (1, 3, h, w) sRGB in [0, 1]; with alpha as a fourth channel, (1, 4, h, w), not
            multiplied into the colours.
        right: The right eye's, of the same shape. None where a file holds one eye and its depth.
        disparity: Of the left picture, if it is known.
        field_of_view_deg: Horizontal angle that each picture shows, flat as cameras draw it, if it is known.
        baseline_m: Distance of the two cameras in metres, if it is known.
        settings: What made the pair, as JSON values; goes into the files.
        exif: Tags of the camera, as the bytes of an EXIF block; empty if there are none.
        source: What the pair was read from and how that was recognised, in a line; empty if it was not read.
    """

    left: Float[Tensor, "1 channels h w"]
    right: Float[Tensor, "1 _channels _h _w"] | None
    disparity: Disparity | None = None
    field_of_view_deg: float | None = None
    baseline_m: float | None = None
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    exif: bytes = b""
    source: str = ""

    def __post_init__(self) -> None:
        if self.left.ndim != 4 or self.left.shape[0] != 1 or self.left.shape[1] not in (3, 4):
            raise FormatError(f"expected an eye of shape (1, 3 or 4, h, w), got {tuple(self.left.shape)}")
        if self.right is not None and self.right.shape != self.left.shape:
            raise FormatError(
                f"expected two eyes of one size, got {_sizes(self.left)} on the left and {_sizes(self.right)}"
            )
        if self.disparity is not None and self.disparity.size != self.size:
            raise FormatError(
                f"expected a disparity of {self.size[1]} x {self.size[0]}, "
                f"got {self.disparity.width} x {self.disparity.height}"
            )
        angle, baseline_m = self.field_of_view_deg, self.baseline_m
        if angle is not None and not 1 <= angle <= 170:
            raise ConfigError(f"a field of view must be within 1 ... 170 degrees, got {angle:g}")
        if baseline_m is not None and not 0 < baseline_m < 1000:
            raise ConfigError(f"a baseline must be within 0 ... 1000 m, got {baseline_m:g}")

    def __repr__(self) -> str:
        known = [name for name in ("right", "disparity") if getattr(self, name) is not None]
        return f"Eyes({self.size[0]} x {self.size[1]}, {', '.join(['left', *known])})"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of an eye."""
        return self.left.shape[2], self.left.shape[3]

    @property
    def both(self) -> tuple[Float[Tensor, "1 channels h w"], Float[Tensor, "1 channels h w"]]:
        """The left and the right picture.

        Raises:
            FormatError: If there is no right one.
        """
        if self.right is None:
            raise FormatError(
                "there is no right eye: the file holds the left one and its depth, from which "
                "`stereodiffusion photo LEFT --disparity DEPTH` makes one"
            )
        return self.left, self.right

    @property
    def has_alpha(self) -> bool:
        """Whether the pictures say how opaque they are."""
        return self.left.shape[1] == 4

    def opaque(self) -> "Eyes":
        """The pictures laid over white, without alpha."""
        if not self.has_alpha:
            return self
        return replace(self, left=over_white(self.left), right=None if self.right is None else over_white(self.right))

    def swapped(self) -> "Eyes":
        """The eyes exchanged; near and far change places, so disparity is negative."""
        left, right = self.both
        disparity = None
        if self.disparity is not None:
            seen = warp_disparity(self.disparity, to="right")
            disparity = Disparity(pixels=-seen.pixels, known=seen.known)
        return replace(self, left=right, right=left, disparity=disparity)

    def converged_at(self, zero_px: int) -> "Eyes":
        """Points of disparity `zero_px` put on the screen: both pictures lose as many columns at one side each.

        The field of view shrinks with the width.

        Raises:
            ConfigError: If no more than half of the width would be left.
        """
        left, right = self.both
        width = self.size[1]
        if 2 * abs(zero_px) >= width:
            raise ConfigError(f"to converge must take less than half of the width, {width} px, got {zero_px} px")
        first, last = max(zero_px, 0), width + min(zero_px, 0)
        other = slice(max(-zero_px, 0), width - max(zero_px, 0))
        disparity = self.disparity
        if disparity is not None:
            disparity = disparity.crop(0, first, self.size[0], last - first).converged_at(zero_px)
        return replace(
            self,
            left=left[..., first:last].contiguous(),
            right=right[..., other].contiguous(),
            disparity=disparity,
            field_of_view_deg=part_of_view(self.field_of_view_deg, (last - first) / width),
        )


def focal_px(width: int, field_of_view_deg: float) -> float:
    """The focal length, in pixels, of a flat picture of that width and horizontal angle."""
    return width / 2 / math.tan(math.radians(field_of_view_deg) / 2)


def part_of_view(field_of_view_deg: float | None, share: float) -> float | None:
    """The horizontal angle of the middle part of a flat picture; None of one whose angle is not known."""
    if field_of_view_deg is None:
        return None
    return math.degrees(2 * math.atan(share * math.tan(math.radians(field_of_view_deg) / 2)))


def same_channels(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Two pictures of which one may have alpha: then the other gets one that is opaque. What is all opaque has none."""
    left, right = (_without_needless_alpha(eye) for eye in (left, right))
    channels = max(left.shape[1], right.shape[1])

    def widened(eye: Tensor) -> Tensor:
        return eye if eye.shape[1] == channels else torch.cat([eye, torch.ones_like(eye[:, :1])], dim=1)

    return widened(left), widened(right)


def _without_needless_alpha(eye: Tensor) -> Tensor:
    return eye[:, :3].contiguous() if eye.shape[1] == 4 and bool((eye[:, 3] == 1).all()) else eye


def _sizes(eye: Tensor) -> str:
    return f"{eye.shape[3]} x {eye.shape[2]}"
