"""Pixels where pixels are known: the left's own, moved; in the occlusions the background, as the model changed it."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.shift import KnownLatents
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import CELLS_AT_ONCE, Disparity, in_bands, splat
from stereodiffusion.occlusion import (
    Layers,
    extend_background,
    hidden_beyond_frame,
    rows_around_borders,
    split_at_borders,
)
from stereodiffusion.settings import Warp
from stereodiffusion.types import Image, Map, Region

_PIXELS_PER_BORDER = 1024  # a photo of so many rows has borders one pixel wide on each side, one of twice as many two
_IN_FRONT_PX = 0.75  # how much farther than what is behind it a border may seem to lie before it counts as hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownView:
    """The right view as far as the left eye sees it, in two layers.

    Attributes:
        behind: The left picture moved in pixels, without soft borders; occlusions continue the background.
        seen: The disparity of `behind`, known where it shows the left's pixels.
        front: Borders of nearer things, colours times opacity.
        opacity: Of `front`, in [0, 1].
    """

    behind: Image
    seen: Disparity
    front: Image
    opacity: Map

    @property
    def view(self) -> Image:
        """Both layers, one over the other."""
        return over(self.front, self.opacity, self.behind).clamp(0, 1)

    @property
    def visible(self) -> Region:
        """The pixels that show the left's own, at least by half."""
        return self.seen.known | (self.opacity >= 0.5)

    def mirrored(self) -> "KnownView":
        """What the other eye would see of the mirrored picture."""
        behind, front, opacity = (layer.flip(-1) for layer in (self.behind, self.front, self.opacity))
        return KnownView(behind=behind, seen=self.seen.mirrored(), front=front, opacity=opacity)


def over(front: Image, opacity: Map, behind: Image) -> Image:
    """A premultiplied layer over another (Porter & Duff 1984)."""
    return front + (1 - opacity) * behind


def border_radius(height: int) -> int:
    """How far from their edge the borders in a picture of so many rows are mixtures, in pixels."""
    return 1 + height // (2 * _PIXELS_PER_BORDER)


def known_view(
    picture: Image, disparity: Disparity, warp: Warp, position: float = 1.0, *, cells: int = CELLS_AT_ONCE
) -> KnownView:
    """Move a picture to another eye: from the left to the right one, or wherever that is.

    Args:
        picture: (b, 3, h, w), sRGB in [0, 1].
        disparity: Of the picture on its grid, dense and final.
        warp: How pixels are moved.
        position: Of the other eye, in baselines to the right; the way to the left is the same on mirrored pictures.
        cells: How many pixels to move at once, about; the result does not depend on it.
    """
    if position < 0:
        return known_view(picture.flip(-1), disparity.mirrored(), warp, -position, cells=cells).mirrored()
    disparity = disparity.scaled(position)
    radius = border_radius(picture.shape[2])
    behind, pixels, known, front, opacity = in_bands(
        partial(_moved, warp=warp, radius=radius),
        picture,
        disparity.pixels,
        disparity.known,
        halo=rows_around_borders(radius),
        cells=cells,
    )
    seen = Disparity(pixels=pixels, known=known)
    behind = extend_background(behind, seen, cells=cells, in_place=True)
    if warp.fill == "exemplars":
        from stereodiffusion.occlusion.exemplars import texture_from_exemplars  # OpenCV takes its time

        behind = texture_from_exemplars(behind, seen, in_place=True)
    return KnownView(behind=behind, seen=seen, front=front, opacity=opacity)


def _moved(
    picture: Image, pixels: Map, known: Region, *, warp: Warp, radius: int
) -> tuple[Image, Map, Region, Image, Map]:
    """A view before its background is continued: that picture, its disparity and where it is known; front, opacity."""
    disparity = Disparity(pixels=pixels, known=known)
    if warp.borders == "hard":
        moved, seen = _with_disparity(picture, disparity)
        front, opacity = torch.zeros_like(picture), torch.zeros_like(pixels)
        behind_disparity = disparity
    else:
        layers = split_at_borders(picture, disparity, radius=radius)
        behind_disparity = layers.behind_disparity
        moved, seen = _with_disparity(layers.behind, behind_disparity)
        front, opacity = _in_front(layers, seen)
    if warp.frame == "continues":
        shown = seen.known & ~hidden_beyond_frame(behind_disparity)
        seen = Disparity(pixels=torch.where(shown, seen.pixels, 0.0), known=shown)
    return moved, seen.pixels, seen.known, front, opacity


def _with_disparity(picture: Image, disparity: Disparity) -> tuple[Image, Disparity]:
    """A moved picture and its disparity, at once."""
    warped = splat(torch.cat([picture, disparity.pixels], 1), disparity)
    moved, pixels = warped.view.split([picture.shape[1], 1], dim=1)
    return moved.to(picture.dtype), Disparity(pixels=pixels, known=warped.visible)


def _in_front(layers: Layers, seen: Disparity) -> tuple[Image, Map]:
    """Borders of nearer things at their new places, colours times opacity, and that opacity."""
    drawn = splat(torch.cat([layers.front, layers.opacity, layers.front_disparity.pixels], 1), layers.front_disparity)
    front, opacity, front_px = drawn.view.split([3, 1, 1], dim=1)
    shown = drawn.visible & (~seen.known | (front_px > seen.pixels - _IN_FRONT_PX))
    return front * shown, opacity * shown


def encode_known(backbone: Backbone, known: KnownView) -> KnownLatents:
    """The known view in latents; a cell counts as known if all of its pixels are visible."""
    cell = backbone.pixels_per_latent
    hole = torch.nn.functional.max_pool2d((~known.visible).float(), cell)
    return KnownLatents(clean=backbone.encode(known.view), cells=hole == 0)


def change_at(height: int, width: int, generated: Image, decoded: Image) -> Float[Tensor, "b 3 {height} {width}"]:
    """What the model changed, at another size: a generated view minus the known one, both decoded."""
    change = resize_image(generated, height, width)
    change -= resize_image(decoded, height, width)
    return change


def compose(known: KnownView, change: Image) -> Image:
    """The known view, with what the model changed in its occlusions.

    Args:
        known: The view before the model has seen it.
        change: The generated view minus the known one, both decoded from latents: what the autoencoder does to colours
            and grain is in both and cancels, so that there is no seam, and what the model leaves alone stays sharp.
    """
    (composed,) = in_bands(_composed, known.behind, known.seen.known, known.front, known.opacity, change)
    return composed


def _composed(behind: Image, known: Region, front: Image, opacity: Map, change: Image) -> tuple[Image]:
    filled = torch.where(known, behind, (behind + change).clamp(0, 1))
    return (over(front, opacity, filled).clamp(0, 1),)
