"""Files that promise much and hold little, by name: each is written to a path."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from tests.formats.samples import chunk

DEEPEST = 35_000
_NESTED = b'{"a":' * DEEPEST + b"1" + b"}" * DEEPEST


def _table(fields: list[tuple[int, int, int]]) -> bytes:
    """A TIFF directory of LONGs, of each (tag, count, value), without what follows."""
    return struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHLL", tag, 4, n, value) for tag, n, value in fields)


def _tiff(path: Path, side: int, strip: bytes, pages: int = 1) -> None:
    """Pages of 8-bit grey that share one strip."""
    content = bytearray(b"II*\0" + struct.pack("<L", 8 + len(strip)) + strip)
    for page in range(pages):
        fields = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 273: 8, 279: len(strip)}
        content += _table([(tag, 1, value) for tag, value in fields.items()])
        content += struct.pack("<L", 0 if page == pages - 1 else len(content) + 4)
    path.write_bytes(content)


def _zeros(count: int) -> bytes:
    squeeze = zlib.compressobj(9)
    return b"".join(squeeze.compress(bytes(1_000_000)) for _ in range(count // 1_000_000)) + squeeze.flush()


def _png(path: Path, width: int, height: int, bits: int = 8, kind: int = 0, *chunks: tuple[bytes, bytes]) -> None:
    channels = {0: 1, 2: 3, 6: 4}[kind]
    squeeze, row = zlib.compressobj(9), bytes(1 + width * channels * bits // 8)
    data = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def _jpeg_of_another_size(path: Path, width: int, height: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG")
    content = bytearray(file.getvalue())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    path.write_bytes(content)


def _scans(path: Path) -> None:
    """A progressive JPEG of 7000 x 7000 with its last scan 5000 times."""
    file = io.BytesIO()
    Image.new("RGB", (7000, 7000)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:last] + content[last:-2] * 5000 + content[-2:])


def _gif_comment(path: Path) -> None:
    Image.new("L", (4, 4)).save(path, "GIF", comment=_NESTED)


def _exif_comment(path: Path) -> None:
    tags = Image.Exif()
    nested = b"[" * 30_000
    tags[0x8769] = {0x9286: b"ASCII\0\0\0" + nested}
    Image.new("RGB", (8, 8)).save(path, "JPEG", exif=tags)


def _rows(path: Path, content: bytes) -> None:
    path.mkdir()
    (path / "rows.jsonl").write_bytes(content)


def _npy(path: Path, shape: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)


def _pfm(path: Path) -> None:
    path.write_bytes(b"Pf\n999999999 999999999\n-1.0\n")


def _denormals(path: Path) -> None:
    path.write_bytes(b"Pf\n4 1\n-1.0\n" + np.arange(4, dtype="<u4").tobytes())  # multiples of 1.4e-45


def _profile_bomb(path: Path) -> None:
    _png(path, 4, 4, 8, 2, (b"iCCP", b"x\0\0" + zlib.compress(bytes(200_000_000), 9)))


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(20_000_000_000)


def _many_tiles(path: Path) -> None:
    """4000 x 4000 in a tile for each 16 pixels, all at one place."""
    tiles = 250 * 250
    tile, head = zlib.compress(bytes(256)), 8
    fields = [(256, 1, 4000), (257, 1, 4000), (258, 1, 8), (259, 1, 8), (262, 1, 1), (322, 1, 16), (323, 1, 16)]
    lists_at = head + len(tile)
    fields += [(324, tiles, lists_at), (325, tiles, lists_at + 4 * tiles)]
    table = struct.pack("<H", len(fields)) + b"".join(
        struct.pack("<HHLL", tag, 4, n, value) for tag, n, value in fields
    )
    lists = struct.pack("<L", head) * tiles + struct.pack("<L", len(tile)) * tiles
    path.write_bytes(b"II*\0" + struct.pack("<L", lists_at + len(lists)) + tile + lists + table + bytes(4))


FILES: Mapping[str, Callable[[Path], None]] = {
    "large.tif": lambda path: _tiff(path, 12_000, _zeros(144_000_000)),
    "pages.tif": lambda path: _tiff(path, 7000, _zeros(49_000_000), 200),
    "strip.tif": lambda path: _tiff(path, 8, _zeros(2_000_000_000)),
    "tiles.tif": _many_tiles,
    "column.png": lambda path: _png(path, 1, 100_000_000 // 50),
    "row.png": lambda path: _png(path, 100_000_000, 1),
    "grey.png": lambda path: _png(path, 7000, 7000),
    "rgb16.png": lambda path: _png(path, 7000, 7000, 16, 2),
    "rgba16.png": lambda path: _png(path, 7000, 7000, 16, 6),
    "grey16.png": lambda path: _png(path, 7000, 7000, 16, 0),
    "profile.png": _profile_bomb,
    "nested.png": lambda path: _png(path, 4, 4, 8, 2, (b"iTXt", b"stereodiffusion\0\0\0\0\0" + _NESTED)),
    "text.png": lambda path: _png(path, 4, 4, 8, 2, (b"zTXt", b"x\0\0" + zlib.compress(bytes(500_000_000), 9))),
    "sparse.png": _sparse,
    "wide.jpg": lambda path: _jpeg_of_another_size(path, 20000, 4000),
    "square.jpg": lambda path: _jpeg_of_another_size(path, 7000, 7000),
    "scans.jpg": _scans,
    "nested.jpg": _exif_comment,
    "nested.gif": _gif_comment,
    "large.npy": lambda path: _npy(path, "(40000, 40000)"),
    "overflow.npy": lambda path: _npy(path, f"({2**40}, {2**40})"),
    "nested.npy": lambda path: _npy(path, "(" * 4000 + ")" * 4000),
    "large.pfm": _pfm,
    "denormal.pfm": _denormals,
    "nested-row": lambda path: _rows(path, _NESTED + b"\n"),
    "latin-row": lambda path: _rows(path, b'{"dataset": "caf\xe9"}\n'),
}

SLOW = {
    *("grey.png", "grey16.png", "rgb16.png", "rgba16.png", "square.jpg", "scans.jpg", "tiles.tif"),
    *("pages.tif", "strip.tif", "large.tif", "column.png", "row.png", "profile.png", "text.png"),
}
"""Those that are read, of up to 50 megapixels, or take long to write."""
