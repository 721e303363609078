"""MPO: two JPEG pictures in one file, as 3D cameras write it (CIPA DC-007, Multi-Picture Format).

Each picture is a JPEG of its own that begins with EXIF and an `MPF` segment; that of the first holds the index.
"""

import struct
from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.formats.pictures import jpeg
from stereodiffusion.formats.pictures.image import NO_SETTINGS, encode_image

_DISPARITY = 0x020002  # 5.2.3.3: multi-frame image, disparity
_REPRESENTATIVE = 1 << 29
_UNDEFINED, _LONG, _RATIONAL, _SIGNED_RATIONAL = 7, 4, 5, 10  # types of EXIF 2.3, 4.6.2
_NOT_KNOWN = b"\xff" * 8
_SOI, _APP2 = b"\xff\xd8", 0xE2
_IDENTIFIER = b"MPF\0"
_HEADER = b"II*\0" + struct.pack("<L", 8)
_ENTRY_BYTES = 16

_Field = tuple[int, int, int, bytes]
"""Tag, type, count and value of a field."""


def encode_mpo(
    left: Float[Tensor, "1 3 h w"], right: Float[Tensor, "1 3 h w"], settings: Mapping[str, object] = NO_SETTINGS
) -> bytes:
    """The left eye, then the right, as JPEG of quality 95 without chroma subsampling."""
    eyes = [_Eye(encode_image(eye, ".jpg", settings)) for eye in (left, right)]
    second = eyes[1].with_segment(_directory(_about(2, is_first=False)))
    blank = _index([(0, 0), (0, 0)])
    size = len(eyes[0].with_segment(blank))
    header_at = len(eyes[0].head) + 4 + len(_IDENTIFIER)  # offsets count from there
    first = eyes[0].with_segment(_index([(size, 0), (len(second), size - header_at)]))
    return first + second


class _Eye:
    """A JPEG cut where the MPF segment goes: after EXIF, which takes the place of JFIF."""

    def __init__(self, content: bytes) -> None:
        _, (_, exif_at, rest_at), *_ = jpeg.segments(content)  # JFIF, EXIF and the rest
        self.head = _SOI + content[exif_at:rest_at]
        self._rest = content[rest_at:]

    def with_segment(self, body: bytes) -> bytes:
        payload = _IDENTIFIER + body
        return self.head + struct.pack(">BBH", 0xFF, _APP2, 2 + len(payload)) + payload + self._rest


def _index(pictures: Sequence[tuple[int, int]]) -> bytes:
    """The MP index, and what is said of the first picture; of all pictures (bytes, offset) (5.2.3)."""
    entries = b"".join(
        struct.pack("<LLLHH", _DISPARITY | (0 if number else _REPRESENTATIVE), size, offset, 0, 0)
        for number, (size, offset) in enumerate(pictures)
    )
    return _directory(
        [
            (0xB000, _UNDEFINED, 4, b"0100"),
            (0xB001, _LONG, 1, struct.pack("<L", len(pictures))),
            (0xB002, _UNDEFINED, len(pictures) * _ENTRY_BYTES, entries),
        ],
        _about(1, is_first=True),
    )


def _about(number: int, *, is_first: bool) -> list[_Field]:
    """The attributes of a picture (5.2.4): viewpoints are counted from the left; angle and distance are not known."""
    version: list[_Field] = [] if is_first else [(0xB000, _UNDEFINED, 4, b"0100")]
    return [
        *version,
        (0xB101, _LONG, 1, struct.pack("<L", number)),
        (0xB204, _LONG, 1, struct.pack("<L", 1)),
        (0xB205, _SIGNED_RATIONAL, 1, _NOT_KNOWN),
        (0xB206, _RATIONAL, 1, _NOT_KNOWN),
    ]


def _directory(*directories: Sequence[_Field]) -> bytes:
    """TIFF directories one after the other, each followed by the values that do not fit into its fields."""
    content = _HEADER
    for number, fields in enumerate(directories):
        values_at = len(content) + 2 + 12 * len(fields) + 4
        table, values = struct.pack("<H", len(fields)), b""
        for tag, kind, count, value in fields:
            table += struct.pack("<HHL", tag, kind, count)
            table += value if len(value) == 4 else struct.pack("<L", values_at + len(values))
            values += value if len(value) > 4 else b""
        is_last = number == len(directories) - 1
        content += table + struct.pack("<L", 0 if is_last else values_at + len(values)) + values
    return content
