"""Depth and disparity maps in files.

A file holds numbers; what they mean is said by whoever reads it (`MapKind`), never guessed:

    disparity-px     value / scale is the disparity in pixels of the map (Middlebury 2005: scale 3, KITTI: 256)
    depth-m          value / scale is the depth in metres (millimetres: scale 1000); needs the rig
    near-is-bright   relative: the largest value is nearest, as depth networks draw it
    near-is-dark     relative: the smallest value is nearest

and so are the values that mean "not known" (`Unknown`):

    nonfinite        NaN and infinity; 0 is a value like others (the default)
    zero             0, and also NaN and infinity
    none             nothing: every pixel counts. An infinite depth is then infinitely far; NaN is an error.

Files are recognised by content: PNG and PGM of 8 or 16 bits, TIFF of 8 to 64 bits, PFM, and NPY without pickles.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from stereodiffusion.errors import ConfigError, FormatError, GeometryError
from stereodiffusion.formats.deep import bits_per_channel, decode_deep_colour, decode_tiff
from stereodiffusion.formats.files import PathLike, read_bytes, write_files
from stereodiffusion.formats.image import decoding, frame_count, identify_picture, open_picture
from stereodiffusion.formats.pfm import decode_pfm, encode_pfm
from stereodiffusion.geometry import Disparity, StereoRig

MapKind = Literal["disparity-px", "depth-m", "near-is-bright", "near-is-dark"]
Unknown = Literal["nonfinite", "zero", "none"]

PNG_SCALE = 256
"""Levels per pixel of disparity in the 16-bit PNG that `write_map` makes, as in KITTI."""

_PGM_HEADER = re.compile(rb"P5(?:(?:\s|#[^\n]*\n)+\d+){2}(?:\s|#[^\n]*\n)+(\d+)\s")
_TRANSPARENT = "expected an opaque map, got one with transparent pixels"
_MAP_SUFFIXES = (".pfm", ".png", ".npy", ".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawMap:
    """The numbers of a map file, before anything is known of their meaning.

    Attributes:
        values: as stored, top row first.
        bits: how many the file spends on a value.
        is_integer: whether the file holds levels and not real numbers.
        name: the file, for messages.
    """

    values: Float[Tensor, "h w"]
    bits: int
    is_integer: bool
    name: str


def read_map(path: PathLike) -> RawMap:
    """The numbers of a PNG, PGM, TIFF, PFM or NPY file."""
    content = read_bytes(path)
    with decoding(path):
        if content.startswith(b"\x93NUMPY"):
            stored = _decode_npy(content)
        elif content.startswith((b"Pf", b"PF")):
            stored = decode_pfm(content)
        elif content.startswith(b"\x89PNG"):
            stored = _decode_png(content)
        elif content.startswith(b"P5"):
            stored = _decode_pgm(content)
        elif content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
            stored = _decode_tiff(content)
        else:
            raise FormatError("expected a map: PNG, PGM, TIFF, PFM or NPY (JPEG loses too much), this is none of them")
    is_integer = stored.dtype.kind in "iu"
    exact = np.float32 if stored.dtype.itemsize <= 2 or stored.dtype.str[1:] == "f4" else np.float64
    values = torch.from_numpy(stored.astype(exact, order="C"))
    return RawMap(values=values, bits=8 * stored.dtype.itemsize, is_integer=is_integer, name=str(path))


def disparity_from_map(
    raw: RawMap,
    kind: MapKind,
    *,
    nearest_px: float | None = None,
    scale: float | None = None,
    rig: StereoRig | None = None,
    unknown: Unknown = "nonfinite",
) -> Disparity:
    """What the numbers mean.

    Args:
        raw: of `read_map`.
        kind: see the module.
        nearest_px: disparity of the nearest point, of relative maps and required for them.
        scale: value / scale is in pixels or metres. Files of integers need it, others have 1. Not for relative maps.
        rig: focal length and baseline, of `depth-m` and required for it.
        unknown: which values stand for "not known".
    """
    divisor = _check_units(raw, kind, nearest_px=nearest_px, scale=scale, rig=rig)
    known = _known(raw, kind, unknown)
    values = raw.values / divisor
    try:
        if rig is not None:
            disparity = Disparity.from_depth(values, rig, known)
        elif nearest_px is not None:
            disparity = Disparity.from_relative(-values if kind == "near-is-dark" else values, nearest_px, known)
        else:
            disparity = _from_pixels(values, known)
    except GeometryError as refused:
        raise GeometryError(f"{raw.name}: {refused}") from refused
    return disparity.to(dtype=torch.float32)


def write_map(path: PathLike, disparity: Disparity) -> Path:
    """Writes one disparity map in pixels; the suffix chooses how.

    `.pfm` (unknown is inf), `.npy` and `.tif` (unknown is NaN) hold the exact float32. `.png` has 16 bits as in
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
        case ".tif" | ".tiff":
            file = BytesIO()
            holes = np.where(known, pixels, np.float32(np.nan))
            Image.fromarray(holes).save(file, "TIFF", compression="tiff_deflate")
            return file.getvalue()
        case _:
            raise FormatError(f"expected one of {', '.join(_MAP_SUFFIXES)}, got {suffix or 'no suffix'}")


