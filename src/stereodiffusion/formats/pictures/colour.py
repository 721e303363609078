"""Colour management: pictures tagged with another colour space become sRGB.

A profile that moves no colour by more than one level of 255 counts as sRGB and is not applied, so that an
ordinary photograph keeps its exact bytes. A picture without a profile is what it declares by other means (see
`declared`), and else taken to be sRGB; CMYK without one is converted by the plain formula, since nothing is known of
the ink. A profile that is damaged, or for pixels of another kind, is passed over as viewers do, with a `FormatWarning`.
"""

import warnings
from collections.abc import Callable
from io import BytesIO
from typing import TypeAlias, cast

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageCms

from stereodiffusion.errors import FormatWarning
from stereodiffusion.formats.pictures.declared import CODE_POINTS, declared_profile

Convert: TypeAlias = Callable[[Image.Image], Image.Image]
"""A picture, or a part of one, to mode RGB in sRGB; transparency is not looked at."""

_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_PROBE_LEVELS = 17
_DECLARATIONS = ("icc_profile", "gamma", "chromaticity", "srgb", CODE_POINTS)


def converter(picture: Image.Image) -> Convert:
    """What makes the picture, and other pixels of the same kind, sRGB."""
    return _foreign(picture) or _plainly


def has_foreign_profile(picture: Image.Image) -> bool:
    """Whether the picture carries a profile that is not sRGB."""
    return _foreign(picture) is not None


def grey_ramp(picture: Image.Image) -> Float[np.ndarray, "256 3"]:
    """What the 256 levels of a grey picture are in sRGB; finer levels lie between them."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    ramp.info.update({name: picture.info[name] for name in _DECLARATIONS if name in picture.info})
    return np.asarray(converter(ramp)(ramp))[0] / np.float32(255)


def _plainly(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB")


def _foreign(picture: Image.Image) -> Convert | None:
    """What applies the picture's profile; None if it has none, or one that is sRGB, or that cannot be used."""
    content = declared_profile(picture)
    try:
        if content is not None:
            profile = ImageCms.ImageCmsProfile(BytesIO(content))
        elif picture.mode == "LAB":
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            return None
        mode = _mode_for(profile, picture)
        transform = _transform(profile, mode)
    except (OSError, ValueError, ImageCms.PyCMSError) as unfit:
        warnings.warn(f"the embedded colour profile is passed over: {unfit}", FormatWarning, stacklevel=2)
        return None if picture.mode != "LAB" else _foreign(_bare(picture))
    if mode == "RGB" and _is_srgb(transform):
        return None
    return lambda part: _apply(transform, part.convert(mode))


def _bare(picture: Image.Image) -> Image.Image:
    return Image.new(picture.mode, (1, 1))


def _mode_for(profile: ImageCms.ImageCmsProfile, picture: Image.Image) -> str:
    """The Pillow mode in which the profile takes this picture's colours."""
    space = cast(str, getattr(profile.profile, "xcolor_space", "unknown")).strip()
    mode = _MODE_OF_SPACE.get(space)
    colour = picture.mode if picture.mode in {"CMYK", "LAB"} else "RGB"
    is_grey = picture.mode in {"1", "L", "LA"} or picture.mode.startswith("I;16")
    if mode is not None and (mode == colour or (mode == "L" and is_grey)):
        return mode
    raise ValueError(f"it is for {space} pixels, the picture has {picture.mode}")


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        # LittleCMS's optimised tables are up to 10 levels wrong on linear grey.
        ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE,
    )


def _apply(transform: ImageCms.ImageCmsTransform, picture: Image.Image) -> Image.Image:
    return cast(Image.Image, ImageCms.applyTransform(picture, transform))  # None only when asked to work in place


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    levels = np.linspace(0, 255, _PROBE_LEVELS).round().astype(np.uint8)
    probe: UInt8[np.ndarray, "n 1 3"] = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
    moved = np.asarray(_apply(transform, Image.fromarray(probe)))
    return int(np.abs(moved.astype(np.int16) - probe).max()) <= 1
