"""RGBD: the left eye beside its depth, for displays and players that make the other views themselves.

Depth is grey, near is white: 255 is the nearest point of the picture, 0 the farthest, between them it is linear in
disparity (that is, in 1 / distance). What is unknown lies behind the known. How much parallax the white stands for is
not in the picture; it goes into the metadata of files that this package writes.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.geometry import Disparity


class Relief(NamedTuple):
    """What black and white stand for, in pixels of disparity."""

    far_px: float
    near_px: float


def nearness(disparity: Disparity | None) -> tuple[Float[Tensor, "1 1 h w"], Relief]:
    """The depth picture in [0, 1], near is 1, and what its ends stand for.

    Raises:
        FormatError: If there is no disparity.
    """
    if disparity is None:
        raise FormatError("RGBD needs the disparity of the left eye, which is not known: hand it in (--disparity MAP)")
    pixels = disparity.filled().pixels.detach().cpu().float()
    relief = Relief(float(pixels.min()), float(pixels.max()))
    return (pixels - relief.far_px) / max(relief.near_px - relief.far_px, torch.finfo(torch.float32).tiny), relief


def disparity_of(depth: Float[Tensor, "1 1 h w"], relief: Relief) -> Disparity:
    """Undoes `nearness`."""
    pixels = relief.far_px + depth * (relief.near_px - relief.far_px)
    return Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool))
