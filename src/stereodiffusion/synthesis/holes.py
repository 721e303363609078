"""What an inpainting network is told of a picture: where it has holes, and what is around them.

Networks for inpainting read it beside the noisy latents (Rombach et al. 2022, Sec. 4.5). A source has been drawn, or is
a photo: of the one nothing is known yet, of the other everything. A view has holes where the source does not see it.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn.functional import max_pool2d

from stereodiffusion.diffusion.backbone import Backbone, Concat
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.types import Image, Latent, Region

_GREY = 0.5  # what diffusers puts into holes before it encodes a picture


def around_holes(backbone: Backbone, picture: Image, holes: Region) -> Concat:
    """What is known of a picture at the model's size; a cell is in a hole if any of its pixels is.

    Args:
        backbone: Encodes.
        picture: (b, 3, h, w), sRGB in [0, 1].
        holes: Pixels that are not known, (b, 1, h, w).

    Returns:
        1 in holes and 0 elsewhere, and the latents of the picture with grey holes, (b, 1 + c, h, w) in cells.
    """
    cells = max_pool2d(holes.float(), backbone.pixels_per_latent)
    return torch.cat([cells, backbone.encode(torch.where(holes, _GREY, picture))], dim=1)


def all_known(latents: Latent) -> Concat:
    """What is known of a picture that is there."""
    return torch.cat([torch.zeros_like(latents[:, :1]), latents], dim=1)


def all_hole(backbone: Backbone, count: int, size: tuple[int, int]) -> Concat:
    """What is known of pictures, (height, width) in pixels, that have yet to be drawn."""
    holes = torch.ones(count, 1, *size, dtype=torch.bool, device=backbone.device)
    return around_holes(backbone, torch.zeros(count, 3, *size, device=backbone.device), holes)


def told(given: Sequence[Conditioning], concat: Concat) -> list[Conditioning]:
    """The same in each step, with this beside the latents."""
    return [replace(each, concat=concat) for each in given]
