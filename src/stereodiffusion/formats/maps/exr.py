"""OpenEXR maps: one channel of 16- or 32-bit floating point, as compositing programs and renderers exchange them."""

from contextlib import redirect_stdout
from io import BytesIO, StringIO
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.extras import require
from stereodiffusion.formats.limits import check_size

_MAGIC = b"\x76\x2f\x31\x01"
_CHANNEL = "Y"  # which viewers show as grey


def is_exr(content: bytes) -> bool:
    """Whether this is an OpenEXR file."""
    return content.startswith(_MAGIC)


def encode_exr(values: Float32[np.ndarray, "h w"]) -> bytes:
    """The exact values, in a channel named Y.

    Raises:
        FormatError: If OpenEXR is not installed.
    """
    exr: Any = require("exr")
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    file = BytesIO()
    exr.File(header, {_CHANNEL: np.ascontiguousarray(values)}).write(file)
    return file.getvalue()


def decode_exr(content: bytes) -> Shaped[np.ndarray, "h w"]:
    """The values of the only channel.

    Raises:
        FormatError: If there are several, parts or channels, or OpenEXR is not installed.
    """
    with redirect_stdout(StringIO()) as said:  # where OpenEXR tells of damage that it passes over
        values = _only_channel(content)
    if said.getvalue().strip():
        raise FormatError(f"the file is damaged or truncated: {' '.join(said.getvalue().split())}")
    return values


def _only_channel(content: bytes) -> Float[np.ndarray, "h w"]:
    exr: Any = require("exr")
    with exr.File(BytesIO(content), separate_channels=True, header_only=True, num_threads=0) as file:
        if len(file.parts) != 1:
            raise FormatError(f"expected a single map, got an EXR of {len(file.parts)} parts")
        (left, top), (right, bottom) = file.header()["dataWindow"]
        check_size(int(right) - int(left) + 1, int(bottom) - int(top) + 1, 4)
    with exr.File(BytesIO(content), separate_channels=True, num_threads=0) as file:
        channels: dict[str, Any] = file.channels()
        if len(channels) != 1:
            raise FormatError(f"expected one value for each pixel, got channels {', '.join(sorted(channels))}")
        values: Float[np.ndarray, "h w"] = np.array(next(iter(channels.values())).pixels)
    if values.ndim != 2:
        raise FormatError(f"expected a map of height x width, got shape {values.shape}")
    return values
