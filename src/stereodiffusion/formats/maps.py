"""Depth and disparity maps in files.

A file holds numbers; what they mean is said by whoever reads it (`MapKind`), never guessed:

    disparity-px     value / scale is the disparity in pixels of the map (Middlebury 2005: scale 3, KITTI: 256)
    depth-m          value / scale is the depth in metres (millimetres: scale 1000); needs the rig
    near-is-bright   relative: the largest value is nearest, as depth networks draw it
    near-is-dark     relative: the smallest value is nearest

and so are the values that mean "not known" (`Unknown`):

    nonfinite        NaN and infinity; 0 is a value like others (the default)
    zero             0, and also NaN and infinity
    negative         what is below 0, and also NaN and infinity
    a number         that value, and also NaN and infinity
    none             nothing: every pixel counts. An infinite depth is then infinitely far; NaN is an error.

A value that a TIFF itself declares to be no data (GDAL_NODATA) is unknown, too, unless that is `none`.

Files are recognised by content: PNG and PGM of 8 or 16 bits, TIFF of 8 to 64 bits, PFM, and NPY without pickles.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from math import isfinite, log, prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy.lib import format as npy
from PIL import Image, PngImagePlugin
from torch import Tensor

from stereodiffusion.errors import ConfigError, FormatError, GeometryError
from stereodiffusion.formats import png, tiff
from stereodiffusion.formats.containers import is_png, is_tiff, refuse_foreign
from stereodiffusion.formats.files import PathLike, read_bytes, write_files
from stereodiffusion.formats.image import decode_deep_png, decoding, identify_picture, open_picture
from stereodiffusion.formats.limits import check_size
from stereodiffusion.formats.pfm import decode_pfm, encode_pfm
from stereodiffusion.geometry import Disparity, StereoRig

MapKind = Literal["disparity-px", "depth-m", "near-is-bright", "near-is-dark"]
UnknownName = Literal["nonfinite", "zero", "negative", "none"]
Unknown: TypeAlias = UnknownName | float

PNG_SCALE = 256
"""Levels per pixel of disparity in the 16-bit PNG that `write_map` makes, as in KITTI."""

_PGM_HEADER = re.compile(rb"P5(?:(?:\s|#[^\n]*\n)+\d+){2}(?:\s|#[^\n]*\n)+(\d+)\s")
_PATCHES = (14, 16, 32)
"""To multiples of what depth networks round the sides of a picture."""

_MOST_ROUNDED = 0.1  # of the logarithm of the aspect: the roundings of small maps would let any shape pass
_SLIGHTEST_PX = 2.0**-100
"""A map of no more than this moves nothing and counts as 0 everywhere: to divide by it would overflow."""

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
        no_data: the value that the file itself declares to mean "not known", if it does.
    """

    values: Float[Tensor, "h w"]
    bits: int
    is_integer: bool
    name: str
    no_data: float | None = None


