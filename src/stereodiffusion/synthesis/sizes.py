"""The sizes at which pictures are worked on."""

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.errors import ConfigError
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.types import Latent

_LARGE = 4  # times the pixels that a model was trained at: beyond it, people are told what to expect
_LARGEST = 64  # and beyond this, attention takes hours or more memory than there is


def working_size(height: int, width: int, backbone: Backbone) -> tuple[int, int]:
    """(height, width) at which a picture of another size is worked on.

    As many pixels as the model was trained at, the picture's aspect ratio, whole patches of cells.
    """
    native_height, native_width = backbone.native_size
    scale = (native_height * native_width / (height * width)) ** 0.5
    cell = backbone.pixels_per_latent * backbone.patch

    def whole(length: int) -> int:
        return max(cell, round(length * scale / cell) * cell)

    return whole(height), whole(width)


def check_size(size: tuple[int, int], backbone: Backbone, estimator: DepthEstimator) -> None:
    """Refuse sizes that are not whole patches, too small for what estimates the depth of the picture, or far too large.

    Raises:
        ConfigError: If height or width is not a positive multiple of the model's patch, or below the estimator's least,
            or if both make more than 64 times the pixels that the model was trained at.
    """
    cell = backbone.pixels_per_latent * backbone.patch
    if any(length < cell or length % cell for length in size):
        raise ConfigError(f"{backbone.name} needs sides that are multiples of {cell}, got {size[0]}x{size[1]}")
    least = estimator.least_side
    if min(size) < least:
        raise ConfigError(f"{estimator.name} needs sides of at least {least} pixels, got {size[0]}x{size[1]}")
    if _times_native(size, backbone) > _LARGEST:
        raise ConfigError(
            f"{backbone.name} was trained at {_native(backbone)} and draws up to {_LARGEST} times as many pixels, got "
            f"{size[0]}x{size[1]}, {_times_native(size, backbone):.0f} times as many"
        )


def cost_of(size: tuple[int, int], backbone: Backbone) -> str | None:
    """A line on what a size far beyond the model's own costs; None for other sizes."""
    times = _times_native(size, backbone)
    if times <= _LARGE:
        return None
    return (
        f"{size[0]}x{size[1]} is {times:.0f} times the pixels that {backbone.name} was trained at "
        f"({_native(backbone)}): each step takes {times:.0f} to {times**2:.0f} times as long, and things may repeat"
    )


def _native(backbone: Backbone) -> str:
    return f"{backbone.native_size[0]}x{backbone.native_size[1]}"


def _times_native(size: tuple[int, int], backbone: Backbone) -> float:
    native_height, native_width = backbone.native_size
    return size[0] * size[1] / (native_height * native_width)


def grid_of(latents: Latent) -> tuple[int, int]:
    """(height, width) of latents in cells."""
    return latents.shape[2], latents.shape[3]
