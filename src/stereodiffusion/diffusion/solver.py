"""Steps through the noise levels, and what a solver remembers between them.

DDIM (Song et al. 2021) with σ = 0 is the same formula whether it leads to a cleaner level (Eq. 1) or to a noisier one
(Eq. 9): predict x_0, then mix it with the predicted noise in the proportions of the new level. In the proportions of
flow matching that is Euler's method. It forgets the step before. Other solvers remember, and what they remember lies on
the latent grid as the latents do: whoever moves latents moves it as well, so it travels beside them, in a `State`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

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
"""Takes the step with an index of a schedule from latents x_t by what was predicted there (`Schedule.predicted`),
remembering the step before."""


def ddim(schedule: Schedule, index: int, x_t: Latent, predicted: Latent, before: History | None = None) -> State:
    """A step of DDIM, or Euler's along a flow; what was before does not matter."""
    del before
    return State(
        latents=schedule.moved(x_t, predicted, index, index + 1),
        history=everywhere(schedule.clean(x_t, predicted, index)),
    )


def everywhere(clean: Latent) -> History:
    """A history of every cell."""
    return History(clean=clean, known=torch.ones_like(clean[:, :1], dtype=torch.bool))
