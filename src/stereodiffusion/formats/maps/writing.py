"""Disparity maps written to files."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image, PngImagePlugin

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import PathLike, write_files
from stereodiffusion.formats.maps.exr import encode_exr
from stereodiffusion.formats.maps.pfm import encode_pfm
from stereodiffusion.geometry import Disparity

PNG_SCALE = 256
"""Levels per pixel of disparity in the 16-bit PNG that `write_map` makes, as in KITTI."""

_MAP_SUFFIXES = (".pfm", ".png", ".npy", ".tif", ".tiff", ".exr")


def write_map(path: PathLike, disparity: Disparity) -> Path:
    """Writes one disparity map in pixels; the suffix chooses how.

    `.pfm` (unknown is inf), `.npy`, `.tif` and `.exr` (unknown is NaN) hold the exact float32. `.png` has 16 bits as in
    KITTI: round(256 d), at least 1; 0 is unknown; it takes 0 <= d < 256.
    """
    path = Path(path)
    try:
        content = encode_map(disparity, path.suffix)
    except FormatError as refused:
        raise FormatError(f"{path}: {refused}") from refused
    return write_files({path: content})[0]


def encode_map(disparity: Disparity, suffix: str) -> bytes:
    """The bytes of a map file, see `write_map`."""
    if disparity.batch != 1:
        raise FormatError(f"expected one map, got a batch of {disparity.batch}")
    pixels = disparity.pixels[0, 0].detach().to("cpu", torch.float32).numpy()
    known = disparity.known[0, 0].cpu().numpy()
    match suffix.lower():
        case ".pfm":
            return encode_pfm(np.where(known, pixels, np.float32(np.inf)))
        case ".npy":
            file = BytesIO()
            np.save(file, np.where(known, pixels, np.float32(np.nan)), allow_pickle=False)
            return file.getvalue()
        case ".png":
            return _encode_png(pixels, known)
        case ".exr":
            return encode_exr(np.where(known, pixels, np.float32(np.nan)))
        case ".tif" | ".tiff":
            file = BytesIO()
            holes = np.where(known, pixels, np.float32(np.nan))
            Image.fromarray(holes).save(file, "TIFF", compression="tiff_deflate")
            return file.getvalue()
        case _:
            raise FormatError(f"expected one of {', '.join(_MAP_SUFFIXES)}, got {suffix or 'no suffix'}")


def _encode_png(pixels: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> bytes:
    levels = np.floor(pixels.astype(np.float64) * PNG_SCALE + 0.5)
    if known.any() and not (pixels[known].min() >= 0 and levels[known].max() <= 65535):
        raise FormatError(
            "a 16-bit PNG takes disparities of 0 ... 255.99 px, PFM, NPY, TIFF and EXR take any; "
            f"got {pixels[known].min():g} ... {pixels[known].max():g}"
        )
    note = PngImagePlugin.PngInfo()
    note.add_text("Description", f"disparity in pixels = value / {PNG_SCALE}; 0 is unknown")
    file = BytesIO()
    stored = np.where(known, np.maximum(levels, 1), 0).astype(np.uint16)
    Image.fromarray(stored).save(file, "PNG", pnginfo=note)
    return file.getvalue()
