"""How large a picture or map may be.

For one that is read, its header decides before anything is decoded; for one that is written, the format of its file.

A picture of the most pixels is 600 MB as the float32 that every method works on; reading it takes up to 1.3 GB.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from stereodiffusion.errors import FormatError

MOST_PIXELS = 50_000_000
"""Of a picture or map, such as 8160 x 6120."""

MOST_BYTES = 400_000_000
"""Of a picture or map as its file stores the values: 50 megapixels of 64 bits."""

MOST_FILE_BYTES = 500_000_000
"""Of a file."""

LONGEST_SIDE = 65_535
"""Of a picture or map, in pixels; no JPEG has a longer one."""


_LONGEST_WRITTEN: Mapping[str, int] = MappingProxyType(
    {".webp": 16_383, ".gif": 65_535, ".jpg": 65_500, ".jpeg": 65_500, ".mpo": 65_500}  # of JPEG: libjpeg's
)

LIMIT = f"at most {MOST_PIXELS // 10**6} megapixels and sides of at most {LONGEST_SIDE} pixels"


def check_size(width: int, height: int, bytes_per_pixel: int = 1) -> None:
    """Refuse a picture or map that is larger than the limit.

    Raises:
        FormatError: If it is, or has no pixels.
    """
    if width < 1 or height < 1:
        raise FormatError(f"expected at least one pixel, got {width} x {height}")
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise FormatError(f"too large: expected {LIMIT}, got {width} x {height}")
    if (size := width * height * bytes_per_pixel) > MOST_BYTES:
        raise FormatError(
            f"too large: expected at most {MOST_BYTES / 1e6:g} MB of values, got {width} x {height} of "
            f"{bytes_per_pixel} bytes, {size / 1e6:.0f} MB"
        )


def check_frame(path: Path, height: int, width: int) -> None:
    """Refuse a picture that the format of its file cannot hold.

    Raises:
        FormatError: If it is too large for the suffix of `path`.
    """
    longest = _LONGEST_WRITTEN.get(path.suffix.lower())
    if longest is not None and max(height, width) > longest:
        kind = path.suffix.lower().removeprefix(".").upper()
        raise FormatError(
            f"{path}: a picture of {width} x {height} is too large for {kind}, whose sides have at most {longest} "
            "pixels: PNG and TIFF hold it"
        )
