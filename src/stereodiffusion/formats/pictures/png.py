"""The chunks of PNG files: settings, declared colours, 16-bit colour, which Pillow does not hold, and large pictures.

PNG (Third Edition), https://www.w3.org/TR/png-3.
"""

import zlib
from collections.abc import Iterator, Set
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8, UInt16

from stereodiffusion.errors import FormatError
from stereodiffusion.geometry.bands import Band, bands
from stereodiffusion.geometry.threads import side_by_side, threads_for

LEVEL = 4
"""Of compression, with zlib's plain strategy: a third of the time of what is usual (level 6, for filtered data), and of
a photograph 8 % larger."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_UP = 2  # the filter that stores what a row differs from the one above (9.2)
_CELLS = 1 << 19  # of a band that is compressed by itself
_BASE = 65521  # of Adler-32 (RFC 1950)
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


def with_pixels(content: bytes, levels: UInt8[np.ndarray, "h w c"], *, cells: int = _CELLS) -> bytes:
    """A file with other pixels, of any size, compressed in bands on all threads that torch may use.

    A band refers to nothing before it, so that the stream of data that zlib would make in one go falls into parts.

    Args:
        content: A file of the same kind of pixels that is not interlaced, its data in one chunk, as Pillow writes it.
        levels: The pixels.
        cells: Of a band. The file depends on it, and not on the number of threads.
    """
    height, width, _ = levels.shape
    cut = [*bands(height, width, cells=cells)]
    parts = list(side_by_side(partial(_compressed, levels), cut, threads=threads_for(torch.device("cpu"))))
    first, second = 1, 0
    for part in parts:  # the checksum of the whole from those of the parts, as zlib's adler32_combine has it
        second = (second + part.length * (first - 1) + (part.checksum >> 16)) % _BASE
        first = (first + (part.checksum & 0xFFFF) - 1) % _BASE
    stream = b"\x78\x01" + b"".join(part.data for part in parts) + (second << 16 | first).to_bytes(4, "big")
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + _header(content)[8:]
    replaced = {b"IHDR": header, b"IDAT": stream}
    chunks = [_chunk(name, replaced.get(name, content[start + 8 : stop - 4])) for name, start, stop in _chunks(content)]
    return b"".join([_SIGNATURE, *chunks])


class _Part(NamedTuple):
    """A part of a stream: its data, and length and Adler-32 of what is in it."""

    data: bytes
    length: int
    checksum: int


def _compressed(levels: UInt8[np.ndarray, "h w c"], band: Band) -> _Part:
    start, stop = band.rows.start, band.rows.stop
    rows = levels[start:stop].reshape(stop - start, -1)
    above = np.zeros_like(rows)
    above[1:] = rows[:-1]
    if start > 0:
        above[0] = levels[start - 1].reshape(-1)
    filtered = np.concatenate([np.full((len(rows), 1), _UP, np.uint8), rows - above], axis=1).tobytes()
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    ends = zlib.Z_FINISH if stop == len(levels) else zlib.Z_SYNC_FLUSH
    data = packer.compress(filtered) + packer.flush(ends)
    return _Part(data=data, length=len(filtered), checksum=zlib.adler32(filtered))


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
