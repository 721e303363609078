"""Holes of a picture filled in latent space, by whatever fills latents.

Holes are stretched over before the picture is encoded: the autoencoder looks beyond its cell, and black would bleed
into cells that are known. A cell counts as visible if all of its pixels are. Afterwards the pixels outside the holes
are put back: only what was missing is taken from the model.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from stereodiffusion.baselines.stretch import stretch_holes
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Step
from stereodiffusion.errors import GeometryError
from stereodiffusion.formats import resize_image
from stereodiffusion.types import Image, Latent, Region

LatentFill: TypeAlias = Callable[[Latent, Region], Iterator[Step]]
"""Fills the cells of clean latents that are not visible; the last step holds the result."""


def inpaint(backbone: Backbone, picture: Image, visible: Region, size: tuple[int, int], fill: LatentFill) -> Image:
    """The picture with its holes filled.

    Args:
        backbone: Its autoencoder is used.
        picture: (b, 3, h, w), sRGB in [0, 1]; what holes contain does not matter.
        visible: (b, 1, h, w), all but the holes.
        size: (height, width) in pixels to work at, whole cells; the result has the picture's own.
        fill: `repaint` or `latent_blanking` with all but their latents given.

    Raises:
        GeometryError: If the region has another size than the picture, or `size` is no whole number of cells.
    """
    if visible.shape != (len(picture), 1, *picture.shape[2:]):
        raise GeometryError(f"the picture is {tuple(picture.shape)}, its visible region {tuple(visible.shape)}")
    if bool(visible.all()):
        return picture
    covered = stretch_holes(picture, visible).to(backbone.device)
    latents = backbone.encode(resize_image(covered, *size))
    for step in fill(latents, visible_cells(visible, latents).to(backbone.device)):
        latents = step.latents
    filled = resize_image(backbone.decode(latents), *picture.shape[2:]).to(picture)
    return torch.where(visible, picture, filled)


def visible_cells(visible: Region, latents: Latent) -> Bool[Tensor, "b 1 lh lw"]:
    """The latent cells all of whose pixels are visible, pixels on the line between two cells counting for both."""
    hole = adaptive_max_pool2d((~visible).float(), (latents.shape[2], latents.shape[3]))
    return hole == 0
