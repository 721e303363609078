"""Eyes at another size, transparent or not."""

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.formats.pictures.image import resize_image


def squeezed(eye: Float[Tensor, "b channels h w"], height: int, width: int) -> Float[Tensor, "b channels h2 w2"]:
    """Bicubic, with the blur that shrinking needs; colours count by how opaque they are."""
    if eye.shape[1] == 3:
        return resize_image(eye, height, width)
    colours, alpha = eye[:, :3], eye[:, 3:]
    opacity = resize_image(alpha.expand(-1, 3, -1, -1), height, width)[:, :1]
    weighted = resize_image(colours * alpha, height, width)
    return torch.cat([(weighted / opacity.clamp_min(1 / 255)).clamp(0, 1), opacity], dim=1)
