"""Decoded levels of a picture, and their way to a tensor: profile, precision and transparency.

It goes band by band, so that beside the levels and the tensor little is in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from PIL import Image
from torch import Tensor

from stereodiffusion.formats.pictures import colour
from stereodiffusion.geometry import bands

Levels: TypeAlias = UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"]
Alpha: TypeAlias = UInt8[np.ndarray, "h w 1"] | UInt16[np.ndarray, "h w 1"]
Colour: TypeAlias = UInt8[np.ndarray, "rows w 3"] | Float[np.ndarray, "rows w 3"]
Composed: TypeAlias = UInt8[np.ndarray, "rows w channels"] | Float[np.ndarray, "rows w channels"]
"""sRGB as levels of 255 or in [0, 1]: colour, or colour and alpha."""

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}

_CELLS = 1 << 18  # of a band, of which there are several copies of up to four channels at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raster:
    """Levels as a file holds them, upright, of 8 or 16 bits.

    Attributes:
        levels: Grey, RGB or CMYK (0 is no ink), told apart by the number of channels.
        alpha: How opaque each pixel is, of the same type; None if all are.
        premultiplied: Whether the levels are multiplied by alpha.
        profile: The ICC profile.
    """

    levels: Levels
    alpha: Alpha | None = None
    premultiplied: bool = False
    profile: bytes | None = None


def tensor_of_raster(raster: Raster, *, keeps_alpha: bool = False) -> Float[Tensor, "1 channels h w"]:
    """The picture as sRGB in [0, 1]; what is transparent as `assembled` has it."""
    sample = Image.new(_MODES[raster.levels.shape[2]], (1, 1))
    if raster.profile is not None:
        sample.info["icc_profile"] = raster.profile
    convert = _deep(sample) if raster.levels.dtype == np.uint16 else _shallow(sample)

    def compose(rows: slice) -> Composed:
        levels = raster.levels[rows]
        if raster.alpha is None:
            return convert(levels)
        alpha = raster.alpha[rows]
        if raster.premultiplied:
            levels = _divided(levels, alpha)
        return _joined(convert(levels), alpha)

    return assembled(raster.levels.shape[0], raster.levels.shape[1], compose, keeps_alpha=keeps_alpha)


def assembled(
    height: int, width: int, compose: Callable[[slice], Composed], *, keeps_alpha: bool = False
) -> Float[Tensor, "1 channels height width"]:
    """A picture from its rows: laid over white where it is transparent, or with alpha as a fourth channel."""
    picture = torch.empty(1, 3, height, width, dtype=torch.float32)
    for band in bands(height, width, cells=_CELLS):
        stored = torch.from_numpy(compose(band.rows).transpose(2, 0, 1).copy())
        unit = stored.float() / 255 if stored.dtype == torch.uint8 else stored
        if keeps_alpha and len(unit) == 4:
            if picture.shape[1] == 3:  # the first rows of a picture that has alpha
                picture = torch.empty(1, 4, height, width, dtype=torch.float32)
            picture[0, :, band.rows] = unit
        else:
            picture[0, :, band.rows] = unit if len(unit) == 3 else over_white(unit[None])[0]
    return picture


def over_white(picture: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b 3 h w"]:
    """The colours of a picture on white paper; a picture without alpha is what it is."""
    if picture.shape[1] == 3:
        return picture
    colours, alpha = picture[:, :3], picture[:, 3:]
    return colours * alpha + (1 - alpha)


def deep_grey(levels: UInt16[np.ndarray, "h w"], ramp: Float[np.ndarray, "256 3"]) -> Float[np.ndarray, "h w 3"]:
    """16-bit grey in [0, 1], between the colours that the ramp gives to 256 levels."""
    at = np.linspace(0, 65535, len(ramp))
    values = levels.astype(np.float32)
    return np.stack([np.interp(values, at, ramp[:, c]).astype(np.float32) for c in range(3)], axis=-1)


def _shallow(sample: Image.Image) -> Callable[[Levels], Colour]:
    convert = colour.converter(sample)

    def read(levels: Levels) -> Colour:
        height, width = levels.shape[:2]
        return np.asarray(convert(Image.frombytes(sample.mode, (width, height), levels.tobytes())))

    return read


def _deep(sample: Image.Image) -> Callable[[Levels], Colour]:
    """In full precision, except through a profile and of CMYK, which are 8-bit."""
    if sample.mode == "L":
        ramp = colour.grey_ramp(sample)
        return lambda levels: deep_grey(levels[..., 0], ramp)
    if sample.mode == "RGB" and not colour.has_foreign_profile(sample):
        return lambda levels: levels / np.float32(65535)
    shallow = _shallow(sample)
    return lambda levels: shallow((levels >> 8).astype(np.uint8))


def _divided(levels: Levels, alpha: Alpha) -> Levels:
    """Colours that were multiplied by alpha, as they were before."""
    most = np.iinfo(levels.dtype).max
    quotient = levels.astype(np.float32) * most / np.maximum(alpha, 1)
    return np.minimum(np.rint(quotient), most).astype(levels.dtype)


def _joined(pixels: Colour, alpha: Alpha) -> Composed:
    if pixels.dtype == np.uint8 and alpha.dtype == np.uint8:
        return np.concatenate([pixels, alpha], axis=-1)
    unit = [part / np.float32(np.iinfo(part.dtype).max) if part.dtype.kind == "u" else part for part in (pixels, alpha)]
    return cast(Composed, np.concatenate(unit, axis=-1))
