"""Disparity in false colours, for people to look at."""

from typing import cast

import numpy as np
import torch
from jaxtyping import UInt8

from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image


def visualise(disparity: Disparity) -> Image:
    """Google's Turbo: blue is the farthest known point of each picture, red the nearest; unknown is black."""
    import cv2

    pictures: list[torch.Tensor] = []
    for pixels, known in zip(disparity.pixels[:, 0].detach().cpu().float(), disparity.known[:, 0].cpu(), strict=True):
        levels = torch.zeros_like(pixels)
        if bool(known.any()):
            low, high = pixels[known].min(), pixels[known].max()
            levels = (pixels - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
        grey = (levels.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        colours = cast(UInt8[np.ndarray, "h w 3"], cv2.applyColorMap(grey, cv2.COLORMAP_TURBO))[..., ::-1]
        picture = torch.from_numpy(colours.astype(np.float32) / 255).permute(2, 0, 1)
        pictures.append(torch.where(known, picture, 0.0))
    return torch.stack(pictures)
