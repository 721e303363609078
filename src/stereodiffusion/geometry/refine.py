"""Disparity edges snapped to image edges.

Depth estimators draw object borders as ramps, a few pixels wide and a few pixels off. Moved by such a map a border is
drawn out like rubber, half object and half background. What is wanted there is a step, and it belongs where the
colours change: each cell of a ramp joins the nearer or the farther surface, whichever its colour resembles.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.bands import in_bands
from stereodiffusion.geometry.disparity import Disparity
from stereodiffusion.types import Image, Map

_JUMP_PX = 1.0  # what differs less is one surface
_ON = 0.25  # cells nearer than this fraction of the jump to either end lie on that surface
_SLOPE = 0.45  # a slope has half of its cells on neither surface, a border fewer
_COLOUR = 0.2  # difference of colours, RMS of sRGB in [0, 1], that outweighs where the map puts a cell


def snap_to_edges(disparity: Disparity, picture: Image, *, radius: int = 6) -> Disparity:
    """Turn ramps between surfaces into steps that lie on the picture's edges.

    Cells that already lie on a surface stay as they are, and so do slopes.

    Args:
        disparity: of the picture, on its grid, dense.
        picture: (b, 3, h, w), sRGB in [0, 1].
        radius: half the width of the widest ramp that is taken for a border, in cells, at least 2.

    Raises:
        GeometryError: if the map is of another size or batch, or has unknown cells.
    """
    if (disparity.batch, *disparity.size) != (len(picture), *picture.shape[2:]):
        raise GeometryError(f"the picture is {tuple(picture.shape)}, its disparity {tuple(disparity.pixels.shape)}")
    if not bool(disparity.known.all()):
        raise GeometryError("snapping needs a dense map; use disparity.filled()")
    pixels = disparity.pixels
    for reach in (radius, radius // 2):  # wide ramps first, then what they leave
        (pixels,) = in_bands(partial(_snapped, radius=reach), pixels, picture.to(pixels), halo=2 * reach)
    return Disparity(pixels=pixels, known=disparity.known)


def _snapped(pixels: Map, picture: Image, *, radius: int) -> tuple[Map]:
    near, far = _largest(pixels, radius), -_largest(-pixels, radius)
    span = near - far
    height = (pixels - far) / span.clamp(min=_JUMP_PX)  # where between both surfaces the map puts a cell, 0 is far
    on_near, on_far = (height > 1 - _ON).to(pixels), (height < _ON).to(pixels)
    neither = 1 - on_near - on_far
    ramp = (span > _JUMP_PX) & (neither > 0) & (_mean(neither, radius) < _SLOPE)

    (near_px, near_colour), (far_px, far_colour) = (_surface(on, pixels, picture, radius) for on in (on_near, on_far))
    towards_far = _distance(picture, far_colour) - _distance(picture, near_colour)
    joins_near = (height - 0.5) + towards_far / _COLOUR > 0
    return (torch.where(ramp, torch.where(joins_near, near_px, far_px), pixels),)


def _surface(on: Map, pixels: Map, picture: Image, radius: int) -> tuple[Map, Image]:
    """Mean disparity and colour of the cells of one surface around each cell."""
    weight = _mean(on, radius)
    total = _mean(torch.cat([pixels, picture], 1) * on, radius)
    mean = total / weight.clamp(min=torch.finfo(pixels.dtype).tiny)
    return mean[:, :1], mean[:, 1:]


def _distance(one: Image, other: Image) -> Map:
    return (one - other).square().mean(1, keepdim=True).sqrt()


def _largest(field: Map, radius: int) -> Map:
    return max_pool2d(field, 2 * radius + 1, stride=1, padding=radius)


def _mean(field: Float[Tensor, "b c h w"], radius: int) -> Float[Tensor, "b c h w"]:
    return avg_pool2d(field, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)
