"""Anaglyphs: both eyes in the colours of one picture, separated by filter glasses.

Dubois' matrices are least-squares projections of what the eyes should see onto what filters and display can show:
E. Dubois, "A projection method to generate anaglyph stereo images", ICASSP 2001; the values for LCD screens are
from "Conversion of a stereo pair to anaglyph with the least-squares projection method", 2009 (red-cyan) and its 2010
sequels (green-magenta, amber-blue). They act on linear light: sRGB is decoded, mixed, clipped and encoded again.

The simple mixes (`color`, `half-color`, `gray`, `true`) are for red-cyan glasses and act on encoded sRGB, as has
always been done; grey is Rec. 601 luma.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import ConfigError
from stereodiffusion.types import Image

Matrix: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

Glasses = Literal["red-cyan", "green-magenta", "amber-blue"]
Mix = Literal["color", "half-color", "gray", "true"]
AnaglyphMethod = Literal[Glasses, Mix]

DUBOIS: Mapping[Glasses, tuple[Matrix, Matrix]] = {
    "red-cyan": (
        ((0.437, 0.449, 0.164), (-0.062, -0.062, -0.024), (-0.048, -0.050, -0.017)),
        ((-0.011, -0.032, -0.007), (0.377, 0.761, 0.009), (-0.026, -0.093, 1.234)),
    ),
    "green-magenta": (
        ((-0.062, -0.158, -0.039), (0.284, 0.668, 0.143), (-0.015, -0.027, 0.021)),
        ((0.529, 0.705, 0.024), (-0.016, -0.015, -0.065), (0.009, 0.075, 0.937)),
    ),
    "amber-blue": (
        ((1.062, -0.205, 0.299), (-0.026, 0.908, 0.068), (-0.038, -0.173, 0.022)),
        ((-0.016, -0.123, -0.017), (0.006, 0.062, -0.017), (0.094, 0.185, 0.911)),
    ),
}
"""What each eye adds to the red, green and blue (rows) of the anaglyph: (left, right)."""

_NONE = (0.0, 0.0, 0.0)
_LUMA = (0.299, 0.587, 0.114)
_RED, _GREEN, _BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

MIXES: Mapping[Mix, tuple[Matrix, Matrix]] = {
    "color": ((_RED, _NONE, _NONE), (_NONE, _GREEN, _BLUE)),
    "half-color": ((_LUMA, _NONE, _NONE), (_NONE, _GREEN, _BLUE)),
    "gray": ((_LUMA, _NONE, _NONE), (_NONE, _LUMA, _LUMA)),
    "true": ((_LUMA, _NONE, _NONE), (_NONE, _NONE, _LUMA)),
}
"""As `DUBOIS`, on encoded sRGB."""


def anaglyph(left: Image, right: Image, method: AnaglyphMethod = "red-cyan") -> Image:
    """One picture for filter glasses; the left eye looks through the filter that is named first."""
    if method in ("red-cyan", "green-magenta", "amber-blue"):
        linear = _mixed(_to_linear(left), _to_linear(right), DUBOIS[method])
        return _from_linear(linear.clamp(0, 1))
    if method in ("color", "half-color", "gray", "true"):
        return _mixed(left, right, MIXES[method]).clamp(0, 1)
    raise ConfigError(f"expected a method out of {', '.join([*DUBOIS, *MIXES])}, got {method!r}")


def _mixed(left: Image, right: Image, matrices: tuple[Matrix, Matrix]) -> Image:
    from_left, from_right = (_tensor(matrix, left) for matrix in matrices)
    return torch.einsum("oc,bchw->bohw", from_left, left) + torch.einsum("oc,bchw->bohw", from_right, right)


def _tensor(matrix: Matrix, like: Tensor) -> Float[Tensor, "3 3"]:
    return torch.tensor(matrix, dtype=like.dtype, device=like.device)


def _to_linear(srgb: Image) -> Image:
    """IEC 61966-2-1."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def _from_linear(linear: Image) -> Image:
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)
