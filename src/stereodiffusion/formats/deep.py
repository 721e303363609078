"""More than 8 bits: what Pillow cannot hold or reads wrongly is decoded by OpenCV.

Pillow 13 has no 16-bit colour and no 64-bit float, and gives wrong numbers for compressed big-endian TIFF of 32 bits.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import cast

import numpy as np
from jaxtyping import Shaped, UInt16
from PIL import ExifTags, Image

from stereodiffusion.errors import FormatError


def decode_tiff(content: bytes) -> Shaped[np.ndarray, "h w *c"]:
    """The only page of a TIFF, upright, with its own type; colour is RGB or RGBA."""
    import cv2

    with _quiet():
        _, pages = cv2.imdecodemulti(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if len(pages) != 1:
        raise FormatError(f"expected a single page, got {len(pages)}" if pages else "the file is damaged or truncated")
    return _rgb_first(cast(np.ndarray, pages[0]))


def decode_deep_colour(picture: Image.Image, content: bytes) -> UInt16[np.ndarray, "h w c"]:
    """The 16-bit RGB or RGBA levels of a PNG or TIFF, upright; `picture` is the same file opened by Pillow."""
    import cv2

    if picture.format == "TIFF":
        pixels = decode_tiff(content)
    else:
        with _quiet():
            decoded = cast(np.ndarray | None, cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED))
        if decoded is None:
            raise FormatError("the file is damaged or truncated")
        # OpenCV turns TIFF upright by itself and leaves PNG as it lies.
        pixels = upright(_rgb_first(decoded), picture.getexif().get(ExifTags.Base.Orientation, 1))
    if pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise FormatError(f"expected 16-bit colour, got {pixels.dtype} of shape {pixels.shape}")
    return pixels


def bits_per_channel(picture: Image.Image, content: bytes) -> int:
    """Bits in the file, of PNG and TIFF; 8 of everything else."""
    if picture.format == "PNG":
        return content[24]  # IHDR: length, name, width, height, bit depth
    if picture.format == "TIFF":
        tags = cast(Mapping[int, tuple[int, ...]], getattr(picture, "tag_v2", {}))
        return max(tags.get(ExifTags.Base.BitsPerSample, (1,)))
    return 8


def upright(pixels: Shaped[np.ndarray, "h w *c"], orientation: int) -> Shaped[np.ndarray, "h2 w2 *c"]:
    """Undoes an EXIF orientation, 1 ... 8."""
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return pixels.swapaxes(0, 1)
        case 6:
            return pixels[::-1].swapaxes(0, 1)
        case 7:
            return pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return pixels[:, ::-1].swapaxes(0, 1)
        case _:
            return pixels


def _rgb_first(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]


@contextmanager
def _quiet() -> Generator[None]:
    """Keeps OpenCV from printing about damaged files, of which an exception tells."""
    import cv2

    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
