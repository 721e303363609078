"""Denoising a view: beside a recorded source, or both together (Fig. 2).

The two ways are the same method. While attention is unidirectional the source never depends on the view, so it can be
denoised (or inverted) once, remembered, and replayed for the view alone. Denoising both together costs more but
remembers nothing, and is the only way to bidirectional attention.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.diffusion.attention import joining, layers_at, recording, replaying
from stereodiffusion.diffusion.backbone import AttentionTap, stack_rows
from stereodiffusion.diffusion.denoise import Conditioning, Step, Transition, denoise
from stereodiffusion.diffusion.sampling import solver_of
from stereodiffusion.diffusion.shift import (
    KnownLatents,
    deblur,
    overwrite,
    resync_copy,
    resync_mixed,
    resync_pixels,
    shifted_state,
)
from stereodiffusion.diffusion.solver import History, State, everywhere
from stereodiffusion.diffusion.source import Source, Target
from stereodiffusion.diffusion.storage import LayerTokens
from stereodiffusion.diffusion.trajectory import look_again
from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import AfterSource
from stereodiffusion.types import Latent


def _shifted(state: State, source: Source, target: Target) -> State:
    """The view as it is born: Eq. 3 and, if wanted, Eq. 8."""
    view = shifted_state(state, target.cells)
    if not source.settings.shift.deblur:
        return view
    return replace(view, latents=deblur(view.latents, target.cells, source.fresh))


def _resynced(state: State, view: Transition, source: Source, target: Target) -> State:
    """The view after SPSMD."""
    if source.settings.views.resync.how == "mixed":
        return State(latents=resync_mixed(state.latents, view, target.cells))
    return resync_copy(state, view.state, target.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attention:
    """What the source's self-attention reads, for the view: remembered, or looked up again (`views.beyond`)."""

    source: Source
    views: AfterSource

    def tap_at(self, index: int) -> AttentionTap | None:
        """What the view reads in a step; None where attention is its own.

        Raises:
            ConfigError: If the source does not remember the step and may not be evaluated again.
        """
        source, path = self.source, self.source.trajectory
        if index not in source.settings.attention_indices:
            return None
        if index in path.tokens:
            return replaying(path.tokens[index])
        if self.views.beyond != "recompute":
            raise ConfigError(f"the source's trajectory does not remember the attention of step {index}")
        again: LayerTokens = {}
        tap = recording(again, layers_at(source.backbone, self.views.attention.places))
        look_again(source.backbone, path.latents[index], source.given[index], source.schedule, index, tap)
        return replaying(again)

    def evaluations(self, index: int) -> int:
        """What looking again costs."""
        source, path = self.source, self.source.trajectory
        if index in path.tokens or index not in source.settings.attention_indices:
            return 0
        return source.given[index].branches * len(path.latents[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the source tells of the view: in latents that are moved, or in its picture that was (`known`)."""

    source: Source
    target: Target

    def born(self) -> State:
        """The view when the source has taken the step of the shift."""
        index = self.source.settings.shift_index
        if self.target.known is None:
            return _shifted(self.source.trajectory.after(index), self.source, self.target)
        return self._from_pixels(self.target.known, index)

    def resynced(self, view: Transition, begun: int, finished: int) -> State:
        """The view after a step of its own, which took the source's from `begun` to `finished`."""
        if self.source.settings.resync_indices.isdisjoint(range(begun, finished + 1)):
            return view.state
        if self.target.known is None:
            return _resynced(self.source.trajectory.after(finished, begun), view, self.source, self.target)
        return overwrite(view.state, self._from_pixels(self.target.known, finished), self.target.known.cells)

    def _from_pixels(self, known: KnownLatents, index: int) -> State:
        path, cells = self.source.trajectory, self.target.cells
        source_s, level = path.latents[index + 1], self.source.schedule.level(index + 1)
        latents = resync_pixels(known, path.clean, source_s, level, cells, self.source.fresh)
        return State(latents=latents, history=everywhere(known.clean))  # nothing has to be predicted: x_0 is known


def view_beside(source: Source, target: Target) -> Iterator[Step]:
    """A view alone, beside a recorded source.

    Yields:
        The view's steps after the shift; the first yielded step is the shift itself and costs nothing.

    Raises:
        ConfigError: If the settings denoise both together, share attention in a step that the trajectory does not
            remember, or re-synchronise from pixels and nothing is `known`, or the solver adds noise and there is none.
    """
    settings, schedule = source.settings, source.schedule
    views = settings.views
    if not isinstance(views, AfterSource):
        raise ConfigError("a view beside a recorded source needs views after-source, got together")
    if (target.known is None) == (views.resync.how == "pixels"):
        raise ConfigError("views.resync.how pixels needs the known part of the view, other settings do not use it")
    shift = settings.shift_index
    # The view's own steps: those of the source up to the shift, then `views.every` at once.
    # Step j goes from level levels[j] to level levels[j + 1].
    levels = [*range(shift + 1), *settings.view_indices, schedule.steps]
    attention = _Attention(source=source, views=views)
    told = _Told(source=source, target=target)

    def noise() -> Float[Tensor, "n b c lh lw"]:
        if source.added is None:
            raise ConfigError("expected the noise that the solver adds after every step, got none")
        return source.added.moved(target.cells)[[level - 1 for level in levels[1:]]]

    view = told.born()
    yield Step(
        index=shift, timestep=schedule.timesteps[shift], latents=view.latents, evaluations=0, history=view.history
    )
    for step in denoise(
        source.backbone,
        view.latents,
        [target.given[level] for level in levels[:-1]],
        schedule.through(levels),
        start=shift + 1,
        history=view.history,
        solver=solver_of(settings.sampling, noise),
        edit=lambda view: told.resynced(view, levels[view.index], levels[view.index + 1] - 1),
        tap_at=lambda own: attention.tap_at(levels[own]),
    ):
        evaluations = step.evaluations + attention.evaluations(levels[step.index])
        yield replace(step, index=levels[step.index + 1] - 1, evaluations=evaluations)


def both_views(source: Source, target: Target) -> Iterator[Step]:
    """Source and view together, from the same noise.

    Yields:
        Steps whose latents are (view, picture): the source's b rows, then the view's.
    """
    settings, attention = source.settings, source.settings.views.attention
    layers = layers_at(source.backbone, attention.places)
    given = [_paired(own, other) for own, other in zip(source.given, target.given, strict=True)]

    def tap_at(index: int) -> AttentionTap | None:
        if attention.mode == "off" or index not in settings.attention_indices:
            return None
        return joining(attention.mode, layers, branches=given[index].branches)

    def edit(pair: Transition) -> State:
        """What becomes of both after a step: pinned, shifted, or re-synchronised."""
        own, view = _split(pair)
        if source.pinned:
            own = replace(own, x_s=source.trajectory.latents[pair.index + 1])
        if pair.index < settings.shift_index:
            return _both(own.state, view.state)
        if pair.index == settings.shift_index:
            return _both(own.state, _shifted(own.state, source, target))
        if pair.index not in settings.resync_indices:
            return _both(own.state, view.state)
        return _both(own.state, _resynced(own.state, view, source, target))

    def noise() -> Float[Tensor, "n vb c lh lw"]:
        """The same for both as long as they are the same."""
        added = source.added
        if added is None:
            raise ConfigError("expected the noise that the solver adds after every step, got none")
        number = torch.arange(len(added.source), device=added.source.device)[:, None, None, None, None]
        view = torch.where(number < settings.shift_index, added.source, added.moved(target.cells))
        return torch.cat([added.source, view], dim=1)

    yield from denoise(
        source.backbone,
        repeat(source.trajectory.latents[0], "b c h w -> (v b) c h w", v=2),
        given,
        source.schedule,
        solver=solver_of(settings.sampling, noise),
        edit=edit,
        tap_at=tap_at,
    )


def _split(pair: Transition) -> tuple[Transition, Transition]:
    """A step of each out of a step of both."""
    histories: tuple[History | None, History | None] = (None, None)
    if pair.history is not None:
        (clean, clean_view), (known, known_view) = pair.history.clean.chunk(2), pair.history.known.chunk(2)
        histories = History(clean=clean, known=known), History(clean=clean_view, known=known_view)
    halves = zip(pair.x_t.chunk(2), pair.predicted.chunk(2), pair.x_s.chunk(2), histories, strict=True)
    own, view = (
        replace(pair, x_t=x_t, predicted=predicted, x_s=x_s, history=past) for x_t, predicted, x_s, past in halves
    )
    return own, view


def _both(own: State, view: State) -> State:
    """The rows of both."""
    history = None
    if own.history is not None and view.history is not None:
        history = History(
            clean=torch.cat([own.history.clean, view.history.clean]),
            known=torch.cat([own.history.known, view.history.known]),
        )
    return State(latents=torch.cat([own.latents, view.latents]), history=history)


def _paired(own: Conditioning, view: Conditioning) -> Conditioning:
    """One conditioning for rows (view, picture)."""
    if (own.branches, own.guidance) != (view.branches, view.guidance):
        raise ConfigError("both views must be denoised with the same guidance")
    concat = None if own.concat is None or view.concat is None else torch.cat([own.concat, view.concat])
    unconditional = (
        None
        if own.unconditional is None or view.unconditional is None
        else stack_rows(own.unconditional, view.unconditional)
    )
    return Conditioning(
        embedding=stack_rows(own.embedding, view.embedding),
        unconditional=unconditional,
        guidance=own.guidance,
        concat=concat,
    )


def split_views(latents: Float[Tensor, "vb c lh lw"]) -> tuple[Latent, Latent]:
    """Source and view of the rows that `both_views` yields."""
    own, view = rearrange(latents, "(v b) c h w -> v b c h w", v=2)
    return own, view
