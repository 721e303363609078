"""Sampling with latent consistency models (Luo et al. 2023): predict x_0, add noise anew, a few times.

The noise that is added is drawn from the seed. Both views are the same scene only if it is the same noise: the
view gets the source's, moved as its cells are, and noise of its own in cells that come from nowhere.
"""

from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.shift import CellMap, stereo_shift
from stereodiffusion.diffusion.solver import History, Solver, State
from stereodiffusion.types import Latent

_SIGMA_DATA = 0.5
_TIMESTEP_SCALING = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedNoise:
    """N(0, 1) for every step of a stochastic solver.

    Attributes:
        source: What is added to the source after each step, (steps, b, c, h, w).
        own: What a view gets where it shows nothing of the source, the same shape.
    """

    source: Float[Tensor, "n b c lh lw"]
    own: Float[Tensor, "n b c lh lw"]

    def moved(self, cells: CellMap) -> Float[Tensor, "n b c lh lw"]:
        """What is added to a view after each step."""
        pairs = zip(self.source, self.own, strict=True)
        return torch.stack([torch.where(cells.visible, stereo_shift(source, cells), own) for source, own in pairs])


def consistency_solver(noise: Float[Tensor, "n b c lh lw"]) -> Solver:
    """The multistep sampling of consistency models, with the boundary condition of their training.

    f(x, t) = c_skip(t) x + c_out(t) x_0, which is the identity at t = 0; then x_s = √ᾱ_s f + √(1-ᾱ_s) z.

    Args:
        noise: z of each step.
    """

    def step(schedule: Schedule, index: int, x_t: Latent, predicted: Latent, before: History | None = None) -> State:
        """Step `index` to the next level; what was predicted before is of no use to it."""
        del before
        there = schedule.level(index + 1)
        scaled = _TIMESTEP_SCALING * schedule.timesteps[index]
        c_skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
        c_out = scaled / sqrt(scaled**2 + _SIGMA_DATA**2)
        clean = c_out * schedule.clean(x_t, predicted, index) + c_skip * x_t
        if there.noise == 0:
            return State(latents=clean)
        return State(latents=there.signal * clean + there.noise * noise[index])

    return step
