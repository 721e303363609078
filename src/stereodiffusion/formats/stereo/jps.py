"""JPS: a JPEG that holds both eyes, and a segment that says how (VRex, "JPS File Format", 1998).

The segment is APP3 `_JPSJPS_`: the length of a descriptor, the descriptor of four bytes (separation in pixels, flags,
layout, type), the length of a comment and the comment. Files are for crossed eyes unless a flag says "left first", and
those without the segment are by custom, too.
"""

import struct
from collections.abc import Mapping
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.layouts.sbs import cross_eyed
from stereodiffusion.formats.pictures import jpeg
from stereodiffusion.formats.pictures.image import NO_SETTINGS, encode_image

_APP3, _IDENTIFIER = 0xE3, b"_JPSJPS_"
_STEREO, _SIDE_BY_SIDE, _OVER_UNDER = 1, 2, 3
_HALF_HEIGHT, _HALF_WIDTH, _LEFT_FIRST = 1, 2, 4


class Layout(NamedTuple):
    """How the eyes lie in the picture: which side is cut, and what is there."""

    cut: Literal["width", "height"]
    is_half: bool
    is_left_first: bool


def encode_jps(
    left: Float[Tensor, "1 channels h w"],
    right: Float[Tensor, "1 channels h w"],
    settings: Mapping[str, object] = NO_SETTINGS,
    *,
    exif: bytes = b"",
) -> bytes:
    """Both eyes at full size, the right one on the left, as JPEG of quality 95 without chroma subsampling."""
    content = encode_image(cross_eyed(left, right), ".jpg", settings, exif=exif)
    descriptor = struct.pack(">HBBBBH", 4, 0, 0, _SIDE_BY_SIDE, _STEREO, 0)
    return jpeg.with_segment(content, _APP3, _IDENTIFIER + descriptor)


def jps_layout(content: bytes) -> Layout | None:
    """What the segment says; None if there is none.

    Raises:
        FormatError: If the picture is none of two eyes beside or above each other.
    """
    for marker, start, end in jpeg.segments(content):
        said = content[start + 4 : end]
        if marker == _APP3 and said.startswith(_IDENTIFIER) and len(said) >= 14:
            _, flags, layout, kind = said[10:14]
            if kind != _STEREO or layout not in (_SIDE_BY_SIDE, _OVER_UNDER):
                raise FormatError(f"expected a JPS of two eyes beside each other, got layout {layout} of type {kind}")
            cut: Literal["width", "height"] = "width" if layout == _SIDE_BY_SIDE else "height"
            half = _HALF_WIDTH if cut == "width" else _HALF_HEIGHT
            return Layout(cut, bool(flags & half), bool(flags & _LEFT_FIRST))
    return None
