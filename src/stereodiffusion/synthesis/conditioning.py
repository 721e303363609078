"""What the noise prediction is given: prompts after the text encoder, guidance step by step, relative inverse depth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import interpolate

from stereodiffusion.diffusion.backbone import Backbone, Concat
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import Settings
from stereodiffusion.types import Map

_ROUNDINGS = 16  # of one value, that bicubic interpolation makes of equal ones at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """What is asked for in words, and the seed of its noise.

    Attributes:
        prompts: One per picture.
        negative: What to steer away from.
        seed: Picture k draws its noise from `seed + k`.
    """

    prompts: Sequence[str]
    negative: str = ""
    seed: int = 0

    def facts(self) -> dict[str, object]:
        """The same, as it is written beside a picture."""
        return {"prompt": list(self.prompts), "negative": self.negative, "seed": self.seed}


def condition(backbone: Backbone, asked: Prompted, guidance: float, *, concat: Concat | None = None) -> Conditioning:
    """Embed prompts. Guidance towards the negative prompt itself, or with w = 1, has no effect and is left out.

    Raises:
        ConfigError: If there is a negative prompt for a model that has its guidance built in.
        PromptError: If a prompt cannot be encoded.
    """
    prompts, negative = asked.prompts, asked.negative
    embedding = backbone.embed(prompts)
    if backbone.guidance_built_in:
        if negative:
            raise ConfigError(
                f"{backbone.name} has its guidance built in and takes no negative prompt: got {negative!r}"
            )
        return Conditioning(embedding=replace(embedding, guidance=guidance), concat=concat)
    if guidance == 1:
        return Conditioning(embedding=embedding, concat=concat)
    unconditional = backbone.embed([negative] * len(prompts), unconditional=True)
    if torch.equal(unconditional.tokens, embedding.tokens):
        return Conditioning(embedding=embedding, concat=concat)
    return Conditioning(embedding=embedding, unconditional=unconditional, guidance=guidance, concat=concat)


def over_steps(given: Conditioning, settings: Settings) -> list[Conditioning]:
    """One conditioning per step: guided where the settings want guidance, elsewhere by the prompt alone."""
    unguided = replace(given, unconditional=None, guidance=1.0)
    guided = settings.guidance_indices
    return [given if index in guided else unguided for index in range(settings.sampling.steps)]


def depth_condition(disparity: Disparity, grid: tuple[int, int], *, like: Disparity | None = None) -> Map:
    """A depth map as SD2-depth wants it: relative inverse depth on the latent grid, the range mapped to [-1, 1].

    Args:
        disparity: Dense, of the picture, on any grid.
        grid: (height, width) of the latents.
        like: Take the range of this map, which is on the same grid, instead, so that two views of a scene agree.
    """

    def on_latents(given: Disparity) -> Map:
        return interpolate(given.pixels, size=grid, mode="bicubic", align_corners=False)

    reference = on_latents(disparity if like is None else like)
    low, high = reference.amin((1, 2, 3), keepdim=True), reference.amax((1, 2, 3), keepdim=True)
    rounding = _ROUNDINGS * torch.finfo(reference.dtype).eps * torch.maximum(low.abs(), high.abs())
    span = torch.where(high - low > rounding, high - low, torch.inf)  # a flat map has no relief: all of it is far
    return (2 * (on_latents(disparity) - low) / span - 1).clamp(-1, 1)
