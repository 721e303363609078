"""Sources for tests: what is given is the same in every step."""

from torch import Tensor

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.consistency import AddedNoise
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.source import Source
from stereodiffusion.diffusion.trajectory import Trajectory
from stereodiffusion.settings import Settings


def source(
    backbone: Backbone,
    path: Trajectory | Tensor,
    given: Conditioning,
    schedule: Schedule,
    config: Settings,
    fresh: Tensor,
    *,
    added: AddedNoise | None = None,
    pinned: bool = False,
) -> Source:
    """A source with its path, or with the noise alone that it begins with."""
    return Source(
        backbone=backbone,
        schedule=schedule,
        settings=config,
        trajectory=path if isinstance(path, Trajectory) else Trajectory(latents=(path,), tokens={}),
        given=[given] * schedule.steps,
        fresh=fresh,
        added=added,
        pinned=pinned,
    )
