"""From a pair to the bytes of a file: a function (eyes, suffix, settings) for every output format."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.formats.eyes import BASELINE_M, FIELD_OF_VIEW_DEG, Eyes
from stereodiffusion.formats.layouts.anaglyph import AnaglyphMethod, anaglyph
from stereodiffusion.formats.layouts.rgbd import nearness
from stereodiffusion.formats.layouts.sbs import side_by_side
from stereodiffusion.formats.pictures.image import encode_image
from stereodiffusion.formats.stereo.jps import encode_jps
from stereodiffusion.formats.stereo.mpo import encode_mpo
from stereodiffusion.formats.stereo.projection import to_sphere
from stereodiffusion.formats.stereo.spatial import Cameras, encode_spatial
from stereodiffusion.formats.stereo.video import encode_video
from stereodiffusion.formats.stereo.vr180 import encode_vr180
from stereodiffusion.formats.stereo.wiggle import encode_wiggle

Picture: TypeAlias = Float[Tensor, "1 _channels _h _w"]
Settings: TypeAlias = Mapping[str, object]
Encode: TypeAlias = Callable[[Eyes, str, Settings], bytes]
"""(eyes, suffix, settings) -> the content of the file."""

STEREO = "stereo"
"""Under this name the settings in a file keep what a reader of its picture cannot see: see `with_facts`."""


def with_facts(settings: Settings, **facts: object) -> Settings:
    """Settings with what is known of the pair beside its pictures.

    The names are `size` (of an eye: height, width), `field_of_view_deg`, `baseline_m` and `disparity_px` (of RGBD: what
    black and white stand for). What is None is left out.
    """
    known = {name: fact for name, fact in facts.items() if fact is not None}
    before = settings.get(STEREO)
    return {**settings, STEREO: {**(before if isinstance(before, dict) else {}), **known}} if known else settings


def in_one(compose: Callable[[Picture, Picture], Picture]) -> Encode:
    """Both eyes in one still picture, alpha and all."""

    def encoded(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
        return encode_image(compose(*eyes.both), suffix, settings, exif=eyes.exif)

    return encoded


def halved(compose: Callable[[Picture, Picture], Picture], side: Literal["height", "width"]) -> Encode:
    """As `in_one`; of an odd side, to which a half frame adds a pixel, the size is told."""

    def encoded(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
        if eyes.size[side == "width"] % 2:
            settings = with_facts(settings, size=list(eyes.size))
        return in_one(compose)(eyes, suffix, settings)

    return encoded


def in_glasses(method: AnaglyphMethod) -> Encode:
    """An anaglyph."""

    def encoded(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
        left, right = eyes.opaque().both
        return encode_image(anaglyph(left, right, method), suffix, settings, exif=eyes.exif)

    return encoded


def beside_depth(size: Literal["full", "half"]) -> Encode:
    """The left eye beside its depth."""

    def encoded(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
        depth, relief = nearness(eyes.disparity)
        near = depth.expand(-1, 3, -1, -1).to(eyes.left)
        if eyes.has_alpha:
            near = torch.cat([near, torch.ones_like(near[:, :1])], dim=1)
        facts = with_facts(settings, disparity_px=[relief.far_px, relief.near_px], size=list(eyes.size))
        return encode_image(side_by_side(eyes.left, near, size), suffix, facts, exif=eyes.exif)

    return encoded


def vr180(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """A VR180 photo."""
    left, right, facts = _on_spheres(eyes, settings)
    return encode_vr180(left, right, facts, exif=eyes.exif)


def vr180_beside(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """The two half spheres side by side."""
    left, right, facts = _on_spheres(eyes, settings)
    return encode_image(side_by_side(left, right), suffix, facts, exif=eyes.exif)


def mpo(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """The file of 3D cameras."""
    return encode_mpo(*eyes.both, settings, baseline_m=eyes.baseline_m, exif=eyes.exif)


def jps(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """A stereo JPEG."""
    return encode_jps(*eyes.both, settings, exif=eyes.exif)


def spatial(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """A spatial photo; of cameras of which nothing is known the usual is said."""
    cameras = Cameras(eyes.field_of_view_deg or FIELD_OF_VIEW_DEG, eyes.baseline_m or BASELINE_M)
    return encode_spatial(*eyes.opaque().both, settings, cameras=cameras, exif=eyes.exif)


def wiggle(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """The eyes by turns."""
    match suffix.lower():
        case ".gif":
            return encode_wiggle(eyes.opaque().both, ".gif", settings)
        case ".webp":
            return encode_wiggle(eyes.both, ".webp", settings)
        case ".mp4":
            return encode_video(eyes.opaque().both, ".mp4", settings)
        case _:
            return encode_video(eyes.opaque().both, ".webm", settings)


def left(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """The left eye alone."""
    return encode_image(eyes.left, suffix, settings, exif=eyes.exif)


def right(eyes: Eyes, suffix: str, settings: Settings) -> bytes:
    """The right eye alone."""
    return encode_image(eyes.both[1], suffix, settings, exif=eyes.exif)


def _on_spheres(eyes: Eyes, settings: Settings) -> tuple[Picture, Picture, Settings]:
    """Both eyes as half spheres, and the settings with what brings them back."""
    angle = eyes.field_of_view_deg or FIELD_OF_VIEW_DEG
    left_sphere, right_sphere = (to_sphere(eye, angle) for eye in eyes.opaque().both)
    return left_sphere, right_sphere, with_facts(settings, field_of_view_deg=angle, size=list(eyes.size))