def read_map(path: PathLike) -> RawMap:
    """The numbers of a PNG, PGM, TIFF, PFM or NPY file."""
    content, no_data = read_bytes(path), None
    with decoding(path):
        refuse_foreign(content)
        if content.startswith(b"\x93NUMPY"):
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
            raise FormatError("expected a map: PNG, PGM, TIFF, PFM or NPY (JPEG loses too much), this is none of them")
    is_integer = stored.dtype.kind in "iu"
    exact = np.float32 if stored.dtype.itemsize <= 2 or stored.dtype.str[1:] == "f4" else np.float64
    values = torch.from_numpy(np.require(stored, exact, ["C", "W"]))
    return RawMap(values=values, bits=8 * stored.dtype.itemsize, is_integer=is_integer, name=str(path), no_data=no_data)


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

    Raises:
        ConfigError: If what is said of the map does not belong together.
        FormatError: If nothing is known, or what must be known is not.
        GeometryError: If the values make no sense.
    """
    divisor = _check_units(raw, kind, nearest_px=nearest_px, scale=scale, rig=rig)
    known = _known(raw, kind, unknown)
    values = raw.values / divisor
    try:
        if rig is not None:
            disparity = Disparity.from_depth(_checked_depth(values, known, rig), rig, known)
        elif nearest_px is not None:
            disparity = Disparity.from_relative(_nearness(values, known, kind), nearest_px, known)
        else:
            disparity = _from_pixels(values, known)
    except GeometryError as refused:
        raise GeometryError(f"{raw.name}: {refused}") from refused
    if max(abs(float(bound)) for bound in disparity.pixels.aminmax()) <= _SLIGHTEST_PX:
        disparity = replace(disparity, pixels=torch.zeros_like(disparity.pixels))
    return disparity.to(dtype=torch.float32)


def parse_unknown(text: str) -> Unknown:
    """What is said of the unknown in words: a name, or a number.

    Raises:
        ConfigError: If it is neither.
    """
    names: tuple[UnknownName, ...] = get_args(UnknownName)
    for name in names:
        if text == name:
            return name
    with suppress(ValueError):
        if isfinite(value := float(text)):
            return value
    raise ConfigError(f"expected unknown out of {', '.join(names)}, or a number, got {text!r}")


def shows_whole(map_size: tuple[int, int], photo_size: tuple[int, int]) -> bool:
    """Whether a map of one size can show the whole of a photo of another, both (height, width).

    It can if it has the photo's aspect to within a row, or if both its sides are multiples of the patch of a depth
    network and those of the scaled photo lie within half a patch of them: networks round so.
    """
    (rows, columns), (height, width) = map_size, photo_size
    if abs(rows * width / columns - height) <= 1 + height / rows:
        return True
    if abs(log(rows * width / (columns * height))) > _MOST_ROUNDED:
        return False
    for patch in _PATCHES:
        smallest = max((side - patch / 2) / of for side, of in ((rows, height), (columns, width)))
        largest = min((side + patch / 2) / of for side, of in ((rows, height), (columns, width)))
        if rows % patch == columns % patch == 0 and smallest <= largest:
            return True
    return False


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
    if raw.no_data is not None and unknown != "none":
        finite &= raw.values != raw.no_data
    match unknown:
        case "zero":
            known = finite & (raw.values != 0)
        case "negative":
            known = finite & (raw.values >= 0)
        case "nonfinite":
            known = finite
        case "none":
            known = torch.ones_like(finite)
            meaningless = raw.values.isnan() if kind == "depth-m" else ~finite
            if bool(meaningless.any()):
                raise FormatError(
                    f"{raw.name}: {int(meaningless.sum())} values are NaN or infinite; if they mark the unknown: "
                    "--map-unknown nonfinite"
                )
        case float() | int():
            known = finite & (raw.values != torch.tensor(unknown, dtype=raw.values.dtype))
        case _:
            raise ConfigError(
                f"{raw.name}: expected unknown out of {', '.join(get_args(UnknownName))}, or a number, got {unknown!r}"
            )
    if kind == "depth-m" and bool((known & (raw.values == 0)).any()):
        raise FormatError(f"{raw.name}: a depth of 0 m is impossible; if 0 marks the unknown: --map-unknown zero")
    if not bool(known.any()):
        raise FormatError(f"{raw.name}: not one of {known.numel()} values is known")
    return known


def _extremes(values: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> tuple[float, float]:
    """(least, largest) of the known values; indexing by a region would take eight times their memory."""
    numbers, where = values.numpy(), known.numpy()
    return float(numbers.min(where=where, initial=np.inf)), float(numbers.max(where=where, initial=-np.inf))


def _nearness(values: Float[Tensor, "h w"], known: Bool[Tensor, "h w"], kind: MapKind) -> Float[Tensor, "h w"]:
    """Large is near; in float64 where the range of the values is too narrow or too wide for float32."""
    lowest, highest = _extremes(values, known)
    if not (lowest == highest or _SLIGHTEST_PX < highest - lowest < 1 / _SLIGHTEST_PX):
        values = values.double()
    return -values if kind == "near-is-dark" else values


def _checked_depth(values: Float[Tensor, "h w"], known: Bool[Tensor, "h w"], rig: StereoRig) -> Float[Tensor, "h w"]:
    """Depth in float64, whose disparity is a number also in float32."""
    depth = values.double()
    nearest, _ = _extremes(depth, known)
    if 0 < nearest < rig.focal_px * rig.baseline_m / torch.finfo(torch.float32).max:
        raise GeometryError(f"a depth of {nearest:g} m is too near to have a disparity: is scale right?")
    return depth


def _from_pixels(values: Float[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> Disparity:
    """Disparity in pixels; negative ones lie behind the screen, which a map that was converged has."""
    smallest, largest = _extremes(values, known)
    width = values.shape[-1]
    if largest > width:
        raise GeometryError(f"the largest disparity, {largest:g} px, exceeds the width, {width} px: is scale right?")
    if largest < 0:
        raise GeometryError("all disparities are negative: is the sign turned round? (x_R = x_L - d)")
    if smallest < -width:
        raise GeometryError(
            f"the smallest disparity, {smallest:g} px, exceeds the width, {width} px: if it marks the unknown: "
            f"--map-unknown negative or {smallest:g}"
        )
    return Disparity(pixels=torch.where(known, values, 0.0)[None, None], known=known[None, None])


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
