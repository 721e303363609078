"""Null-text inversion of photos, from clean latents to the way back (Sec. 3.4 a)."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.inversion import AUTHORS_NULL_TEXT, NullTextSettings, invert, null_text
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.trajectory import Recorder
from stereodiffusion.synthesis.drawing import advance
from stereodiffusion.synthesis.run import Progress
from stereodiffusion.types import Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraced:
    """What null-text inversion finds: the way back to a photo.

    Attributes:
        start: Latents at the noisiest level, (b, c, h, w).
        given: Conditioning per step with which denoising leads from them to the photo.
    """

    start: Latent
    given: Sequence[Conditioning]


Retrace: TypeAlias = Callable[[Backbone, Latent, Sequence[str], Schedule, float], Generator[Progress, None, Retraced]]
"""Null-text inversion of clean latents: model, latents, a prompt for each, noise levels, guidance scale."""


def retrace(
    backbone: Backbone,
    z_0: Latent,
    prompts: Sequence[str],
    schedule: Schedule,
    guidance: float,
    optimisation: NullTextSettings = AUTHORS_NULL_TEXT,
) -> Generator[Progress, None, Retraced]:
    """Find the pivot trajectory of photos and the embeddings that retrace it (Eq. 9 and 10)."""
    record = Recorder(layers=(), indices=())
    given = Conditioning(
        embedding=backbone.embed(prompts),
        unconditional=backbone.embed([""] * len(prompts), unconditional=True),
        guidance=guidance,
    )
    there = invert(backbone, z_0, given, schedule, record, label="there")
    yield from advance(there, "inversion", schedule.steps)
    pivot = record.trajectory()
    found: list[Conditioning] = []
    yield from advance(
        null_text(backbone, pivot.latents, given, schedule, found, optimisation), "null-text", schedule.steps
    )
    return Retraced(start=pivot.latents[0], given=found)
