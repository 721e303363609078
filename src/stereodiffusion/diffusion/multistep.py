"""DPM-Solver++ (2M) (Lu et al. 2022, Algorithm 2): second order at one evaluation a step.

It extrapolates the predicted x_0 from the step before to the middle of the step at hand. Where a view has no step
before, in cells that the shift has just brought into being, the step is of first order, which is DDIM.
"""

from math import expm1, log, sqrt

import torch

from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.solver import History, State, clean_of, everywhere
from stereodiffusion.types import Latent

_FEW_STEPS = 15
"""Below so many steps the last one is of first order, for stability, as in the authors' code."""


def dpm_solver(schedule: Schedule, index: int, x_t: Latent, noise: Latent, before: History | None = None) -> State:
    """A step of DPM-Solver++ (2M).

    With α = √ᾱ, σ = √(1-ᾱ), λ = log(α/σ) and h = λ_s - λ_t,

        D   = x_0 + h / (2 h_before) (x_0 - x_0_before)
        x_s = σ_s/σ_t x_t - α_s (e^-h - 1) D
    """
    alpha_t, alpha_s = schedule.alphas[index : index + 2]
    clean = clean_of(x_t, noise, alpha_t)
    if alpha_s == 1:
        return State(latents=clean, history=everywhere(clean))  # λ_s is infinite, and so is the extrapolation
    h = _log_snr(alpha_s) - _log_snr(alpha_t)
    extrapolated = clean
    last_of_few = index == schedule.steps - 1 and schedule.steps < _FEW_STEPS
    if before is not None and not last_of_few:
        h_before = _log_snr(alpha_t) - _log_snr(schedule.alphas[index - 1])
        change = torch.where(before.known, clean - before.clean, 0)
        extrapolated = clean + h / (2 * h_before) * change
    x_s = sqrt((1 - alpha_s) / (1 - alpha_t)) * x_t - sqrt(alpha_s) * expm1(-h) * extrapolated
    return State(latents=x_s, history=everywhere(clean))


def _log_snr(alpha: float) -> float:
    """λ: the logarithm of signal over noise."""
    return 0.5 * (log(alpha) - log(1 - alpha))
