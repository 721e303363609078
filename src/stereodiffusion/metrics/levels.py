"""Pictures as luma, and as OpenCV takes them: one at a time, channels last, 256 levels."""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import UInt8

from stereodiffusion.types import Image, Map

_LUMA = (0.299, 0.587, 0.114)


def luma(image: Image) -> Map:
    """0.299 R + 0.587 G + 0.114 B."""
    return (image * image.new_tensor(_LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True)


def colour_levels(image: Image) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Each picture of a batch in RGB, rounded to the nearest level."""
    levels = (image.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
    for picture in levels.cpu().numpy():
        yield np.ascontiguousarray(picture)


def grey_levels(image: Image) -> Iterator[UInt8[np.ndarray, "h w"]]:
    """Each picture of a batch as luma, rounded to the nearest level."""
    for picture in colour_levels(image):
        yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
