"""What continues beyond the frame, and hides.

A surface that the frame cuts does not end there. The other eye sees more of it: what was just outside this eye's
frame comes into that eye's, before whatever lies farther away. How it looks nobody knows; that it hides what is behind
it does not need to be guessed.
"""

import torch
from torch.nn.functional import pad

from stereodiffusion.geometry.disparity import Disparity, check_disparity
from stereodiffusion.geometry.warp import Eye, splat
from stereodiffusion.types import Region


def hidden_beyond_frame(disparity: Disparity, *, to: Eye = "right") -> Region:
    """The cells of the other eye that show a surface which this eye's frame cut off.

    The outermost columns of the map are taken to go on as they end.

    Args:
        disparity: of this eye, dense enough to have known cells at its sides; unknown ones continue nothing.
        to: the other eye.

    Returns:
        Region of the other eye's view, (b, 1, h, w). Nothing of this eye's picture is seen there.
    """
    check_disparity(disparity)
    reach = int(disparity.pixels.abs().max().ceil()) + 1
    size = disparity.width
    pixels, known = (
        pad(field.to(disparity.pixels.dtype), (reach, reach, 0, 0), mode="replicate")
        for field in (disparity.pixels, disparity.known)
    )
    column = torch.arange(-reach, size + reach, device=pixels.device)
    outside = ((column < 0) | (column >= size)).to(pixels.dtype).expand(pixels.shape).contiguous()
    shown = splat(outside, Disparity(pixels=pixels, known=known > 0), to=to)
    return shown.view[..., reach : reach + size] > 0
