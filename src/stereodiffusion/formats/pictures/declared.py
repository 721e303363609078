"""Colours that are declared by other means than an ICC profile, made into one.

    PNG          cICP; else gAMA and cHRM, where neither sRGB nor a profile stands beside them
    AVIF, HEIC   nclx, where there is no profile
    EXIF         ColorSpace 65535 ("uncalibrated") with InteropIndex R03: Adobe RGB (1998), as DCF 2.0 has it

cICP and nclx are numbers of ITU-T H.273. Its curves for television (BT.709 and alike) count as sRGB, which is how
pictures so labelled are made and shown; those of high dynamic range are refused.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import numpy as np
from PIL import ExifTags, Image

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.pictures.containers import HDR_REFUSED

Chromaticities: TypeAlias = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

CODE_POINTS = "code_points"
"""Where `Image.info` keeps (primaries, transfer characteristics) of PNG."""

NCLX = "nclx_profile"
"""Where pi-heif keeps what AVIF and HEIC say."""

_D65 = (0.3127, 0.329)
_BT709: Chromaticities = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_ADOBE: Chromaticities = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_ADOBE_GAMMA = 563 / 256  # Adobe RGB (1998) Color Image Encoding, 4.3.4.2
_SRGB_GAMMA = 1 / 2.2
_GAMMA_SLACK = 0.05  # libpng's: what is closer is the same

_UNSPECIFIED = 2
_PRIMARIES: Mapping[int, Chromaticities] = MappingProxyType(  # H.273, table 2
    {
        1: _BT709,
        _UNSPECIFIED: _BT709,
        4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
        5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
        6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
        7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
        9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
        11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
        12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
        22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
    }
)
_GAMMAS: Mapping[int, float] = MappingProxyType({4: 2.2, 5: 2.8, 8: 1.0})  # table 3
_LIKE_SRGB = frozenset({1, _UNSPECIFIED, 6, 11, 13, 14, 15})
_HIGH_DYNAMIC_RANGE = frozenset({16, 18})  # PQ and HLG


def declared_profile(picture: Image.Image) -> bytes | None:
    """The ICC profile that says what the picture declares; None if that is sRGB or nothing.

    Raises:
        FormatError: If it declares a high dynamic range, or colours that are not known.
    """
    info = cast(Mapping[str, Any], picture.info)
    if CODE_POINTS in info:
        return _of_code_points(*info[CODE_POINTS])
    if info.get("icc_profile"):
        return cast(bytes, info["icc_profile"])
    if nclx := info.get(NCLX):
        return _of_code_points(nclx["color_primaries"], nclx["transfer_characteristics"])
    if "srgb" not in info and ("gamma" in info or "chromaticity" in info):
        return _of_png(info)
    return _profile(_ADOBE, _ADOBE_GAMMA) if _is_adobe_rgb(picture) else None


def _of_code_points(primaries: int, transfer: int) -> bytes | None:
    if transfer in _HIGH_DYNAMIC_RANGE:
        raise FormatError(HDR_REFUSED)
    if primaries not in _PRIMARIES or (transfer not in _LIKE_SRGB and transfer not in _GAMMAS):
        raise FormatError(f"the colours are declared by numbers that are not known: H.273 {primaries}, {transfer}")
    colours, gamma = _PRIMARIES[primaries], _GAMMAS.get(transfer)
    return None if colours == _BT709 and gamma is None else _profile(colours, gamma)


def _of_png(info: Mapping[str, Any]) -> bytes | None:
    """Of gAMA, which says the power that encodes, and cHRM."""
    encoding = float(info.get("gamma") or _SRGB_GAMMA)
    gamma = None if abs(encoding / _SRGB_GAMMA - 1) < _GAMMA_SLACK else 1 / encoding
    colours = tuple(info.get("chromaticity") or _BT709)
    if len(colours) != len(_BT709) or min(colours[1::2]) <= 0 or not 0.1 <= (gamma or 1) <= 10:
        raise FormatError(f"the declared colours make no sense: gAMA {encoding:g}, cHRM {colours}")
    if gamma is None and np.allclose(colours, _BT709, atol=1e-3):
        return None
    return _profile(cast(Chromaticities, colours), gamma)


def _is_adobe_rgb(picture: Image.Image) -> bool:
    tags = picture.getexif()
    uncalibrated = tags.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace) == 0xFFFF
    return uncalibrated and str(tags.get_ifd(ExifTags.IFD.Interop).get(1, "")).startswith("R03")


def _profile(colours: Chromaticities, gamma: float | None) -> bytes:
    """An RGB profile with a power for its curve, or sRGB's."""
    import imagecodecs

    points = [(*colours[at : at + 2], 1.0) for at in (0, 2, 4, 6)]
    white, primaries = points[0], sum(points[1:], ())
    encoded = np.linspace(0, 1, 1024)
    srgb = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    try:
        if gamma is not None:
            return imagecodecs.cms_profile("rgb", whitepoint=white, primaries=primaries, gamma=gamma)
        curve = srgb.astype(np.float32)
        return imagecodecs.cms_profile("rgb", whitepoint=white, primaries=primaries, transferfunction=curve)
    except (RuntimeError, ValueError) as refused:
        raise FormatError(f"the declared colours make no sense: {colours}") from refused
