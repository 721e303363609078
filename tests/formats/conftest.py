import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

EncodePng = Callable[..., bytes]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.fixture
def encode_png() -> EncodePng:
    """A PNG written from the specification: 8 or 16 bits, 1 (grey) to 4 (RGBA) channels."""

    def encode(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
        height, width, channels = pixels.shape
        colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
        big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
        rows = b"".join(b"\0" + row.tobytes() for row in big_endian)
        header = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, colour_type, 0, 0, 0)
        parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)

    return encode


@pytest.fixture
def eyes() -> tuple[Tensor, Tensor]:
    """Two different pictures of 24 x 31 on the 8-bit grid, smooth as photographs are."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 24), torch.linspace(0, 1, 31), indexing="ij")
    left = torch.stack([x, y, (x + y) / 2])
    right = torch.stack([x.flip(1), 0.25 + y / 2, x * y])
    return tuple((eye[None] * 255).round() / 255 for eye in (left, right))  # pyright: ignore[reportReturnType]