_UNITS: Mapping[MapKind, str] = MappingProxyType({"disparity-px": "pixels", "depth-m": "metres"})


def _check_units(
    raw: RawMap, kind: MapKind, *, nearest_px: float | None, scale: float | None, rig: StereoRig | None
) -> float:
    """What to divide the values by; refuses arguments that do not belong to the kind."""
    if kind not in get_args(MapKind):
        raise ConfigError(f"{raw.name}: expected a kind out of {', '.join(get_args(MapKind))}, got {kind!r}")
    unit = _UNITS.get(kind)
    for name, given, needed in (("nearest_px", nearest_px, unit is None), ("rig", rig, kind == "depth-m")):
        if needed and given is None:
            raise ConfigError(f"{raw.name}: a {kind} map needs {name}")
        if not needed and given is not None:
            raise ConfigError(f"{raw.name}: a {kind} map has no use for {name}")
    if unit is None:
        if scale is not None:
            raise ConfigError(f"{raw.name}: a {kind} map has no use for scale")
        return 1.0
    if scale is None:
        if raw.is_integer:
            hint = "KITTI has 256, Middlebury 3, 4 or 8" if kind == "disparity-px" else "millimetres have 1000"
            raise ConfigError(f"{raw.name}: a file of integers needs scale, value / scale = {unit}: {hint}")
        return 1.0
    if not 0 < scale < float("inf"):
        raise ConfigError(f"{raw.name}: scale must be positive and finite, got {scale}")
    return scale


def _known(raw: RawMap, kind: MapKind, unknown: Unknown) -> Bool[Tensor, "h w"]:
    finite = raw.values.isfinite()
    match unknown:
        case "zero":
            known = finite & (raw.values != 0)
        case "nonfinite":
            known = finite
        case "none":
            known = torch.ones_like(finite)
            meaningless = raw.values.isnan() if kind == "depth-m" else ~finite
            if bool(meaningless.any()):
                raise FormatError(
                    f"{raw.name}: {int(meaningless.sum())} values are NaN or infinite; if they mark the unknown, "
                    "say nonfinite"
                )
        case _:
            raise ConfigError(f"{raw.name}: expected unknown out of {', '.join(get_args(Unknown))}, got {unknown!r}")
    if kind == "depth-m" and bool((known & (raw.values == 0)).any()):
        raise FormatError(f"{raw.name}: a depth of 0 m is impossible; if 0 marks the unknown, say zero")
    if not bool(known.any()):
        raise FormatError(f"{raw.name}: not one of {known.numel()} values is known")
    return known


