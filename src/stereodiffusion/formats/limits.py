"""How large a picture or map may be, decided by its header before anything is decoded.

A picture of the most pixels is 768 MB as the float32 that every method works on, and reading it takes 1.2 GB.
"""

from stereodiffusion.errors import FormatError

MOST_PIXELS = 64_000_000
"""Of a picture or map: 8000 x 8000. Cameras of 61 megapixels fit."""

MOST_BYTES = 400_000_000
"""Of a picture or map as its file stores the values: 64 megapixels of 16-bit RGB, 50 of float64."""

MOST_FILE_BYTES = 500_000_000
"""Of a file."""

LONGEST_SIDE = 65_535
"""Of a picture or map, in pixels; no JPEG has a longer one."""


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
