"""Parts of a right view that are measured by themselves, beside what the left eye sees and what it does not.

holes    what has to be made up: occlusions without the cracks of a column that a map, rounded to whole columns,
         leaves on slanted surfaces
soft     soft borders: pixels in which a nearer surface and what is behind it are mixed, alpha in [0.02, 0.98], as
         alphaDepth measures them (Zhang et al. 2026, arXiv 2606.00386). There alpha is annotated; here it is
         estimated, from the left picture with its true disparity (`occlusion.matte`), and moved to the right
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch.nn.functional import max_pool2d

from stereodiffusion.geometry import Disparity
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.compose import known_view
from stereodiffusion.types import Image, Region

FURTHER_REGIONS: Final = ("holes", "soft")
"""Their names."""

_CRACK = 3  # columns; what is narrower is no hole, as for GenStereo's authors
_SOFT = 0.02, 0.98


def further_regions(left: Image, truth: Disparity | None, occluded: Region) -> Mapping[str, Region]:
    """The regions by name, of the right view.

    Args:
        left: The left view.
        truth: Its true disparity, known everywhere; without one nothing is known of soft borders, and their region is
            empty.
        occluded: Pixels of the right view that the left eye does not see.
    """
    soft = torch.zeros_like(occluded) if truth is None else soft_borders(left, truth)
    return {"holes": without_cracks(occluded), "soft": soft}


def without_cracks(occluded: Region) -> Region:
    """What is at least three columns wide: a morphological opening along rows; the frame is no border."""
    return _grown(~_grown(~occluded))


def soft_borders(left: Image, truth: Disparity) -> Region:
    """Pixels of the right view that are mixed of two surfaces, of those that the left eye sees."""
    warp = replace(preset("best", "photo").warp, fill="smooth")
    opacity = known_view(left, truth, warp).opacity
    return (opacity >= _SOFT[0]) & (opacity <= _SOFT[1])


def _grown(region: Region) -> Region:
    """A region and the column to each side of it."""
    return max_pool2d(region.float(), (1, _CRACK), stride=1, padding=(0, _CRACK // 2)) > 0
