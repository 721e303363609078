"""The segments of a JPEG (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator

from stereodiffusion.errors import FormatError

MOST_IN_SEGMENT = 65_533
"""Bytes of data."""

_SOS, _EOI = 0xDA, 0xD9
_APP0, _APP15 = 0xE0, 0xEF
_ARITHMETIC = frozenset({0xC9, 0xCA, 0xCB})  # of these a bit may hold many blocks
_MOST_SCANS = 100  # each goes over the whole picture; encoders make one, or about ten that are progressive
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # what stands in coded data is stuffed, or a restart


def segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, begin and end of each segment of the first picture, coded data left out."""
    at = 2
    while found := _MARKER.search(content, at):
        marker, start = found[1][0], found.end() - 2
        if marker == _EOI:
            return
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
        yield marker, start, at


def check_coding(content: bytes, width: int, height: int) -> None:
    """Refuse a file that is gone over without end, or too short for what its header promises.

    Raises:
        FormatError: If it is.
    """
    markers = [marker for marker, _, _ in segments(content)]
    if markers.count(_SOS) > _MOST_SCANS:
        raise FormatError(f"expected a JPEG of at most {_MOST_SCANS} scans, got {markers.count(_SOS)}")
    blocks = (width // 8) * (height // 8)
    if blocks > 8 * len(content) and not _ARITHMETIC & set(markers):  # each block has a bit at least
        raise FormatError(f"the file is damaged or truncated: {len(content)} bytes hold no {width} x {height} pixels")


def with_segment(content: bytes, marker: int, data: bytes) -> bytes:
    """The file with another segment behind those of applications that it begins with (JFIF, EXIF and the like).

    Raises:
        FormatError: If the data is longer than a segment can be.
    """
    if len(data) > MOST_IN_SEGMENT:
        raise FormatError(f"expected at most {MOST_IN_SEGMENT} bytes in a segment of a JPEG, got {len(data)}")
    at = 2
    for name, start, end in segments(content):
        if start != at or not _APP0 <= name <= _APP15:
            break
        at = end
    return content[:at] + bytes([0xFF, marker]) + (2 + len(data)).to_bytes(2, "big") + data + content[at:]