def _from_pixels(values: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> Disparity:
    """Disparity in pixels; negative ones lie behind the screen, which a map that was converged has."""
    largest = float(values[known].max())
    width = values.shape[-1]
    if largest > width:
        raise GeometryError(f"the largest disparity, {largest:g} px, exceeds the width, {width} px: is scale right?")
    if largest < 0:
        raise GeometryError("all disparities are negative: is the sign turned round? (x_R = x_L - d)")
    return Disparity(pixels=torch.where(known, values, 0.0)[None, None], known=known[None, None])


def _decode_npy(content: bytes) -> Shaped[np.ndarray, "h w"]:
    try:
        stored = cast(np.ndarray, np.load(BytesIO(content), allow_pickle=False))
    except ValueError as refused:
        if "allow_pickle" not in str(refused):
            raise
        raise FormatError(
            "expected real numbers, got pickled objects, which are refused: loading them can run code"
        ) from refused
    if stored.dtype.kind not in "iuf" or stored.dtype.itemsize > 8:
        raise FormatError(f"expected real numbers, got an array of {stored.dtype}")
    if stored.size == 0 or sum(side > 1 for side in stored.shape) > 2 or stored.ndim < 2:
        raise FormatError(f"expected an array of height x width, got shape {stored.shape}")
    return _without_singletons(stored).astype(stored.dtype.newbyteorder("="))


def _without_singletons(stored: np.ndarray) -> Shaped[np.ndarray, "h w"]:
    """(1, h, w), (h, w, 1) and the like as (h, w)."""
    while stored.ndim > 2:
        spare = next((axis for axis in (0, stored.ndim - 1) if stored.shape[axis] == 1), None)
        if spare is None:
            raise FormatError(f"expected an array of height x width, got shape {stored.shape}")
        stored = stored.squeeze(spare)
    return stored


def _decode_png(content: bytes) -> Shaped[np.ndarray, "h w"]:
    picture = open_picture(content)
    if (frames := frame_count(picture)) > 1:
        raise FormatError(f"expected a single map, got {frames} frames")
    bits = bits_per_channel(picture, content)
    if bits < 8 and picture.mode != "P":
        raise FormatError(f"expected a map of at least 8 bits, got {bits}")
    if "transparency" in picture.info:
        raise FormatError(_TRANSPARENT)
    if bits == 16 and picture.mode in {"RGB", "RGBA"}:
        return _only_channel(decode_deep_colour(picture, content))
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in {"P", "LA"}:
        upright = upright.convert("RGB" if upright.mode == "P" else "RGBA")
    return _only_channel(np.asarray(upright))


def _decode_pgm(content: bytes) -> Shaped[np.ndarray, "h w"]:
    """The levels as stored: those of another range than 8 or 16 bits Pillow would stretch."""
    header = _PGM_HEADER.match(content)
    if header is None or header[1] not in {b"255", b"65535"}:
        raise FormatError("expected a PGM whose levels end at 255 or 65535")
    levels = np.asarray(open_picture(content))
    return levels.astype(np.uint8 if header[1] == b"255" else np.uint16)


def _decode_tiff(content: bytes) -> Shaped[np.ndarray, "h w"]:
    with suppress(UnidentifiedImageError):
        # Pillow refuses pictures that would fill the memory; some types of numbers it does not know.
        identify_picture(content)
    return _only_channel(decode_tiff(content))


def _only_channel(pixels: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "h w"]:
    """Of RGB or RGBA that is grey and opaque, one channel."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[-1] == 4:
        opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
        if bool((pixels[..., 3] != opaque).any()):
            raise FormatError(_TRANSPARENT)
    if bool((pixels[..., :3] != pixels[..., :1]).any()):
        raise FormatError("expected a grey map, got a coloured one: colour-mapped depth cannot be read back")
    return pixels[..., 0]


def _encode_png(pixels: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> bytes:
    levels = np.floor(pixels.astype(np.float64) * PNG_SCALE + 0.5)
    if known.any() and not (pixels[known].min() >= 0 and levels[known].max() <= 65535):
        raise FormatError(
            "a 16-bit PNG takes disparities of 0 ... 255.99 px, PFM, NPY and TIFF take any; "
            f"got {pixels[known].min():g} ... {pixels[known].max():g}"
        )
    note = PngImagePlugin.PngInfo()
    note.add_text("Description", f"disparity of the left eye in pixels = value / {PNG_SCALE}; 0 is unknown")
    file = BytesIO()
    stored = np.where(known, np.maximum(levels, 1), 0).astype(np.uint16)
    Image.fromarray(stored).save(file, "PNG", pnginfo=note)
    return file.getvalue()
