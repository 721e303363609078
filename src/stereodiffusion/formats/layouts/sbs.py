"""Both eyes in one frame: side by side, cross-eyed, top-bottom.

Side by side is left eye left, for headsets, 3D television and parallel viewing; cross-eyed is right eye left, for
looking at it without any device. A half frame squeezes each eye to half its width (or height), which players
stretch back; both halves are equally large, so an odd width gains a column.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.formats.pictures.image import resize_image
from stereodiffusion.types import Image


def side_by_side(left: Image, right: Image, size: Literal["full", "half"] = "full") -> Float[Tensor, "b 3 h frame"]:
    """Left eye on the left."""
    if size == "half":
        left, right = (resize_image(eye, eye.shape[-2], (eye.shape[-1] + 1) // 2) for eye in (left, right))
    return torch.cat([left, right], dim=-1)


def cross_eyed(left: Image, right: Image) -> Float[Tensor, "b 3 h frame"]:
    """Right eye on the left."""
    return side_by_side(right, left)


def top_bottom(left: Image, right: Image, size: Literal["full", "half"] = "full") -> Float[Tensor, "b 3 frame w"]:
    """Left eye on top."""
    if size == "half":
        left, right = (resize_image(eye, (eye.shape[-2] + 1) // 2, eye.shape[-1]) for eye in (left, right))
    return torch.cat([left, right], dim=-2)
