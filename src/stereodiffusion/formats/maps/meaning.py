"""What the numbers of a map file mean.

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
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from math import isfinite
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stereodiffusion.errors import ConfigError, FormatError, GeometryError
from stereodiffusion.formats.maps.reading import RawMap
from stereodiffusion.geometry import Disparity, StereoRig

MapKind = Literal["disparity-px", "depth-m", "near-is-bright", "near-is-dark"]
UnknownName = Literal["nonfinite", "zero", "negative", "none"]
Unknown: TypeAlias = UnknownName | float

_SLIGHTEST_PX = 2.0**-100
"""A map of no more than this moves nothing and counts as 0 everywhere: to divide by it would overflow."""


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
    values = raw.values if divisor == 1 else raw.values / divisor
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
