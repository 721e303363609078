"""Which noise levels the denoising visits, and the arithmetic of latents at them.

At every level latents are a mixture of what is clean and of noise, x_t = signal x_0 + noise ε. A `Schedule` says in
which proportions and what the network's output means there, and is all that loops, solvers and the shift know of it.
There are two kinds: `VariancePreserving` here, signal² + noise² = 1 (Stable Diffusion 1, 2 and XL, the paper's), and
`FlowMatching` in `stereodiffusion.diffusion.flow`, signal + noise = 1 (Stable Diffusion 3, FLUX).

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
from math import sqrt
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Sampling
from stereodiffusion.types import Latent

Prediction: TypeAlias = Literal["epsilon", "v_prediction", "flow_prediction"]
"""What a network was trained to predict: the noise ε, v = √ᾱ_t ε - √(1-ᾱ_t) x_0 (Salimans & Ho 2022), or the velocity
ε - x_0 of a flow (Liu et al. 2023)."""

NoisePrediction: TypeAlias = Literal["epsilon", "v_prediction"]
"""Those of them that say the noise at levels ᾱ."""

_LEAST: Final = 2.0**-24


class Level(NamedTuple):
    """A noise level: x_t = signal x_0 + noise ε, with ε of N(0, 1)."""

    signal: float
    noise: float


@runtime_checkable
class Schedule(Protocol):
    """The visited levels, n + 1 of them from noisy to clean; step i leads from level i to level i + 1."""

    @property
    def timesteps(self) -> tuple[float, ...]:
        """What the network is told of the level before each sampling step, falling; n of them."""
        ...

    @property
    def steps(self) -> int:
        """Number of sampling steps n."""
        ...

    def through(self, levels: Sequence[int]) -> "Schedule":
        """The steps that visit some of the levels alone, from the first of them to the last."""
        ...

    def level(self, index: int) -> Level:
        """The proportions at a level."""
        ...

    def predicted(self, output: Latent, x_t: Latent, index: int, prediction: Prediction) -> Latent:
        """A network's output at level `index`, in the form by which steps are taken: the noise, or the velocity."""
        ...

    def clean(self, x_t: Latent, predicted: Latent, index: int) -> Latent:
        """The x_0 that a prediction at level `index` means."""
        ...

    def moved(self, x_t: Latent, predicted: Latent, index: int, to: int) -> Latent:
        """Latents at level `to`, on the straight line from level `index` that a prediction there draws.

        It denoises where `to` is above `index`, and inverts where it is below.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VariancePreserving:
    """The levels of a model that was trained with ᾱ_t: x_t = √ᾱ x_0 + √(1-ᾱ) ε (Eq. 4). Steps are taken by the noise.

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

    def through(self, levels: Sequence[int]) -> "VariancePreserving":
        """The steps that visit some of the levels alone, from the first of them to the last."""
        return VariancePreserving(
            timesteps=tuple(self.timesteps[level] for level in levels[:-1]),
            alphas=tuple(self.alphas[level] for level in levels),
        )

    def level(self, index: int) -> Level:
        """√ᾱ and √(1-ᾱ)."""
        alpha = self.alphas[index]
        return Level(signal=sqrt(alpha), noise=sqrt(1 - alpha))

    def predicted(self, output: Latent, x_t: Latent, index: int, prediction: Prediction) -> Latent:
        """The noise ε."""
        return noise_of(output, x_t, self.alphas[index], prediction)

    def clean(self, x_t: Latent, predicted: Latent, index: int) -> Latent:
        """The first bracket of Eq. 1."""
        return clean_of(x_t, predicted, self.alphas[index])

    def moved(self, x_t: Latent, predicted: Latent, index: int, to: int) -> Latent:
        """Eq. 1 with σ = 0, and Eq. 9."""
        return ddim_step(x_t, predicted, self.alphas[index], self.alphas[to])


def noise_of(output: Latent, x_t: Latent, alpha_t: float, prediction: Prediction) -> Latent:
    """The noise ε that a network output stands for.

    v = √ᾱ ε - √(1-ᾱ) x_0 and x_t = √ᾱ x_0 + √(1-ᾱ) ε together give ε = √ᾱ v + √(1-ᾱ) x_t.

    Raises:
        ConfigError: If the network predicts the velocity of a flow, which has levels of its own.
    """
    if prediction == "epsilon":
        return output
    if prediction == "flow_prediction":
        raise ConfigError("expected a network that predicts noise or v at levels ᾱ, got one of flow matching")
    return sqrt(alpha_t) * output + sqrt(1 - alpha_t) * x_t


def clean_of(x_t: Latent, noise: Latent, alpha_t: float) -> Latent:
    """Predicted x_0: the first bracket of Eq. 1."""
    return (x_t - sqrt(1 - alpha_t) * noise) / sqrt(alpha_t)


def ddim_step(x_t: Latent, noise: Latent, alpha_t: float, alpha_s: float) -> Latent:
    """From level ᾱ_t to level ᾱ_s along the deterministic path: Eq. 1 with σ = 0, and Eq. 9.

    Args:
        x_t: Latents at level `alpha_t`.
        noise: Predicted ε.
        alpha_t: ᾱ where we are.
        alpha_s: ᾱ where we go: larger to denoise, smaller to invert.
    """
    return sqrt(alpha_s) * clean_of(x_t, noise, alpha_t) + sqrt(1 - alpha_s) * noise


def preserving_schedule(alphas: Float[Tensor, " t"], sampling: Sampling) -> VariancePreserving:
    """The schedule that the settings ask for.

    Args:
        alphas: ᾱ_t of every training step.
        sampling: Steps, spacing and offset; a consistency model has a spacing of its own.

    Raises:
        ConfigError: If there are more steps than levels to visit.
    """
    if sampling.solver == "lcm":
        return consistency_schedule(alphas, sampling.steps)
    if sampling.spacing == "trailing":
        return trailing_schedule(alphas, sampling.steps)
    return ddim_schedule(alphas, sampling.steps, offset=sampling.offset)


def ddim_schedule(alphas: Float[Tensor, " t"], steps: int, *, offset: int = 1) -> VariancePreserving:
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
    return VariancePreserving(timesteps=timesteps, alphas=(*visited, float(levels[0])))


def trailing_schedule(alphas: Float[Tensor, " t"], steps: int) -> VariancePreserving:
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
    return VariancePreserving(timesteps=timesteps, alphas=(*(float(levels[t]) for t in timesteps), 1.0))


def consistency_schedule(alphas: Float[Tensor, " t"], steps: int, *, distilled: int = 50) -> VariancePreserving:
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
    return VariancePreserving(timesteps=timesteps, alphas=(*(float(levels[t]) for t in timesteps), 1.0))


def _levels(alphas: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    return alphas.double().clamp(min=_LEAST)


def scaled_linear_alphas(
    *, beta_start: float = 0.00085, beta_end: float = 0.012, count: int = 1000
) -> Float[Tensor, " t"]:
    """ᾱ_t of Stable Diffusion: the square roots of β_t are evenly spaced, ᾱ_t = Π (1 - β_i)."""
    betas = torch.linspace(beta_start**0.5, beta_end**0.5, count, dtype=torch.float32) ** 2
    return torch.cumprod(1.0 - betas, dim=0)
