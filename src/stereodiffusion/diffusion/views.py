"""Denoising the right view: beside a recorded left, or both views together (Fig. 2).

The two ways are the same method. While attention is unidirectional the left never depends on the right, so it can be
denoised (or inverted) once, remembered, and replayed for the right alone. Denoising both together costs more but
remembers nothing, and is the only way to bidirectional attention.

Left is what is recorded and right what is made beside it, as in the paper; where the two eyes really are is for those
to know who make the cell map.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.config import StereoConfig
from stereodiffusion.diffusion.attention import joining, layers_at, recording, replaying
from stereodiffusion.diffusion.backbone import AttentionTap, Backbone, stack_rows
from stereodiffusion.diffusion.consistency import AddedNoise
from stereodiffusion.diffusion.denoise import Conditioning, Step, Transition, denoise
from stereodiffusion.diffusion.sampling import solver_of
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.shift import (
    CellMap,
    KnownRight,
    deblur,
    overwrite,
    resync_copy,
    resync_mixed,
    resync_pixels,
    shifted_state,
)
from stereodiffusion.diffusion.solver import Memory, State, remembered
from stereodiffusion.diffusion.storage import LayerTokens
from stereodiffusion.diffusion.trajectory import Trajectory, look_again
from stereodiffusion.errors import ConfigError
from stereodiffusion.types import Latent


def _shifted(left: State, cells: CellMap, config: StereoConfig, fresh: Latent) -> State:
    """The right view as it is born: Eq. 3 and, if wanted, Eq. 8."""
    right = shifted_state(left, cells)
    return replace(right, latents=deblur(right.latents, cells, fresh)) if config.deblur else right


def _resynced(left: State, right: Transition, cells: CellMap, config: StereoConfig) -> State:
    """The right view after SPSMD."""
    if config.resync == "mixed":
        return State(latents=resync_mixed(left.latents, right, cells))
    return resync_copy(left, right.state, cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attention:
    """What the left's self-attention reads, for the right: remembered, or looked up again (`beyond_budget`)."""

    backbone: Backbone
    left: Trajectory
    given_left: Sequence[Conditioning] | None
    schedule: Schedule
    config: StereoConfig

    def tap_at(self, index: int) -> AttentionTap | None:
        """What the right reads in a step; None where attention is its own.

        Raises:
            ConfigError: If the left does not remember the step and may not be evaluated again.
        """
        if index not in self.config.attention_indices:
            return None
        if index in self.left.memory:
            return replaying(self.left.memory[index])
        if self.config.beyond_budget != "recompute" or self.given_left is None:
            raise ConfigError(f"the left's trajectory does not remember the attention of step {index}")
        again: LayerTokens = {}
        tap = recording(again, layers_at(self.backbone, self.config.attention_places))
        look_again(self.backbone, self.left.latents[index], self.given_left[index], self.schedule, index, tap)
        return replaying(again)

    def evaluations(self, index: int) -> int:
        """What looking again costs."""
        if self.given_left is None or index in self.left.memory or index not in self.config.attention_indices:
            return 0
        return self.given_left[index].branches * len(self.left.latents[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the left tells of the right: in latents that are moved, or in its picture that was (`known`)."""

    left: Trajectory
    schedule: Schedule
    cells: CellMap
    config: StereoConfig
    fresh: Latent
    known: KnownRight | None

    def born(self) -> State:
        """The right view when the left has taken the step of the shift."""
        index = self.config.shift_index
        if self.known is None:
            return _shifted(self.left.after(index), self.cells, self.config, self.fresh)
        return self._from_pixels(self.known, index)

    def resynced(self, right: Transition, begun: int, finished: int) -> State:
        """The right view after a step of its own, which took the left's from `begun` to `finished`."""
        if self.config.resync_indices.isdisjoint(range(begun, finished + 1)):
            return right.state
        if self.known is None:
            return _resynced(self.left.after(finished, begun), right, self.cells, self.config)
        return overwrite(right.state, self._from_pixels(self.known, finished), self.known.cells)

    def _from_pixels(self, known: KnownRight, index: int) -> State:
        left_s, alpha_s = self.left.latents[index + 1], self.schedule.alphas[index + 1]
        latents = resync_pixels(known, self.left.clean, left_s, alpha_s, self.cells, self.fresh)
        return State(latents=latents, memory=remembered(known.clean))  # nothing has to be predicted: x_0 is known


def right_beside(
    backbone: Backbone,
    left: Trajectory,
    given: Sequence[Conditioning],
    schedule: Schedule,
    cells: CellMap,
    config: StereoConfig,
    fresh: Latent,
    known: KnownRight | None = None,
    added: AddedNoise | None = None,
    given_left: Sequence[Conditioning] | None = None,
) -> Iterator[Step]:
    """The right view alone, beside a recorded left.

    Args:
        backbone: The model.
        left: The left's trajectory, with the memory of the steps after the shift whose attention is shared.
        given: One conditioning per step, for the right view.
        schedule: The noise levels.
        cells: Where the left's cells go.
        config: Moments and switches.
        fresh: N(0, 1) in the shape of one view's latents, for Eq. 8 and for cells that come from nowhere.
        known: What is known of the right view; needed to re-synchronise from pixels.
        added: What a stochastic solver adds after each step.
        given_left: One conditioning per step for the left, for memories that are to be recomputed.

    Yields:
        The right's steps after the shift; the first yielded step is the shift itself and costs nothing.

    Raises:
        ConfigError: If attention is to be shared in a step that the trajectory does not remember, or the settings
            re-synchronise from pixels and nothing is `known`, or the solver adds noise and there is none.
    """
    if (known is None) == (config.resync == "pixels"):
        raise ConfigError("resync='pixels' needs the known part of the right view, other settings do not use it")
    shift = config.shift_index
    # The right's own steps: those of the left up to the shift, then `right_every` at once.
    # Step j goes from level levels[j] to level levels[j + 1].
    levels = [*range(shift + 1), *config.right_indices, schedule.steps]
    attention = _Attention(backbone=backbone, left=left, given_left=given_left, schedule=schedule, config=config)
    told = _Told(left=left, schedule=schedule, cells=cells, config=config, fresh=fresh, known=known)

    def noise() -> Float[Tensor, "n b c lh lw"]:
        if added is None:
            raise ConfigError("expected the noise that the solver adds after every step, got none")
        return added.right(cells)[[level - 1 for level in levels[1:]]]

    right = told.born()
    yield Step(
        index=shift, timestep=schedule.timesteps[shift], latents=right.latents, evaluations=0, memory=right.memory
    )
    for step in denoise(
        backbone,
        right.latents,
        [given[level] for level in levels[:-1]],
        schedule.through(levels),
        start=shift + 1,
        memory=right.memory,
        solver=solver_of(config, noise),
        edit=lambda right: told.resynced(right, levels[right.index], levels[right.index + 1] - 1),
        tap_at=lambda own: attention.tap_at(levels[own]),
    ):
        evaluations = step.evaluations + attention.evaluations(levels[step.index])
        yield replace(step, index=levels[step.index + 1] - 1, evaluations=evaluations)


def both_views(
    backbone: Backbone,
    x_T: Latent,
    given_left: Sequence[Conditioning],
    given_right: Sequence[Conditioning],
    schedule: Schedule,
    cells: CellMap,
    config: StereoConfig,
    fresh: Latent,
    *,
    pinned: Sequence[Latent] | None = None,
    added: AddedNoise | None = None,
) -> Iterator[Step]:
    """Left and right together, from the same noise.

    Args:
        backbone: The model.
        x_T: Noise of both views, (b, c, h, w).
        given_left: One conditioning per step for the left.
        given_right: The same for the right; embeddings and guidance as the left's, depth of its own.
        schedule: The noise levels.
        cells: Where the left's cells go.
        config: Moments and switches.
        fresh: N(0, 1) in the shape of one view's latents, for Eq. 8.
        pinned: n + 1 latents which the left is held to: the pivot trajectory of an inverted photo.
        added: What a stochastic solver adds after each step.

    Yields:
        Steps whose latents are (view, picture): the left's b rows, then the right's.
    """
    layers = layers_at(backbone, config.attention_places)
    given = [_paired(left, right) for left, right in zip(given_left, given_right, strict=True)]

    def tap_at(index: int) -> AttentionTap | None:
        if config.attention == "off" or index not in config.attention_indices:
            return None
        return joining(config.attention, layers, branches=given[index].branches)

    def edit(pair: Transition) -> State:
        """What becomes of both views after a step: pinned, shifted, or re-synchronised."""
        left, right = _split(pair)
        if pinned is not None:
            left = replace(left, x_s=pinned[pair.index + 1])
        if pair.index < config.shift_index:
            return _both(left.state, right.state)
        if pair.index == config.shift_index:
            return _both(left.state, _shifted(left.state, cells, config, fresh))
        if pair.index not in config.resync_indices:
            return _both(left.state, right.state)
        return _both(left.state, _resynced(left.state, right, cells, config))

    def noise() -> Float[Tensor, "n vb c lh lw"]:
        """The same for both views as long as they are the same."""
        if added is None:
            raise ConfigError("expected the noise that the solver adds after every step, got none")
        before = torch.arange(len(added.left), device=x_T.device)[:, None, None, None, None] < config.shift_index
        return torch.cat([added.left, torch.where(before, added.left, added.right(cells))], dim=1)

    start = repeat(x_T, "b c h w -> (v b) c h w", v=2)
    yield from denoise(
        backbone,
        start,
        given,
        schedule,
        solver=solver_of(config, noise),
        edit=edit,
        tap_at=tap_at,
    )


def _split(pair: Transition) -> tuple[Transition, Transition]:
    """A step of each view out of a step of both."""
    memories: Sequence[Memory | None] = (None, None)
    if pair.memory is not None:
        halves = zip(pair.memory.clean.chunk(2), pair.memory.known.chunk(2), strict=True)
        memories = [Memory(clean=clean, known=known) for clean, known in halves]
    halves = zip(pair.x_t.chunk(2), pair.noise.chunk(2), pair.x_s.chunk(2), memories, strict=True)
    left, right = (replace(pair, x_t=x_t, noise=noise, x_s=x_s, memory=m) for x_t, noise, x_s, m in halves)
    return left, right


def _both(left: State, right: State) -> State:
    """The rows of both views."""
    memory = None
    if left.memory is not None and right.memory is not None:
        memory = Memory(
            clean=torch.cat([left.memory.clean, right.memory.clean]),
            known=torch.cat([left.memory.known, right.memory.known]),
        )
    return State(latents=torch.cat([left.latents, right.latents]), memory=memory)


def _paired(left: Conditioning, right: Conditioning) -> Conditioning:
    """One conditioning for rows (view, picture)."""
    if (left.branches, left.guidance) != (right.branches, right.guidance):
        raise ConfigError("both views must be denoised with the same guidance")
    depth = None if left.depth is None or right.depth is None else torch.cat([left.depth, right.depth])
    unconditional = (
        None
        if left.unconditional is None or right.unconditional is None
        else stack_rows(left.unconditional, right.unconditional)
    )
    return Conditioning(
        embedding=stack_rows(left.embedding, right.embedding),
        unconditional=unconditional,
        guidance=left.guidance,
        depth=depth,
    )


def split_views(latents: Float[Tensor, "vb c lh lw"]) -> tuple[Latent, Latent]:
    """Left and right of the rows that `both_views` yields."""
    left, right = rearrange(latents, "(v b) c h w -> v b c h w", v=2)
    return left, right
