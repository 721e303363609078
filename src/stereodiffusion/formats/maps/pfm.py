"""PFM: one float for each pixel, rows from bottom to top (Debevec; as Middlebury distributes disparity).

The header is `Pf`, width and height, and a scale whose sign tells the byte order: negative is little-endian. Its size
is ignored, as Middlebury's own reader does: nobody agrees on whether values are to be multiplied or divided by it.
"""

import re

import numpy as np
from jaxtyping import Float32

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.limits import check_size

_HEADER = re.compile(rb"(P[fF])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?[0-9.]+(?:[eE][-+]?\d+)?)(?:\r\n|\s)")


def decode_pfm(content: bytes) -> Float32[np.ndarray, "h w"]:
    """The values, top row first."""
    header = _HEADER.match(content)
    if header is None:
        raise FormatError("expected a PFM header: Pf, width and height, scale")
    if header[1] == b"PF":
        raise FormatError("expected one value for each pixel (Pf), got a colour PFM (PF)")
    width, height = int(header[2]), int(header[3])
    check_size(width, height, 4)
    expected, found = 4 * width * height, len(content) - header.end()
    if found != expected:
        raise FormatError(f"a PFM of {width} x {height} has {expected} bytes of values, got {found}")
    try:
        scale = float(header[4])
    except ValueError:
        scale = 0.0
    if scale == 0:
        raise FormatError(f"the scale of a PFM is a number other than 0, got {header[4].decode('ascii')}")
    values = np.frombuffer(content, "<f4" if scale < 0 else ">f4", offset=header.end())
    return np.ascontiguousarray(values.reshape(height, width)[::-1], dtype=np.float32)


def encode_pfm(values: Float32[np.ndarray, "h w"]) -> bytes:
    """Little-endian, scale 1."""
    height, width = values.shape
    return b"Pf\n%d %d\n-1.0\n" % (width, height) + values[::-1].astype("<f4").tobytes()
