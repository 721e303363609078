"""Colour management: pictures tagged with another colour space become sRGB.

A profile that moves no colour by more than one level of 255 counts as sRGB and is not applied, so that an
ordinary photograph keeps its exact bytes. A picture without a profile is taken to be sRGB; CMYK without one is
converted by the plain formula, since nothing is known of the ink.
"""

from io import BytesIO
from typing import cast

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageCms

from stereodiffusion.errors import FormatError

_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_PROBE_LEVELS = 17


def to_srgb(picture: Image.Image) -> Image.Image:
    """The picture in mode RGB; transparency is not looked at."""
    profile = _profile(picture)
    if profile is None:
        return picture.convert("RGB")
    mode = _mode_for(profile, picture)
    if mode == "RGB" and _is_srgb(profile):
        return picture.convert("RGB")
    return _apply(_transform(profile, mode), picture.convert(mode))


def has_foreign_profile(picture: Image.Image) -> bool:
    """Whether the picture carries a profile that is not sRGB."""
    profile = _profile(picture)
    return profile is not None and not (_mode_for(profile, picture) == "RGB" and _is_srgb(profile))


def grey_ramp(picture: Image.Image) -> Float[np.ndarray, "256 3"]:
    """What the 256 levels of a grey picture are in sRGB; finer levels lie between them."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    if "icc_profile" in picture.info:
        ramp.info["icc_profile"] = picture.info["icc_profile"]
    return np.asarray(to_srgb(ramp))[0] / np.float32(255)


def _profile(picture: Image.Image) -> ImageCms.ImageCmsProfile | None:
    embedded = cast(bytes | None, picture.info.get("icc_profile"))
    if embedded:
        try:
            return ImageCms.ImageCmsProfile(BytesIO(embedded))
        except (OSError, ImageCms.PyCMSError) as broken:
            raise FormatError(f"the embedded colour profile is damaged: {broken}") from broken
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")) if picture.mode == "LAB" else None


def _mode_for(profile: ImageCms.ImageCmsProfile, picture: Image.Image) -> str:
    """The Pillow mode in which the profile takes this picture's colours."""
    space = cast(str, getattr(profile.profile, "xcolor_space", "unknown")).strip()
    mode = _MODE_OF_SPACE.get(space)
    colour = picture.mode if picture.mode in {"CMYK", "LAB"} else "RGB"
    is_grey = picture.mode in {"1", "L", "LA"} or picture.mode.startswith("I;16")
    if mode is not None and (mode == colour or (mode == "L" and is_grey)):
        return mode
    raise FormatError(f"the embedded colour profile is for {space} pixels, the picture has {picture.mode}")


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    try:
        return ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # LittleCMS's optimised tables are up to 10 levels wrong on linear grey.
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE,
        )
    except ImageCms.PyCMSError as broken:
        raise FormatError(f"the embedded colour profile cannot be used: {broken}") from broken


def _apply(transform: ImageCms.ImageCmsTransform, picture: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(picture, transform)
    if converted is None:  # only when asked to work in place
        raise FormatError("the colour profile could not be applied")
    return converted


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    levels = np.linspace(0, 255, _PROBE_LEVELS).round().astype(np.uint8)
    probe: UInt8[np.ndarray, "n 1 3"] = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
    moved = np.asarray(_apply(_transform(profile, "RGB"), Image.fromarray(probe)))
    return int(np.abs(moved.astype(np.int16) - probe).max()) <= 1
