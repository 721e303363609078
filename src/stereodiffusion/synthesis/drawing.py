"""Running the loops of the method, with progress."""

from collections.abc import Generator, Iterator, Sequence

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.consistency import AddedNoise
from stereodiffusion.diffusion.denoise import Conditioning, Edit, Step
from stereodiffusion.diffusion.sampling import solver_of
from stereodiffusion.diffusion.trajectory import Recorder, sample_source
from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Sampling
from stereodiffusion.synthesis.run import Progress, Stage
from stereodiffusion.synthesis.sizes import grid_of
from stereodiffusion.types import Image, Latent


def advance(steps: Iterator[Step], stage: Stage, total: int, *, done: int = 0) -> Generator[Progress, None, Latent]:
    """Run a loop to its end, reporting progress; gives its last latents. The stage has taken `done` steps before."""
    latents: Latent | None = None
    for number, step in enumerate(steps, start=done + 1):
        latents = step.latents
        yield Progress(stage=stage, step=number, steps=total, evaluations=step.evaluations)
    if latents is None:
        raise ConfigError(f"the stage {stage!r} has no steps")
    return latents


def draw(
    backbone: Backbone,
    start: Latent,
    given: Sequence[Conditioning],
    sampling: Sampling,
    into: Recorder,
    added: AddedNoise | None,
    edit: Edit | None = None,
) -> Generator[Progress, None, Image]:
    """Sample a picture from noise, its way, as edited, recorded `into`; gives it in pixels."""
    schedule = backbone.schedule(sampling, grid_of(start))
    solver = solver_of(sampling, None if added is None else lambda: added.source)
    steps = sample_source(backbone, start, given, schedule, into, solver, edit)
    return backbone.decode((yield from advance(steps, "source", sampling.steps)))
