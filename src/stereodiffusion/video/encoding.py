"""Frames to packets: H.264 or VP9, each packet a frame with its exact time.

There are no frames that refer to later ones: so packets come in the order of their times, parts that were encoded one
by one follow each other without a seam, and the same frames give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import UInt8

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.extras import require

Codec: TypeAlias = Literal["libx264", "libvpx-vp9"]

_BT709 = 1  # H.273: primaries, transfer characteristics and matrix
_TELEVISION = 1  # the range 16 ... 235
_OPTIONS: Mapping[Codec, Mapping[str, str]] = MappingProxyType(
    {
        "libx264": {"preset": "medium", "threads": "1", "bf": "0", "g": "250"},
        "libvpx-vp9": {"b:v": "0", "cpu-used": "4", "threads": "1", "lag-in-frames": "0", "auto-alt-ref": "0"},
    }
)
_USUAL_RATE = Fraction(25)


class Packet(NamedTuple):
    """A coded frame."""

    content: bytes
    pts: int
    key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How frames are coded.

    Attributes:
        codec: By FFmpeg's name.
        quality: CRF.
        size: (height, width), even.
        time_base: Of times, in seconds.
        rate: Frames per second, about.
        pixel_aspect: Width of a pixel by its height.
        packing: H.264's frame packing arrangement: 3 side by side, 4 top and bottom; None says nothing.
    """

    codec: Codec
    quality: int
    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction | None
    pixel_aspect: Fraction = Fraction(1)
    packing: int | None = None

    def apply(self, context: Any) -> None:
        """Set up an encoder."""
        context.height, context.width = self.size
        context.pix_fmt = "yuv420p"
        context.time_base = self.time_base
        context.framerate = self.rate or _USUAL_RATE
        context.sample_aspect_ratio = self.pixel_aspect
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _TELEVISION
        context.options = self.options

    @property
    def options(self) -> dict[str, str]:
        """Of the encoder."""
        options = {**_OPTIONS[self.codec], "crf": str(self.quality)}
        if self.codec == "libx264" and self.packing is not None:
            options["x264-params"] = f"frame-packing={self.packing}"
        return options


@dataclass(slots=True, kw_only=True)
class Encoder:
    """Codes some frames that follow each other, the first of which needs none before it."""

    coding: Coding
    _context: Any = field(init=False, repr=False)
    _packets: list[Packet] = field(init=False, default_factory=list[Packet], repr=False)

    def __post_init__(self) -> None:
        av: Any = require("video")
        self._context = av.CodecContext.create(self.coding.codec, "w")
        self.coding.apply(self._context)
        self._context.flags |= int(av.codec.context.Flags.global_header)

    def add(self, picture: UInt8[np.ndarray, "h w 3"], pts: int) -> None:
        """Code a frame.

        Raises:
            FormatError: If the encoder refuses it.
        """
        av: Any = require("video")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_TELEVISION)
        frame.pts, frame.time_base = pts, self.coding.time_base
        try:
            self._keep(self._context.encode(frame))
        except av.error.FFmpegError as refused:
            raise FormatError(f"{self.coding.codec} cannot code frames of {self.coding.size}: {refused}") from None

    def finish(self) -> Sequence[Packet]:
        """All packets."""
        self._keep(self._context.encode(None))
        return self._packets

    def _keep(self, packets: Sequence[Any]) -> None:
        self._packets += [Packet(bytes(each), each.pts, each.is_keyframe) for each in packets]


def even(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A picture with even sides, as 4:2:0 needs them: an odd one gains a copy of its last row or column."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
