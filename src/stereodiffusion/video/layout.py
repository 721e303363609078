"""Both eyes in one frame of a video."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.layouts.anaglyph import anaglyph
from stereodiffusion.formats.layouts.sbs import side_by_side, top_bottom
from stereodiffusion.formats.outputs import OUTPUT_FORMATS
from stereodiffusion.video.encoding import even
from stereodiffusion.video.request import VideoFormat
from stereodiffusion.video.source import MOST_PIXELS
from stereodiffusion.video.view import to_image, to_levels

Levels: TypeAlias = UInt8[np.ndarray, "_ _ 3"]

LONGEST = 16384
"""Pixels of a side, of H.264 and VP9 in the encoders that are used here."""


def _half_beside(left: Levels, right: Levels) -> Levels:
    return to_levels(side_by_side(to_image(left), to_image(right), "half").clamp(0, 1))


def _half_above(left: Levels, right: Levels) -> Levels:
    return to_levels(top_bottom(to_image(left), to_image(right), "half").clamp(0, 1))


def _in_glasses(left: Levels, right: Levels) -> Levels:
    return to_levels(anaglyph(to_image(left), to_image(right), "red-cyan"))


_COMPOSE: Mapping[VideoFormat, Callable[[Levels, Levels], Levels]] = MappingProxyType(
    {
        "sbs": lambda left, right: np.concatenate([left, right], axis=1),
        "sbs-half": _half_beside,
        "cross-eyed": lambda left, right: np.concatenate([right, left], axis=1),
        "top-bottom": lambda left, right: np.concatenate([left, right], axis=0),
        "top-bottom-half": _half_above,
        "anaglyph": _in_glasses,
        "right": lambda _, right: right,
    }
)


def framed(left: Levels, right: Levels, layout: VideoFormat) -> Levels:
    """Both eyes in one frame, whose sides are even: an odd eye gains a copy of its last row or column."""
    return even(_COMPOSE[layout](even(left), even(right)))


def frame_size(size: tuple[int, int], layout: VideoFormat) -> tuple[int, int]:
    """(height, width) of the frame that eyes of a size share.

    Raises:
        FormatError: If it is larger than the codecs take.
    """
    height, width = (side + side % 2 for side in size)
    if layout != "right":
        height, width = OUTPUT_FORMATS[layout].frame(height, width)
    height, width = height + height % 2, width + width % 2
    if height * width > MOST_PIXELS or max(height, width) > LONGEST:
        raise FormatError(
            f"too large: expected a frame of at most {MOST_PIXELS} pixels, {LONGEST} a side, got {width} x {height}; "
            "half formats take half"
        )
    return height, width
