"""What a seed stands for: the noise that a picture starts from, and all other noise that is added.

Drawn on the CPU, so that a seed means the same everywhere; picture k of a batch draws from `seed + k`, so that it
is the picture that the seed gives alone.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.consistency import AddedNoise
from stereodiffusion.settings import STOCHASTIC, Sampling
from stereodiffusion.types import Latent


def seeded_noise(
    backbone: Backbone, seed: int, count: int, size: tuple[int, int]
) -> tuple[Latent, Float[Tensor, "b c h w"]]:
    """The noise that sampling starts from, and the fresh noise of Eq. 8.

    Args:
        backbone: The model.
        seed: Of the first picture.
        count: Of pictures.
        size: (height, width) in pixels.
    """
    start, fresh = _drawn(backbone, seed, count, size, 2)
    return start, fresh


def added_noise(
    backbone: Backbone, seed: int, count: int, size: tuple[int, int], sampling: Sampling
) -> AddedNoise | None:
    """What a stochastic solver adds after its steps, None for the others.

    It is drawn after `seeded_noise` from the same generators.
    """
    if sampling.solver not in STOCHASTIC:
        return None
    source, own = _drawn(backbone, seed, count, size, 2 + 2 * sampling.steps)[2:].chunk(2)
    return AddedNoise(source=source, own=own)


def _drawn(backbone: Backbone, seed: int, count: int, size: tuple[int, int], number: int) -> Float[Tensor, "n b c h w"]:
    cell = backbone.pixels_per_latent
    shape = (number, 1, backbone.latent_channels, size[0] // cell, size[1] // cell)
    draws = [torch.Generator().manual_seed(seed + k) for k in range(count)]
    drawn = [torch.randn(shape, generator=each, dtype=torch.float32) for each in draws]
    return torch.cat(drawn, dim=1).to(backbone.device)
