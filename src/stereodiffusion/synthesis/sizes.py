"""The sizes at which pictures are worked on."""

from stereodiffusion.depth import DepthEstimator
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.errors import ConfigError
from stereodiffusion.types import Latent


def working_size(height: int, width: int, backbone: Backbone) -> tuple[int, int]:
    """(height, width) at which a picture of another size is worked on.

    As many pixels as the model was trained at, the picture's aspect ratio, whole cells.
    """
    native_height, native_width = backbone.native_size
    scale = (native_height * native_width / (height * width)) ** 0.5
    cell = backbone.pixels_per_latent

    def whole(length: int) -> int:
        return max(cell, round(length * scale / cell) * cell)

    return whole(height), whole(width)


def check_size(size: tuple[int, int], backbone: Backbone, estimator: DepthEstimator) -> None:
    """Refuse sizes that are not whole cells, or too small for what estimates the depth of the picture.

    Raises:
        ConfigError: If height or width is not a positive multiple of the model's cell, or below the estimator's least.
    """
    cell = backbone.pixels_per_latent
    if any(length < cell or length % cell for length in size):
        raise ConfigError(f"{backbone.name} needs sides that are multiples of {cell}, got {size[0]}x{size[1]}")
    least = estimator.least_side
    if min(size) < least:
        raise ConfigError(f"{estimator.name} needs sides of at least {least} pixels, got {size[0]}x{size[1]}")


def grid_of(latents: Latent) -> tuple[int, int]:
    """(height, width) of latents in cells."""
    return latents.shape[2], latents.shape[3]
