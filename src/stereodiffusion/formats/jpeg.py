"""The segments of a JPEG (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator

_SOS, _EOI = 0xDA, 0xD9
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


def scan_count(content: bytes) -> int:
    """How many times the first picture is gone over: once, or about ten times where it is progressive."""
    return sum(marker == _SOS for marker, _, _ in segments(content))
