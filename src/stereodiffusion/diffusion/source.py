"""What a view is made beside, and where: the two sides of every loop over views.

The source is what is there: drawn from noise, or a photo's way back to noise. A target is a view that is wanted. The
paper calls them left and right; which eyes they are, or how far apart, only the target's cell map knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.consistency import AddedNoise
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.shift import CellMap, KnownLatents
from stereodiffusion.diffusion.trajectory import Trajectory
from stereodiffusion.settings import Settings
from stereodiffusion.types import Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A view with its way through the noise levels.

    Attributes:
        backbone: The model.
        schedule: The noise levels.
        settings: Moments and switches.
        trajectory: Its latents, and the tokens of the steps whose attention is shared; of views that are denoised
            together the first latents alone, unless they are `pinned`.
        given: One conditioning per step.
        fresh: N(0, 1) in the shape of its latents, for Eq. 8 and for cells that come from nowhere.
        added: What a stochastic solver adds after each step.
        pinned: Whether it is held to the trajectory (an inverted photo) where views are denoised together.
    """

    backbone: Backbone
    schedule: Schedule
    settings: Settings
    trajectory: Trajectory
    given: Sequence[Conditioning]
    fresh: Latent
    added: AddedNoise | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A view that is to be made beside a source.

    Attributes:
        cells: Where the source's cells go.
        given: One conditioning per step; embeddings and guidance as the source's, `concat` of its own.
        known: What is known of it, for settings that re-synchronise from pixels.
    """

    cells: CellMap
    given: Sequence[Conditioning]
    known: KnownLatents | None = None
