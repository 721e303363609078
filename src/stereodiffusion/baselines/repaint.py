"""RePaint (Lugmayr et al., CVPR 2022): inpainting with an unconditional diffusion model, by resampling.

Algorithm 1: every ancestral step draws the unknown cells from the model and the known ones from the noised picture,
and joins them. Since the two do not know of each other, the walk goes back: after `jump` steps down it climbs `jump`
steps up by adding noise, `resamplings` times in all, so that the unknown has time to fit the known.

Here the walk is in the latent space of the model at hand, as the StereoDiffusion paper compares with. The published
networks learnt their variance; Stable Diffusion did not, so a step has the posterior's, β̃ (of Ho et al. 2020).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning, Step, predict
from stereodiffusion.diffusion.schedule import VariancePreserving, clean_of
from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.settings import Sampling
from stereodiffusion.types import Latent, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class RePaintSettings:
    """The walk through the noise levels; the defaults are the published ones, 2410 network evaluations.

    Attributes:
        steps: Noise levels T that are visited, of the training steps.
        jump: Steps that are gone up at once, j.
        resamplings: How often each stretch of `jump` steps is gone down, r; 1 never goes up.
    """

    steps: int = 250
    jump: int = 10
    resamplings: int = 10

    def __post_init__(self) -> None:
        for field in ("steps", "jump", "resamplings"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field} must be at least 1, got {getattr(self, field)}")

    @property
    def evaluations(self) -> int:
        """Network evaluations of the whole walk, per latent."""
        places = len(range(0, self.steps - self.jump, self.jump))
        return self.steps + places * (self.resamplings - 1) * self.jump


SHORT_WALK = RePaintSettings(steps=50, jump=5, resamplings=3)
"""A walk for machines without a graphics card: 140 evaluations. Fewer returns, so rougher seams."""


def jump_levels(settings: RePaintSettings) -> tuple[int, ...]:
    """Noise levels in the order in which they are visited, from `steps` (pure noise) to 0 (clean).

    Neighbours differ by one. The published `get_schedule_jump` counts from -1, where the latents are clean.
    """
    returns = dict.fromkeys(range(1, settings.steps - settings.jump + 1, settings.jump), settings.resamplings - 1)
    level = settings.steps
    visited = [level]
    while level > 0:
        level -= 1
        visited.append(level)
        if returns.get(level, 0) > 0:
            returns[level] -= 1
            visited.extend(range(level + 1, level + settings.jump + 1))
            level += settings.jump
    return tuple(visited)


def repaint(
    backbone: Backbone,
    z_0: Latent,
    visible: Region,
    given: Conditioning,
    generator: torch.Generator,
    settings: RePaintSettings = RePaintSettings(),
) -> Iterator[Step]:
    """Fill what is not visible.

    Args:
        backbone: The model.
        z_0: Clean latents of the picture, (b, c, h, w); only their visible cells are used.
        visible: The cells that are known, on the latent grid, (b, 1, h, w).
        given: Conditioning of every step.
        generator: On the CPU, so that a seed means the same everywhere.
        settings: The walk.

    Yields:
        A `Step` for every move down or up; moves up cost nothing. The last one's visible cells are those of `z_0`.

    Raises:
        ConfigError: If there are more steps than training steps.
        ModelError: If the model is one of flow matching.
    """
    schedule = backbone.schedule(Sampling(steps=settings.steps, offset=0), (z_0.shape[2], z_0.shape[3]))
    if not isinstance(schedule, VariancePreserving):
        raise ModelError(f"RePaint draws from the posterior of levels ᾱ: {backbone.name} has none (flow matching)")
    timesteps = (0, *reversed(schedule.timesteps))  # by level; what is clean has no training step
    alphas = (1.0, *reversed(schedule.alphas[:-1]))

    def draw() -> Latent:
        return torch.randn(z_0.shape, generator=generator, dtype=torch.float32).to(z_0)

    x_t = draw()
    for index, (here, there) in enumerate(pairwise(jump_levels(settings))):
        alpha_t, alpha_s = alphas[here], alphas[there]
        if there > here:
            x_t, evaluations = diffuse(x_t, alpha_t, alpha_s, draw()), 0
        else:
            with torch.no_grad():
                noise = predict(backbone, x_t, given, schedule, settings.steps - here)
            unknown = ancestral_step(x_t, noise, alpha_t, alpha_s, draw())
            known = diffuse(z_0, 1.0, alpha_s, draw())
            x_t, evaluations = torch.where(visible, known, unknown), given.branches * len(x_t)
        yield Step(index=index, timestep=timesteps[max(here, there)], latents=x_t, evaluations=evaluations)


def ancestral_step(x_t: Latent, noise: Latent, alpha_t: float, alpha_s: float, fresh: Latent) -> Latent:
    """One step of DDPM from level ᾱ_t down to ᾱ_s: a draw from q(x_s | x_t, x_0) (Ho et al. 2020, Eq. 6 and 7).

    Args:
        x_t: Latents at level `alpha_t`.
        noise: Predicted ε.
        alpha_t: ᾱ where we are.
        alpha_s: ᾱ where we go, larger; 1 is clean, and is reached without fresh noise.
        fresh: N(0, 1).
    """
    alpha = alpha_t / alpha_s
    share = (1 - alpha) / (1 - alpha_t)
    mean = sqrt(alpha_s) * share * clean_of(x_t, noise, alpha_t)
    mean = mean + sqrt(alpha) * (1 - alpha_s) / (1 - alpha_t) * x_t
    return mean + sqrt(share * (1 - alpha_s)) * fresh


def diffuse(x_s: Latent, alpha_s: float, alpha_t: float, fresh: Latent) -> Latent:
    """Up from level ᾱ_s to the noisier ᾱ_t: a draw from q(x_t | x_s) (Ho et al. 2020, Eq. 2)."""
    alpha = alpha_t / alpha_s
    return sqrt(alpha) * x_s + sqrt(1 - alpha) * fresh
