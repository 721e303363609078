"""What continues beyond the frame, and hides.

A surface that the frame cuts does not end there. The other eye sees more of it: what was just outside this eye's
frame comes into that eye's, before whatever lies farther away. How it looks nobody knows; that it hides what is behind
it does not need to be guessed.
"""

import torch
from torch.nn.functional import pad

from stereodiffusion.geometry.disparity import Disparity, check_disparity
from stereodiffusion.geometry.warp import Eye, splat
from stereodiffusion.types import Map, Region

_BESIDE = 4  # columns: more than a cell draws to either side of where it lands


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
    strip = 2 * reach + _BESIDE  # what comes in lands within reach of its side, and hides what comes from twice as far
    if 2 * strip >= disparity.width:
        return _hidden(disparity.pixels, disparity.known, (reach, reach), to)
    hidden = torch.zeros_like(disparity.known)
    for columns, sides in ((slice(0, strip), (reach, 0)), (slice(-strip, None), (0, reach))):
        hidden[..., columns] = _hidden(disparity.pixels[..., columns], disparity.known[..., columns], sides, to)
    return hidden


def _hidden(pixels: Map, known: Region, sides: tuple[int, int], to: Eye) -> Region:
    """What shows a surface of columns that are added to a map on its left and right."""
    before, after = sides
    size = pixels.shape[-1]
    further, given = (pad(field.to(pixels.dtype), (before, after, 0, 0), mode="replicate") for field in (pixels, known))
    column = torch.arange(-before, size + after, device=pixels.device)
    outside = ((column < 0) | (column >= size)).to(pixels.dtype).expand(further.shape).contiguous()
    shown = splat(outside, Disparity(pixels=further, known=given > 0), to=to)
    return shown.view[..., before : before + size] > 0
