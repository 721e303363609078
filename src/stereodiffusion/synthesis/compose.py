"""Pixels where pixels are known: the left's own, moved; generated ones in the occlusions alone."""

from dataclasses import dataclass

import torch

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.shift import KnownRight
from stereodiffusion.geometry import Disparity, extend_background, splat, warp_disparity
from stereodiffusion.types import Image, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownView:
    """The right view as far as the left eye sees it.

    Attributes:
        view: The left picture moved in pixels, its occlusions filled from the background behind them.
        seen: The disparity of the right view, known where `view` shows the left's pixels.
    """

    view: Image
    seen: Disparity

    @property
    def visible(self) -> Region:
        """The pixels that show the left's own."""
        return self.seen.known


def known_view(left: Image, disparity: Disparity) -> KnownView:
    """Move a left picture to the right eye.

    Args:
        left: (b, 3, h, w), sRGB in [0, 1].
        disparity: Of the left picture on its grid, final.
    """
    seen = warp_disparity(disparity)
    return KnownView(view=extend_background(splat(left, disparity).view, seen), seen=seen)


def encode_known(backbone: Backbone, known: KnownView) -> KnownRight:
    """The known view in latents; a cell counts as known if all of its pixels are visible."""
    cell = backbone.pixels_per_latent
    hole = torch.nn.functional.max_pool2d((~known.visible).float(), cell)
    return KnownRight(clean=backbone.encode(known.view), cells=hole == 0)


def compose(known: KnownView, generated: Image) -> Image:
    """The known view with its occlusions taken from a generated one.

    Colours are matched at the seam: the difference between both views is continued from where it is known into the
    occlusions, and added to what was generated there.
    """
    difference = extend_background(known.view - generated, known.seen)
    return torch.where(known.visible, known.view, (generated + difference).clamp(0, 1))
