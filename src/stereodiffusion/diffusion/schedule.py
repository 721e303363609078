"""Which noise levels the denoising visits.

Stable Diffusion's training noise levels are ᾱ_t, t = 0 .. 999 (Eq. 4). Sampling with n steps visits n of them, evenly
spaced, from noisy to clean. "Leading" spacing begins below the noisiest; what follows the last one is ᾱ_0, not 1: the
scheduler configuration `set_alpha_to_one = False` that Stable Diffusion is published with. With offset 0 the last step
is from ᾱ_0 to ᾱ_0 and hence the identity. "Trailing" spacing begins at the noisiest level and ends at what is
clean, ᾱ = 1 (Lin et al. 2024); the fewer the steps, the more that matters.

Schedules that end in pure noise have ᾱ = 0 there, and steps divide by √ᾱ. Such a level counts as 2^-24, as in
diffusers' multistep solvers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import ConfigError

_LEAST: Final = 2.0**-24


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The visited steps.

    Attributes:
        timesteps: Training step t of each sampling step, falling; n of them.
        alphas: ᾱ before each sampling step and, last, after the final one; n + 1 of them, rising.
    """

    timesteps: tuple[int, ...]
    alphas: tuple[float, ...]

    @property
    def steps(self) -> int:
        """Number of sampling steps n."""
        return len(self.timesteps)

    def through(self, levels: Sequence[int]) -> "Schedule":
        """The steps that visit some of the levels alone, from the first of them to the last."""
        return Schedule(
            timesteps=tuple(self.timesteps[level] for level in levels[:-1]),
            alphas=tuple(self.alphas[level] for level in levels),
        )


def ddim_schedule(alphas: Float[Tensor, " t"], steps: int, *, offset: int = 1) -> Schedule:
    """The schedule of DDIM with `steps` steps.

    Args:
        alphas: ᾱ_t of every training step.
        steps: Number of sampling steps, 1 .. len(alphas).
        offset: Added to every visited t: 0 visits 980 ... 0, 1 visits 981 ... 1 (at 50 steps of 1000).

    Raises:
        ConfigError: If there are more steps than training steps.
    """
    if not 1 <= steps <= len(alphas) - offset:
        raise ConfigError(f"steps must be between 1 and {len(alphas) - offset}, got {steps}")
    stride = len(alphas) // steps
    timesteps = tuple(stride * i + offset for i in reversed(range(steps)))
    levels = _levels(alphas)
    visited = [float(levels[t]) for t in timesteps]
    return Schedule(timesteps=timesteps, alphas=(*visited, float(levels[0])))


def trailing_schedule(alphas: Float[Tensor, " t"], steps: int) -> Schedule:
    """The schedule with `steps` steps from the last training step to clean: t = 999, ... at 1000 training steps.

    Args:
        alphas: ᾱ_t of every training step.
        steps: Number of sampling steps, 1 .. len(alphas).

    Raises:
        ConfigError: If there are more steps than training steps.
    """
    if not 1 <= steps <= len(alphas):
        raise ConfigError(f"steps must be between 1 and {len(alphas)}, got {steps}")
    timesteps = tuple(round(len(alphas) - i * len(alphas) / steps) - 1 for i in range(steps))
    levels = _levels(alphas)
    return Schedule(timesteps=timesteps, alphas=(*(float(levels[t]) for t in timesteps), 1.0))


def consistency_schedule(alphas: Float[Tensor, " t"], steps: int, *, distilled: int = 50) -> Schedule:
    """The schedule of a latent consistency model: some of the levels that it was distilled on, the noisiest first.

    Args:
        alphas: ᾱ_t of every training step.
        steps: Number of sampling steps, 1 .. distilled.
        distilled: Number of evenly spaced levels that the model was distilled on (Luo et al. 2023 have 50).

    Raises:
        ConfigError: If there are more steps than such levels.
    """
    if not 1 <= steps <= distilled:
        raise ConfigError(f"steps of a consistency model must be between 1 and {distilled}, got {steps}")
    stride = len(alphas) // distilled
    timesteps = tuple((distilled - distilled * i // steps) * stride - 1 for i in range(steps))
    levels = _levels(alphas)
    return Schedule(timesteps=timesteps, alphas=(*(float(levels[t]) for t in timesteps), 1.0))


def _levels(alphas: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    return alphas.double().clamp(min=_LEAST)


def scaled_linear_alphas(
    *, beta_start: float = 0.00085, beta_end: float = 0.012, count: int = 1000
) -> Float[Tensor, " t"]:
    """ᾱ_t of Stable Diffusion: the square roots of β_t are evenly spaced, ᾱ_t = Π (1 - β_i)."""
    betas = torch.linspace(beta_start**0.5, beta_end**0.5, count) ** 2
    return torch.cumprod(1.0 - betas, dim=0)
