"""Steps through the noise levels, and what a solver remembers between them.

DDIM (Song et al. 2021) with σ = 0 is the same formula whether it leads to a cleaner level (Eq. 1) or to a noisier one
(Eq. 9): predict x_0, then mix it with the predicted noise in the proportions of the new level. It forgets the step
before. Other solvers remember, and what they remember lies on the latent grid as the latents do: whoever moves latents
moves it as well, so it travels beside them, in a `State`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import torch

from stereodiffusion.diffusion.backbone import Prediction
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.types import Latent, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a solver remembers of the step before.

    Attributes:
        clean: The x_0 that was predicted.
        known: Where there is one, (b, 1, h, w); elsewhere a step is taken without.
    """

    clean: Latent
    known: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What goes from one step to the next: latents, and beside them the history of how they came about."""

    latents: Latent
    history: History | None = None


Solver: TypeAlias = Callable[[Schedule, int, Latent, Latent, History | None], State]
"""Takes the step with an index of a schedule from latents x_t by the predicted noise ε, remembering the step before."""


def noise_of(output: Latent, x_t: Latent, alpha_t: float, prediction: Prediction) -> Latent:
    """The noise ε that a network output stands for.

    v = √ᾱ ε - √(1-ᾱ) x_0 and x_t = √ᾱ x_0 + √(1-ᾱ) ε together give ε = √ᾱ v + √(1-ᾱ) x_t.
    """
    if prediction == "epsilon":
        return output
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


def ddim(schedule: Schedule, index: int, x_t: Latent, noise: Latent, before: History | None = None) -> State:
    """A step of DDIM; what was before does not matter."""
    del before
    alpha_t, alpha_s = schedule.alphas[index : index + 2]
    return State(latents=ddim_step(x_t, noise, alpha_t, alpha_s), history=everywhere(clean_of(x_t, noise, alpha_t)))


def everywhere(clean: Latent) -> History:
    """A history of every cell."""
    return History(clean=clean, known=torch.ones_like(clean[:, :1], dtype=torch.bool))
