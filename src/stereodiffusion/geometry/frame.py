"""What the sides of the frame cut off: how near the things are that touch them."""

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.disparity import Disparity, check_disparity


def border_parallax(
    disparity: Disparity, *, strip_px: float = 1.0
) -> tuple[Float[Tensor, "b h"], Float[Tensor, "b h"]]:
    """For each row the largest disparity of what touches the frame's left side, and its right side.

    What stands before the screen is seen less by the right eye at the left side, and by the left eye at the right side.
    So the left side is touched by what lies there in the right eye's picture, or beyond it: columns x of the left
    picture with x - d < strip; and the right side by what lies there in the left eye's.

    Args:
        disparity: Of the left picture, as it is shown.
        strip_px: How near the side counts as touching it; a pixel is what a side really cuts.

    Returns:
        In pixels; -inf in rows where nothing known touches that side.

    Raises:
        GeometryError: If it is no `Disparity`, or the strip is not positive.
    """
    check_disparity(disparity)
    if not strip_px > 0:
        raise GeometryError(f"strip_px must be positive, got {strip_px}")
    column = torch.arange(disparity.width, device=disparity.pixels.device)
    at_left = disparity.known & (column - disparity.pixels < strip_px)
    at_right = disparity.known & (column >= disparity.width - strip_px)
    left, right = (torch.where(cut, disparity.pixels, -torch.inf).amax(dim=3)[:, 0] for cut in (at_left, at_right))
    return left, right
