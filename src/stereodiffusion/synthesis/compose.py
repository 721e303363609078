"""Pixels where pixels are known: the left's own, moved; in the occlusions the background, as the model changed it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.config import StereoConfig
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.shift import KnownRight
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import (
    Disparity,
    Layers,
    extend_background,
    hidden_beyond_frame,
    splat,
    split_at_borders,
    warp_disparity,
)
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

    def rows(self, which: slice) -> "KnownView":
        """Some rows of it."""
        pixels, known = self.seen.pixels[:, :, which], self.seen.known[:, :, which]
        behind, front, opacity = (layer[:, :, which] for layer in (self.behind, self.front, self.opacity))
        return KnownView(behind=behind, seen=Disparity(pixels=pixels, known=known), front=front, opacity=opacity)


def over(front: Image, opacity: Map, behind: Image) -> Image:
    """A premultiplied layer over another (Porter & Duff 1984)."""
    return front + (1 - opacity) * behind


def border_radius(height: int) -> int:
    """How far from their edge the borders in a picture of so many rows are mixtures, in pixels."""
    return 1 + height // (2 * _PIXELS_PER_BORDER)


def known_view(
    left: Image, disparity: Disparity, config: StereoConfig, *, radius: int | None = None, rows: slice = slice(None)
) -> KnownView:
    """Move a left picture to the right eye.

    Args:
        left: (b, 3, h, w), sRGB in [0, 1].
        disparity: Of the left picture on its grid, dense and final.
        config: `borders` and `frame`.
        radius: Of soft borders, in pixels; by the picture's height if None.
        rows: Those that are wanted; the others have their say in borders alone, the background goes on without them.
    """
    if config.borders == "hard":
        moved, seen = splat(left, disparity).view, warp_disparity(disparity)
        front, opacity = torch.zeros_like(left), torch.zeros_like(disparity.pixels)
        hidden = hidden_beyond_frame(disparity) if config.frame == "continues" else None
    else:
        layers = split_at_borders(left, disparity, radius=radius or border_radius(left.shape[2]))
        moved, seen = splat(layers.behind, layers.behind_disparity).view, warp_disparity(layers.behind_disparity)
        front, opacity = _in_front(layers, seen)
        hidden = hidden_beyond_frame(layers.behind_disparity) if config.frame == "continues" else None
        del layers  # of a large picture they are most of the memory
    if hidden is not None:
        known = seen.known & ~hidden
        seen = Disparity(pixels=torch.where(known, seen.pixels, 0.0), known=known)
    moved, front, opacity = moved[:, :, rows], front[:, :, rows], opacity[:, :, rows]
    seen = Disparity(pixels=seen.pixels[:, :, rows], known=seen.known[:, :, rows])
    return KnownView(behind=extend_background(moved, seen), seen=seen, front=front, opacity=opacity)


def _in_front(layers: Layers, seen: Disparity) -> tuple[Image, Map]:
    """Borders of nearer things at their new places, colours times opacity, and that opacity."""
    drawn = splat(torch.cat([layers.front, layers.opacity, layers.front_disparity.pixels], 1), layers.front_disparity)
    front, opacity, front_px = drawn.view.split([3, 1, 1], dim=1)
    shown = drawn.visible & (~seen.known | (front_px > seen.pixels - _IN_FRONT_PX))
    return front * shown, opacity * shown


def encode_known(backbone: Backbone, known: KnownView) -> KnownRight:
    """The known view in latents; a cell counts as known if all of its pixels are visible."""
    cell = backbone.pixels_per_latent
    hole = torch.nn.functional.max_pool2d((~known.visible).float(), cell)
    return KnownRight(clean=backbone.encode(known.view), cells=hole == 0)


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
    filled = torch.where(known.seen.known, known.behind, (known.behind + change).clamp(0, 1))
    return over(known.front, known.opacity, filled).clamp(0, 1)
