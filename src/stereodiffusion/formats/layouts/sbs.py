"""Both eyes in one frame: side by side, cross-eyed, top-bottom.

Side by side is left eye left, for headsets, 3D television and parallel viewing; cross-eyed is right eye left, for
looking at it without any device. A half frame squeezes each eye to half its width (or height), which players
stretch back; both halves are equally large, so an odd width gains a column.
"""

from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.layouts.squeeze import squeezed

Eye: TypeAlias = Float[Tensor, "b channels h w"]
"""Colours, or colours and alpha."""


def side_by_side(left: Eye, right: Eye, size: Literal["full", "half"] = "full") -> Float[Tensor, "b channels h frame"]:
    """Left eye on the left."""
    if size == "half":
        left, right = (squeezed(eye, eye.shape[-2], (eye.shape[-1] + 1) // 2) for eye in (left, right))
    return torch.cat([left, right], dim=-1)


def cross_eyed(left: Eye, right: Eye) -> Float[Tensor, "b channels h frame"]:
    """Right eye on the left."""
    return side_by_side(right, left)


def top_bottom(left: Eye, right: Eye, size: Literal["full", "half"] = "full") -> Float[Tensor, "b channels frame w"]:
    """Left eye on top."""
    if size == "half":
        left, right = (squeezed(eye, (eye.shape[-2] + 1) // 2, eye.shape[-1]) for eye in (left, right))
    return torch.cat([left, right], dim=-2)


def halves(
    frame: Eye, side: Literal["width", "height"]
) -> tuple[Float[Tensor, "b channels h2 w2"], Float[Tensor, "b channels h2 w2"]]:
    """The left and right, or upper and lower, half of a frame, as views of it: undoes the functions above.

    Raises:
        FormatError: If the side is odd.
    """
    dim = -1 if side == "width" else -2
    if frame.shape[dim] % 2:
        raise FormatError(f"expected two eyes in an even {side}, got {frame.shape[dim]} pixels")
    first, second = frame.chunk(2, dim=dim)
    return first, second
