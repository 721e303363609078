"""3D Photography, layer by layer: peel, find depth edges, continue what lies behind them, look again (section 3).

The authors inpaint with trained networks; here depth is continued from the background silhouette, colour by a `Fill`.
Theirs is a photograph to be seen from anywhere; this one is looked at by the right eye only, so only what that eye
sees is filled, and the region to the right of the frame, which no left pixel covers, is filled as well.
"""

import math

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float

from stereodiffusion.baselines.ldi.edges import find_discontinuities, sharpen
from stereodiffusion.baselines.ldi.fill import Fill, exemplar_fill
from stereodiffusion.baselines.ldi.layered import LayeredImage, Surface, from_picture, peel, recoloured, with_layer
from stereodiffusion.baselines.ldi.regions import RIM_PX, Regions, background_silhouette, grow_regions
from stereodiffusion.baselines.ldi.render import look, paint, seen_pixels
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image

_MOST_LAYERS = 6


def photography_3d(left: Image, disparity: Disparity, *, fill: Fill = exemplar_fill) -> Image:
    """The right view by 3D Photography.

    Args:
        left: (1, 3, h, w), sRGB in [0, 1].
        disparity: of the left view on the same grid, d >= 0 in pixels; unknown cells are taken to lie behind the
            known ones beside them (`Disparity.filled`).
        fill: what continues colours behind depth edges; called once per layer (most pictures have two or three).

    Returns:
        (1, 3, h, w), known everywhere. Zero disparity gives the left view bit for bit.

    Raises:
        GeometryError: If the sizes differ, there is more than one picture, a disparity is negative, or the map knows
            nothing.
    """
    _check(left, disparity)
    dense = disparity.filled().pixels[0, 0].detach().to("cpu", torch.float32).numpy()
    colour = left[0].detach().permute(1, 2, 0).to("cpu", torch.float32).numpy()
    image = complete(colour, dense, fill)
    right = paint(image, look(image, left.shape[3]))
    return torch.from_numpy(np.ascontiguousarray(right.transpose(2, 0, 1)))[None].to(left)


def complete(colour: Float[np.ndarray, "h w 3"], disparity: Float[np.ndarray, "h w"], fill: Fill) -> LayeredImage:
    """The layered depth image with everything that the right eye sees of it (sections 3.1 to 3.3)."""
    width = disparity.shape[1]
    sharp = sharpen(disparity)
    margin = math.ceil(float(sharp.max())) + 1 if sharp.max() > 0 else 0
    edges = find_discontinuities(np.pad(sharp, ((0, 0), (0, margin)), constant_values=np.inf))
    image = from_picture(colour, sharp, margin=margin, cut_right=edges.right > 0, cut_down=edges.down > 0)
    frontier: Bool[np.ndarray, "h w2"] | None = None
    while image.layers < _MOST_LAYERS and look(image, width).hole.any():
        surface = peel(image)
        edges = find_discontinuities(surface.disparity)
        regions = grow_regions(image, surface, background_silhouette(surface, edges, frontier=frontier))
        # The region reaches as far as the foreground could hide it; only what is seen has to be made up.
        grown = _with_pixels(image, surface, regions, regions.synthesis, surface.colour)
        seen = seen_pixels(grown, look(grown, width))[-1]
        if not seen.any():
            break
        rim = regions.rim & _within(seen, RIM_PX + 1) & ~seen
        filled = _continued(surface, regions, seen, rim, fill)
        image = _with_pixels(recoloured(image, surface, rim, filled), surface, regions, seen, filled)
        frontier = seen
    return image


def _with_pixels(
    image: LayeredImage,
    surface: Surface,
    regions: Regions,
    present: Bool[np.ndarray, "h w"],
    colour: Float[np.ndarray, "h w 3"],
) -> LayeredImage:
    """A part of the synthesis region as a new layer, connected with the surface where the two meet in depth."""
    disparity = np.where(present, regions.disparity, surface.disparity)
    edges = find_discontinuities(disparity)
    return with_layer(
        image,
        behind=surface,
        colour=colour,
        disparity=disparity,
        present=present,
        cut_right=edges.right > 0,
        cut_down=edges.down > 0,
    )


def _continued(
    surface: Surface, regions: Regions, seen: Bool[np.ndarray, "h w"], rim: Bool[np.ndarray, "h w"], fill: Fill
) -> Float[np.ndarray, "h w 3"]:
    """The colours of the surface with those of the new pixels and of the rim beside them filled in."""
    synthesis = seen | rim
    context = (regions.context | regions.rim) & ~synthesis
    behind = np.where(np.isfinite(surface.disparity), surface.disparity, np.float32(0))
    filled = fill(
        torch.from_numpy(surface.colour).permute(2, 0, 1)[None],
        torch.from_numpy(np.where(seen, regions.disparity, behind))[None, None],
        torch.from_numpy(context)[None, None],
        torch.from_numpy(synthesis)[None, None],
    )
    return filled[0].detach().permute(1, 2, 0).to("cpu", torch.float32).numpy()


def _within(region: Bool[np.ndarray, "h w"], cells: int) -> Bool[np.ndarray, "h w"]:
    """The cells at most so far from a region, along rows and columns."""
    return cv2.dilate(region.astype(np.uint8), np.ones((2 * cells + 1, 2 * cells + 1), np.uint8)) > 0


def _check(left: Image, disparity: Disparity) -> None:
    if left.shape[0] != 1 or disparity.batch != 1:
        raise GeometryError(f"expected one picture and one map, got {left.shape[0]} and {disparity.batch}")
    if tuple(left.shape[2:]) != disparity.size:
        raise GeometryError(
            f"the left view is {left.shape[2]} x {left.shape[3]} but its disparity {disparity.height} x "
            f"{disparity.width}; use disparity.resize(height, width)"
        )
    if bool((disparity.pixels < 0).any()):
        raise GeometryError(f"expected disparities >= 0, got {float(disparity.pixels.min()):g}")
