"""MPO: two JPEG pictures in one file, as 3D cameras write it (CIPA DC-007, Multi-Picture Format).

Each picture is a JPEG of its own that begins with EXIF and an `MPF` segment; that of the first holds the index.
"""

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple, cast

from jaxtyping import Float
from PIL import TiffImagePlugin
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.pictures import jpeg
from stereodiffusion.formats.pictures.image import NO_SETTINGS, encode_image

_DISPARITY = 0x020002  # 5.2.3.3: multi-frame image, disparity
_STEREO = frozenset({_DISPARITY, 0x020003})  # and multi-angle
_TYPE = 0xFFFFFF
_ENTRIES, _BASELINE = 0xB002, 0xB206
_REPRESENTATIVE = 1 << 29
_UNDEFINED, _LONG, _RATIONAL, _SIGNED_RATIONAL = 7, 4, 5, 10  # types of EXIF 2.3, 4.6.2
_NOT_KNOWN = b"\xff" * 8
_SOI, _APP2 = b"\xff\xd8", 0xE2
_IDENTIFIER = b"MPF\0"
_HEADER = b"II*\0" + struct.pack("<L", 8)
_ENTRY_BYTES = 16

_Field = tuple[int, int, int, bytes]
"""Tag, type, count and value of a field."""


class Views(NamedTuple):
    """Two JPEG files that were one MPO, and the distance of the cameras in metres if it says so."""

    left: bytes
    right: bytes
    baseline_m: float | None


def encode_mpo(
    left: Float[Tensor, "1 channels h w"],
    right: Float[Tensor, "1 channels h w"],
    settings: Mapping[str, object] = NO_SETTINGS,
    *,
    baseline_m: float | None = None,
    exif: bytes = b"",
) -> bytes:
    """The left eye, then the right, as JPEG of quality 95 without chroma subsampling.

    Args:
        left: The left eye.
        right: The right eye.
        settings: What made them.
        baseline_m: Distance of the cameras in metres, for the tag BaselineLength.
        exif: Tags of a camera, to be kept.
    """
    eyes = [_Eye(encode_image(eye, ".jpg", settings, exif=exif)) for eye in (left, right)]
    second = eyes[1].with_segment(_directory(_about(2, baseline_m, is_first=False)))
    blank = _index([(0, 0), (0, 0)], baseline_m)
    size = len(eyes[0].with_segment(blank))
    header_at = len(eyes[0].head) + 4 + len(_IDENTIFIER)  # offsets count from there
    first = eyes[0].with_segment(_index([(size, 0), (len(second), size - header_at)], baseline_m))
    return first + second


def holds_eyes(content: bytes) -> bool:
    """Whether a JPEG begins with an index that lists two views; other files have previews or gain maps in theirs."""
    return len(_listed_views(content)[0]) == 2


def split_mpo(content: bytes) -> Views:
    """The two eyes of an MPO, each a JPEG of its own. To be called in `decoding`.

    Raises:
        FormatError: If its pictures are no two eyes.
    """
    places, count = _listed_views(content)
    if len(places) != 2:
        raise FormatError(f"expected an MPO of two eyes, got {len(places)} views among {count} pictures in its index")
    left, right = (content[start : start + size] for start, size in places)
    return Views(left=left, right=right, baseline_m=_baseline_in(right) or _baseline_in(left))


def _listed_views(content: bytes) -> tuple[list[tuple[int, int]], int]:
    """Where the views of a scene begin and how long they are, and how many pictures there are of whatever kind."""
    at = _mpf_at(content)
    if at is None:
        return [], 0
    index, _ = _fields(content[at:])
    order = ">" if content[at : at + 2] == b"MM" else "<"
    entries = cast(bytes, index.get(_ENTRIES, b""))
    listed = list(struct.iter_unpack(f"{order}LLLHH", entries[: len(entries) // _ENTRY_BYTES * _ENTRY_BYTES]))
    places = [(at + offset if offset else 0, size) for kind, size, offset, _, _ in listed if kind & _TYPE in _STEREO]
    return places, len(listed)


def _mpf_at(content: bytes) -> int | None:
    """Where the TIFF header of the first picture's MPF segment begins; offsets count from there."""
    for marker, start, end in jpeg.segments(content):
        if marker == _APP2 and content[start + 4 : end].startswith(_IDENTIFIER):
            return start + 4 + len(_IDENTIFIER)
    return None


def _fields(segment: bytes) -> tuple[dict[int, Any], dict[int, Any]]:
    """The first directory and the one after it, if any."""
    directory, file = TiffImagePlugin.ImageFileDirectory_v2(segment[:8]), BytesIO(segment)
    found: list[dict[int, Any]] = []
    while directory.next and len(found) < 2:
        file.seek(directory.next)
        directory.load(file)
        found.append(dict(directory))
    first, second = [*found, {}, {}][:2]
    return first, second


def _baseline_in(picture: bytes) -> float | None:
    """What one of the pictures says of the distance to the other camera."""
    at = _mpf_at(picture)
    if at is None:
        return None
    said = [fields[_BASELINE] for fields in _fields(picture[at:]) if _BASELINE in fields]
    if not said or not 0 < said[0].numerator < 2**32 - 1 or said[0].denominator == 0:
        return None  # of which all bits set mean that it is not known
    return float(said[0])


class _Eye:
    """A JPEG cut where the MPF segment goes: after EXIF, which takes the place of JFIF."""

    def __init__(self, content: bytes) -> None:
        _, (_, exif_at, rest_at), *_ = jpeg.segments(content)  # JFIF, EXIF and the rest
        self.head = _SOI + content[exif_at:rest_at]
        self._rest = content[rest_at:]

    def with_segment(self, body: bytes) -> bytes:
        payload = _IDENTIFIER + body
        return self.head + struct.pack(">BBH", 0xFF, _APP2, 2 + len(payload)) + payload + self._rest


def _index(pictures: Sequence[tuple[int, int]], baseline_m: float | None) -> bytes:
    """The MP index, and what is said of the first picture; of all pictures (bytes, offset) (5.2.3)."""
    entries = b"".join(
        struct.pack("<LLLHH", _DISPARITY | (0 if number else _REPRESENTATIVE), size, offset, 0, 0)
        for number, (size, offset) in enumerate(pictures)
    )
    return _directory(
        [
            (0xB000, _UNDEFINED, 4, b"0100"),
            (0xB001, _LONG, 1, struct.pack("<L", len(pictures))),
            (_ENTRIES, _UNDEFINED, len(pictures) * _ENTRY_BYTES, entries),
        ],
        _about(1, baseline_m, is_first=True),
    )


def _about(number: int, baseline_m: float | None, *, is_first: bool) -> list[_Field]:
    """The attributes of a picture (5.2.4): viewpoints are counted from the left; the angle between is not known."""
    baseline = _NOT_KNOWN if baseline_m is None else struct.pack("<LL", round(baseline_m * 1e6), 10**6)
    version: list[_Field] = [] if is_first else [(0xB000, _UNDEFINED, 4, b"0100")]
    return [
        *version,
        (0xB101, _LONG, 1, struct.pack("<L", number)),
        (0xB204, _LONG, 1, struct.pack("<L", 1)),
        (0xB205, _SIGNED_RATIONAL, 1, _NOT_KNOWN),
        (_BASELINE, _RATIONAL, 1, baseline),
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
