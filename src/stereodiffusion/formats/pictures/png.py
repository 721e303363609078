"""The chunks of PNG files: settings, declared colours, and 16-bit colour, which Pillow does not hold.

PNG (Third Edition), https://www.w3.org/TR/png-3.
"""

from collections.abc import Iterator, Set

import numpy as np
from jaxtyping import UInt16

from stereodiffusion.errors import FormatError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of grey, RGB, palette, grey and alpha, RGBA


def find_chunk(content: bytes, wanted: bytes) -> bytes | None:
    """The data of the first chunk of that name."""
    return next((content[start + 8 : stop - 4] for name, start, stop in _chunks(content) if name == wanted), None)


def bit_depth(content: bytes) -> int:
    """Bits of a channel, or of an index into the palette."""
    return _header(content)[8]


def is_deep_colour(content: bytes) -> bool:
    """Whether it has 16 bits and more than one grey channel."""
    return bit_depth(content) == 16 and channels(content) > 1


def channels(content: bytes) -> int:
    """Samples of a pixel."""
    return _CHANNELS.get(_header(content)[9], 1)


def without_text(content: bytes) -> bytes:
    """The file without its text, of which Pillow refuses more than a megabyte."""
    return _without(content, {name for name, _, _ in _chunks(content)} & _TEXT)


def decode_deep(content: bytes) -> UInt16[np.ndarray, "h w c"]:
    """The levels of 16-bit colour as they lie in the file: RGB, RGBA or grey and alpha."""
    import imagecodecs

    # Without the rest, of whose oddities libpng would print.
    bare = _without(content, {name for name, _, _ in _chunks(content)} - _PIXELS)
    return imagecodecs.png_decode(bare)


def international_text(content: bytes, keyword: str) -> str | None:
    """The text that stands uncompressed under a keyword."""
    start = keyword.encode("latin-1") + b"\0\0\0"
    for name, first, last in _chunks(content):
        data = content[first + 8 : last - 4] if name == b"iTXt" else b""
        if data.startswith(start):
            return data[len(start) :].split(b"\0", 2)[-1].decode("utf-8", "replace")  # language, translated keyword
    return None


def _header(content: bytes) -> bytes:
    header = find_chunk(content, b"IHDR")
    if header is None or len(header) != 13:
        raise FormatError("the file is damaged or truncated: no header")
    return header


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of each chunk that is whole."""
    start = len(_SIGNATURE)
    while start + 12 <= len(content):
        stop = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if stop > len(content):
            return
        yield content[start + 4 : start + 8], start, stop
        start = stop


def _without(content: bytes, names: Set[bytes]) -> bytes:
    if not names:
        return content
    kept, end = [], 0
    for name, start, stop in _chunks(content):
        if name in names:
            kept.append(content[end:start])
            end = stop
    return b"".join([*kept, content[end:]])
