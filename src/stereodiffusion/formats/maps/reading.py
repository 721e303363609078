"""The numbers of a map file, before anything is known of their meaning.

Files are recognised by content: PNG and PGM of 8 or 16 bits, TIFF of 8 to 64 bits, PFM, OpenEXR, and NPY
without pickles.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.lib import format as npy
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import PathLike, read_bytes
from stereodiffusion.formats.limits import check_size
from stereodiffusion.formats.maps.exr import decode_exr, is_exr
from stereodiffusion.formats.maps.pfm import decode_pfm
from stereodiffusion.formats.pictures import png, tiff
from stereodiffusion.formats.pictures.containers import is_png, is_tiff, refuse_foreign
from stereodiffusion.formats.pictures.image import decode_deep_png, decoding, identify_picture, open_picture

_PGM_HEADER = re.compile(rb"P5(?:(?:\s|#[^\n]*\n)+\d+){2}(?:\s|#[^\n]*\n)+(\d+)\s")
_TRANSPARENT = "expected an opaque map, got one with transparent pixels"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawMap:
    """The numbers of a map file, before anything is known of their meaning.

    Attributes:
        values: as stored, top row first.
        bits: how many the file spends on a value.
        is_integer: whether the file holds levels and not real numbers.
        name: the file, for messages.
        no_data: the value that the file itself declares to mean "not known", if it does.
    """

    values: Float[Tensor, "h w"]
    bits: int
    is_integer: bool
    name: str
    no_data: float | None = None


def read_map(path: PathLike) -> RawMap:
    """The numbers of a PNG, PGM, TIFF, PFM, EXR or NPY file."""
    content = read_bytes(path)
    with decoding(path):
        return decode_map(content, str(path))


def decode_map(content: bytes, name: str) -> RawMap:
    """The numbers of such a file in memory; `name` is for messages. To be called in `decoding`."""
    no_data = None
    if not is_exr(content):
        refuse_foreign(content)
    if is_exr(content):
        stored = decode_exr(content)
    elif content.startswith(b"\x93NUMPY"):
        stored = _decode_npy(content)
    elif content.startswith((b"Pf", b"PF")):
        stored = decode_pfm(content)
    elif is_png(content):
        stored = _decode_png(content)
    elif content.startswith(b"P5"):
        stored = _decode_pgm(content)
    elif is_tiff(content):
        stored, no_data = _decode_tiff(content)
    else:
        raise FormatError("expected a map: PNG, PGM, TIFF, PFM, EXR or NPY (JPEG loses too much), this is none of them")
    is_integer = stored.dtype.kind in "iu"
    exact = np.float32 if stored.dtype.itemsize <= 2 or stored.dtype.str[1:] == "f4" else np.float64
    values = torch.from_numpy(np.require(stored, exact, ["C", "W"]))
    return RawMap(values=values, bits=8 * stored.dtype.itemsize, is_integer=is_integer, name=name, no_data=no_data)


def _decode_npy(content: bytes) -> Shaped[np.ndarray, "h w"]:
    shape, is_fortran, dtype, start = _npy_header(content)
    if dtype.hasobject:
        raise FormatError("expected real numbers, got pickled objects, which are refused: loading them can run code")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise FormatError(f"expected real numbers, got an array of {dtype}")
    sides = [side for side in shape if side > 1]
    if 0 in shape or len(sides) > 2 or len(shape) < 2:
        raise FormatError(f"expected an array of height x width, got shape {shape}")
    check_size(sides[-1] if sides else 1, sides[0] if len(sides) == 2 else 1, dtype.itemsize)
    expected, found = prod(shape) * dtype.itemsize, len(content) - start
    if found < expected:
        raise FormatError(f"the file is damaged or truncated: expected {expected} bytes of values, got {found}")
    stored = np.frombuffer(content, dtype, prod(shape), start).reshape(shape, order="F" if is_fortran else "C")
    return _without_singletons(stored).astype(dtype.newbyteorder("="), copy=False)


def _npy_header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether columns are contiguous, type, and where the values begin."""
    file = BytesIO(content)
    version = npy.read_magic(file)
    if version not in {(1, 0), (2, 0)}:
        raise FormatError(f"expected an NPY of version 1.0 or 2.0, got {version[0]}.{version[1]}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    return tuple(int(side) for side in shape), is_fortran, dtype, file.tell()


def _without_singletons(stored: np.ndarray) -> Shaped[np.ndarray, "h w"]:
    """(1, h, w), (h, w, 1) and the like as (h, w)."""
    while stored.ndim > 2:
        spare = next((axis for axis in (0, stored.ndim - 1) if stored.shape[axis] == 1), None)
        if spare is None:
            raise FormatError(f"expected an array of height x width, got shape {stored.shape}")
        stored = stored.squeeze(spare)
    return stored


def _decode_png(content: bytes) -> Shaped[np.ndarray, "h w"]:
    is_deep = png.is_deep_colour(content)
    picture = identify_picture(content) if is_deep else open_picture(content)
    bits = png.bit_depth(content)
    if bits < 8 and picture.mode != "P":
        raise FormatError(f"expected a map of at least 8 bits, got {bits}")
    if "transparency" in picture.info:
        raise FormatError(_TRANSPARENT)
    if is_deep:
        return _only_channel(decode_deep_png(picture, content))
    return _only_channel(np.asarray(picture.convert("RGB") if picture.mode == "P" else picture))


def _decode_pgm(content: bytes) -> Shaped[np.ndarray, "h w"]:
    """The levels as stored: those of another range than 8 or 16 bits Pillow would stretch."""
    header = _PGM_HEADER.match(content)
    if header is None or header[1] not in {b"255", b"65535"}:
        raise FormatError("expected a PGM whose levels end at 255 or 65535")
    levels = np.asarray(open_picture(content))
    return levels.astype(np.uint8 if header[1] == b"255" else np.uint16)


def _decode_tiff(content: bytes) -> tuple[Shaped[np.ndarray, "h w"], float | None]:
    """The values and, of their type, the one that the file declares to be unknown."""
    with tiff.only_page(content) as page:
        stored, declared = tiff.map_of(page), tiff.declared_unknown(page)
        if stored.shape[2] > 1 and not tiff.has_only_alpha(page):
            raise FormatError(f"expected one value for each pixel, got {stored.shape[2]} bands")
    if declared is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            declared = float(np.float64(declared).astype(stored.dtype))
    return _only_channel(stored), declared


def _only_channel(pixels: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "h w"]:
    """Of grey or of RGB that is grey, with an alpha that is opaque if any, one channel."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] in {2, 4}:
        opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1
        if bool((pixels[..., -1] != opaque).any()):
            raise FormatError(_TRANSPARENT)
    if any(_differ(pixels[..., 0], pixels[..., c]) for c in range(1, pixels.shape[2] // 3 * 3)):
        raise FormatError("expected a grey map, got a coloured one: colour-mapped depth cannot be read back")
    return pixels[..., 0]


def _differ(one: Shaped[np.ndarray, "h w"], other: Shaped[np.ndarray, "h w"]) -> bool:
    return not np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
