"""The source's path through the noise levels, as a value.

It is recorded while the source is sampled or inverted, and replayed for any number of views: SPSMD reads its
latents, their self-attention reads its tokens.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from stereodiffusion.diffusion.attention import layers_at, recording
from stereodiffusion.diffusion.backbone import AttentionTap, Backbone, Tokens
from stereodiffusion.diffusion.denoise import Conditioning, Edit, Step, denoise, predict
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.solver import Solver, State, ddim, everywhere
from stereodiffusion.diffusion.storage import LayerTokens, Store, bytes_per_step, off_device, steps_within
from stereodiffusion.settings import AfterSource, Settings
from stereodiffusion.types import Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """Latents of one view at every noise level, and what its self-attention read.

    Attributes:
        latents: n + 1 latents: `latents[i]` enters step i, `latents[n]` is clean.
        tokens: By step index, what the shared self-attention layers read. Steps may be absent.
        predicted: By step index, the x_0 that was predicted from `latents[i]`. Steps may be absent.
    """

    latents: tuple[Latent, ...]
    tokens: Mapping[int, LayerTokens]
    predicted: Mapping[int, Latent] = field(default_factory=dict[int, Latent])

    @property
    def clean(self) -> Latent:
        """The denoised latent."""
        return self.latents[-1]

    def after(self, index: int, begun: int | None = None) -> State:
        """What went on from step `index`, for a view whose step there `begun` at an earlier one."""
        clean = self.predicted.get(index if begun is None else begun)
        return State(latents=self.latents[index + 1], history=None if clean is None else everywhere(clean))


@dataclass(slots=True)
class Recorder:
    """Collects a trajectory while a loop runs.

    Attributes:
        layers: Numbers of the self-attention layers to record.
        indices: Steps in which to record them.
        step_bytes: What the tokens of one step take.
        away: Those of them whose tokens do not stay on the device, and where they go.
        latents: What was collected so far, by level.
        tokens: What was collected so far, by step.
        predicted: The x_0 that were predicted so far, by step.
    """

    layers: Collection[int]
    indices: Collection[int]
    step_bytes: int = 0
    away: Mapping[int, Store] = field(default_factory=dict[int, Store])
    latents: dict[int, Latent] = field(default_factory=dict[int, Latent])
    tokens: dict[int, LayerTokens] = field(default_factory=dict[int, LayerTokens])
    predicted: dict[int, Latent] = field(default_factory=dict[int, Latent])

    def tap_at(self, index: int) -> AttentionTap | None:
        """The tap that records step `index`, None if it need not be recorded."""
        if index not in self.indices or not self.layers:
            return None
        place = self.away.get(index, dict[int, Tokens])
        return recording(self.tokens.setdefault(index, place()), self.layers)

    def trajectory(self) -> Trajectory:
        """What was recorded, as a value."""
        latents = tuple(self.latents[level] for level in sorted(self.latents))
        return Trajectory(latents=latents, tokens=self.tokens, predicted=self.predicted)


def recorder(backbone: Backbone, settings: Settings, *, rows: int = 1, grid: tuple[int, int] | None = None) -> Recorder:
    """A recorder of what a view under these settings will read: tokens of the steps after the shift.

    Args:
        backbone: The model.
        settings: Which steps and layers share attention, and how much of their tokens may stay on the device.
        rows: Latents in the batch of the network: pictures times halves of guidance.
        grid: (height, width) of the latents in cells; the model's own if None.
    """
    views = settings.views
    if not isinstance(views, AfterSource):
        return Recorder(layers=(), indices=())
    layers = layers_at(backbone, views.attention.places)
    indices = [i for i in settings.view_indices if i in settings.attention_indices]
    if grid is None:
        height, width = backbone.native_size
        grid = height // backbone.pixels_per_latent, width // backbone.pixels_per_latent
    step = bytes_per_step(backbone.attention_sizes(*grid), layers, rows, backbone.dtype)
    fit = steps_within(views.tokens_mb, step, len(indices))
    if views.beyond == "recompute":
        return Recorder(layers=layers, indices=indices[:fit], step_bytes=step)
    store = off_device(backbone.device)
    return Recorder(layers=layers, indices=indices, step_bytes=step, away=dict.fromkeys(indices[fit:], store))


def sample_source(
    backbone: Backbone,
    x_T: Latent,
    given: Sequence[Conditioning],
    schedule: Schedule,
    into: Recorder,
    solver: Solver = ddim,
    edit: Edit | None = None,
) -> Iterator[Step]:
    """Denoise the source from noise and record its trajectory in `into`, as edited."""
    into.latents[0] = x_T
    for step in denoise(backbone, x_T, given, schedule, solver=solver, edit=edit, tap_at=into.tap_at):
        into.latents[step.index + 1] = step.latents
        if step.history is not None:
            into.predicted[step.index] = step.history.clean
        yield step


def remember(
    backbone: Backbone, latents: Sequence[Latent], given: Sequence[Conditioning], schedule: Schedule, into: Recorder
) -> Iterator[Step]:
    """Record what self-attention reads along known `latents`, for a trajectory whose tokens are missing.

    One evaluation of the source per recorded step; the latents stay what they are.
    """
    into.latents.update(enumerate(latents))
    for index in into.indices:
        tap = into.tap_at(index)
        if tap is not None:
            look_again(backbone, latents[index], given[index], schedule, index, tap)
        yield Step(
            index=index,
            timestep=schedule.timesteps[index],
            latents=latents[index + 1],
            evaluations=given[index].branches * len(latents[index]),
        )


@torch.no_grad()
def look_again(
    backbone: Backbone, x_t: Latent, given: Conditioning, schedule: Schedule, index: int, tap: AttentionTap
) -> None:
    """One evaluation of a step that was taken before, for the sake of what its self-attention reads."""
    predict(backbone, x_t, given, schedule, index, tap)
