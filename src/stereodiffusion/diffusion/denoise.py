"""The one denoising loop, a generator.

Whoever wants progress, previews or to stop early iterates over it. What changes latents on the way (shift, SPSMD,
deblur) is an `edit`; what changes attention is a `tap`. The network is patched only while it is being evaluated, so
that nothing is left behind wherever the loop is abandoned.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import torch

from stereodiffusion.diffusion.backbone import AttentionTap, Backbone, Concat, Embedding, stack_rows
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.solver import History, Solver, State, ddim
from stereodiffusion.errors import ConfigError
from stereodiffusion.types import Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """What the noise prediction is given.

    Attributes:
        embedding: Of the prompts, one row per latent.
        unconditional: Of the negative prompt; None evaluates the prompt alone (w = 1).
        guidance: Scale w of classifier-free guidance.
        concat: What the network reads of each cell beside its noisy latent (`Concat`), (b, k, h, w).
    """

    embedding: Embedding
    unconditional: Embedding | None = None
    guidance: float = 1.0
    concat: Concat | None = None

    @property
    def branches(self) -> int:
        """Network evaluations per latent: 2 with guidance, else 1."""
        return 1 if self.unconditional is None else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of the solver, before edits: from x_t at level `index` of a schedule to x_s at the next.

    `predicted` is what it was taken by (`Schedule.predicted`), `history` what the solver will remember of it.
    """

    index: int
    schedule: Schedule
    x_t: Latent
    predicted: Latent
    x_s: Latent
    history: History | None = None

    @property
    def state(self) -> State:
        """What goes on if nothing is edited."""
        return State(latents=self.x_s, history=self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the loop yields: the latents after step `index` and its edits, what is everywhere, and what they cost."""

    index: int
    timestep: float
    latents: Latent
    evaluations: int
    history: History | None = None


Edit: TypeAlias = Callable[[Transition], State]
"""Gives what goes on from a step, `transition.state` if it changes nothing."""

TapAt: TypeAlias = Callable[[int], AttentionTap | None]
"""Gives the attention tap of the step with an index, None to leave the network alone."""


def predict(
    backbone: Backbone,
    x_t: Latent,
    given: Conditioning,
    schedule: Schedule,
    index: int,
    tap: AttentionTap | None = None,
    *,
    timestep: float | None = None,
) -> Latent:
    """What a step from level `index` is taken by, the noise ε or a flow's velocity, with classifier-free guidance.

    ε(x_t, t, C) is ε_∅ + w (ε_C - ε_∅) (Ho & Salimans 2021). The batch of the network is (guidance, view, picture),
    unconditional rows first. The network is told the level's own timestep, or another one.
    """
    if timestep is None:
        timestep = schedule.timesteps[index]
    with nullcontext() if tap is None else backbone.attending(tap):
        if given.unconditional is None:
            output = backbone.predict(x_t, timestep, given.embedding, given.concat)
        else:
            concat = None if given.concat is None else torch.cat([given.concat, given.concat])
            both = stack_rows(given.unconditional, given.embedding)
            without, with_prompt = backbone.predict(torch.cat([x_t, x_t]), timestep, both, concat).chunk(2)
            output = without + given.guidance * (with_prompt - without)
    return schedule.predicted(output, x_t, index, backbone.prediction)


def denoise(
    backbone: Backbone,
    x_t: Latent,
    given: Sequence[Conditioning],
    schedule: Schedule,
    *,
    start: int = 0,
    history: History | None = None,
    solver: Solver = ddim,
    edit: Edit | None = None,
    tap_at: TapAt | None = None,
) -> Iterator[Step]:
    """Denoise from step `start` to the end.

    Args:
        backbone: The model.
        x_t: Latents that enter step `start`, (b, c, h, w).
        given: One conditioning per step of the schedule, so that null-text embeddings are just such a sequence.
        schedule: The noise levels.
        start: Index of the first step to take.
        history: Of the step before the first.
        solver: Takes the steps.
        edit: What happens to the latents, and to the history beside them, after each step.
        tap_at: What happens to self-attention in each step.

    Yields:
        One `Step` after each step taken.

    Raises:
        ConfigError: If there is not one conditioning per step.
    """
    if len(given) != schedule.steps:
        raise ConfigError(f"expected one conditioning per step ({schedule.steps}), got {len(given)}")
    for index in range(start, schedule.steps):
        timestep = schedule.timesteps[index]
        rows = given[index].branches * len(x_t)
        with torch.no_grad():
            tap = tap_at(index) if tap_at else None
            predicted = predict(backbone, x_t, given[index], schedule, index, tap)
            state = solver(schedule, index, x_t, predicted, history)
            if edit is not None:
                taken = Transition(
                    index=index,
                    schedule=schedule,
                    x_t=x_t,
                    predicted=predicted,
                    x_s=state.latents,
                    history=state.history,
                )
                state = edit(taken)
        yield Step(index=index, timestep=timestep, latents=state.latents, evaluations=rows, history=state.history)
        x_t, history = state.latents, state.history
