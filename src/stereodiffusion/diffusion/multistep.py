"""DPM-Solver++ (2M) (Lu et al. 2022, Algorithm 2): second order at one evaluation a step.

It extrapolates the predicted x_0 from the step before to the middle of the step at hand. Where a view has no step
before, in cells that the shift has just brought into being, the step is of first order, which is DDIM.
"""

from math import expm1, inf, log

import torch

from stereodiffusion.diffusion.schedule import Level, Schedule
from stereodiffusion.diffusion.solver import History, State, everywhere
from stereodiffusion.types import Latent

_FEW_STEPS = 15
"""Below so many steps the last one is of first order, for stability, as in the authors' code."""


def dpm_solver(schedule: Schedule, index: int, x_t: Latent, predicted: Latent, before: History | None = None) -> State:
    """A step of DPM-Solver++ (2M).

    With α the signal of a level (√ᾱ), σ its noise (√(1-ᾱ)), λ = log(α/σ) and h = λ_s - λ_t,

        D   = x_0 + h / (2 h_before) (x_0 - x_0_before)
        x_s = σ_s/σ_t x_t - α_s (e^-h - 1) D
    """
    here, there = schedule.level(index), schedule.level(index + 1)
    clean = schedule.clean(x_t, predicted, index)
    if there.noise == 0:
        return State(latents=clean, history=everywhere(clean))  # λ_s is infinite, and so is the extrapolation
    h = _log_snr(there) - _log_snr(here)
    extrapolated = clean
    last_of_few = index == schedule.steps - 1 and schedule.steps < _FEW_STEPS
    if before is not None and not last_of_few:
        h_before = _log_snr(here) - _log_snr(schedule.level(index - 1))
        change = torch.where(before.known, clean - before.clean, 0)
        extrapolated = clean + h / (2 * h_before) * change
    x_s = there.noise / here.noise * x_t - there.signal * expm1(-h) * extrapolated
    return State(latents=x_s, history=everywhere(clean))


def _log_snr(level: Level) -> float:
    """λ: the logarithm of signal over noise; -inf where there is no signal, as where a flow begins."""
    return log(level.signal) - log(level.noise) if level.signal > 0 else -inf
