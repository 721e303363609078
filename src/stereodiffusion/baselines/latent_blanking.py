"""Inpainting by latent blanking (Fig. 8): a photo is inverted, part of its latent erased, and denoised again.

What StereoDiffusion does to the right view, without the shift: every cell stays where it is, and blank ones take the
place of occlusions. There is no second view whose attention could be shared, so by default the picture attends to
itself. The visible cells are put back as SPSMD does.
"""

from collections.abc import Iterator

import torch

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning, Step
from stereodiffusion.diffusion.inversion import invert
from stereodiffusion.diffusion.shift import CellMap
from stereodiffusion.diffusion.source import Source, Target
from stereodiffusion.diffusion.trajectory import recorder
from stereodiffusion.diffusion.views import view_beside
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.types import Latent, Region, SourceIndex

BLANKING = preset("fast", "photo").changed({"sampling.steps": 50, "views.attention.mode": "off"})
"""The moments of the photo mode: blank after a fifth of the steps, SPSMD at two, three and four fifths."""


def latent_blanking(
    backbone: Backbone,
    z_0: Latent,
    visible: Region,
    given: Conditioning,
    fresh: Latent,
    settings: Settings = BLANKING,
) -> Iterator[Step]:
    """Fill what is not visible.

    Args:
        backbone: The model.
        z_0: Clean latents of the picture, (b, c, h, w).
        visible: The cells that are known, on the latent grid, (b, 1, h, w).
        given: Conditioning of every step.
        fresh: N(0, 1) in the shape of `z_0`, for Eq. 8 (`shift.deblur`).
        settings: Moments and switches; parallax and splat have no meaning here.

    Yields:
        The steps of the inversion, then those of the denoising; the last one holds the result.

    Raises:
        ConfigError: If the settings denoise both views together.
    """
    schedule = backbone.schedule(settings.sampling, (z_0.shape[2], z_0.shape[3]))
    record = recorder(backbone, settings)
    yield from invert(backbone, z_0, given, schedule, record)
    cells = CellMap(source=_in_place(visible))
    source = Source(
        backbone=backbone,
        schedule=schedule,
        settings=settings,
        trajectory=record.trajectory(),
        given=[given] * settings.sampling.steps,
        fresh=fresh,
    )
    yield from view_beside(source, Target(cells=cells, given=source.given))


def _in_place(visible: Region) -> SourceIndex:
    """Every visible cell shows its own column."""
    column = torch.arange(visible.shape[-1], device=visible.device)
    return column.expand(visible.shape).masked_fill(~visible, -1)
