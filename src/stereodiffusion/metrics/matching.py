"""Disparity measured on a pair: by semi-global matching, or by anything else that maps two views to a disparity.

A generated pair has no true disparity, only one that was asked for; measuring tells whether a viewer gets it.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics.levels import colour_levels, luma
from stereodiffusion.metrics.region import check_alike
from stereodiffusion.types import Image, Region

_BLOCK = 3
_UNIQUENESS_PERCENT = 5
_SUBPIXEL = 16  # StereoSGBM's integers are sixteenths of a pixel
_STEP = 2 / 255  # in luma, from one column to the next
_AROUND_PX = 3


@runtime_checkable
class Matcher(Protocol):
    """Anything that measures disparity; a network fits as well as `SemiGlobalMatcher`."""

    def __call__(self, left: Image, right: Image) -> Disparity:
        """The disparity of the left view in pixels, of either sign; unknown where nothing matches."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SemiGlobalMatcher:
    """OpenCV's StereoSGBM (Hirschmueller 2008) with fixed settings, the same for every method that is measured.

    Three paths (`MODE_SGBM_3WAY`), colour, blocks of 3 x 3, penalties 8 and 32 times the block's values. A best match
    must be 5 % better than any other, which leaves flat areas unknown; no left-right or speckle filter. Both signs are
    searched, so that swapped eyes are found as such. Beyond the frame the views are continued by their border.

    Attributes:
        reach: The largest |disparity| that is searched, as a fraction of the width in (0, 1].
    """

    reach: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.reach <= 1:
            raise GeometryError(f"reach must be a fraction of the width in (0, 1], got {self.reach}")

    def __call__(self, left: Image, right: Image) -> Disparity:
        """See `Matcher`."""
        check_alike(left, right)
        reach = max(int(np.ceil(self.reach * left.shape[3] / 16)) * 16, 16)  # the range must be a multiple of 16
        views = zip(colour_levels(left), colour_levels(right), strict=True)
        found = np.stack([_semi_global(a, b, reach) for a, b in views])[:, None]
        pixels, known = torch.from_numpy(found).to(left.device), torch.from_numpy(found >= -reach).to(left.device)
        return Disparity(pixels=torch.where(known, pixels, 0.0), known=known)


class MatchedPair(NamedTuple):
    """The disparities measured on a pair, for each eye.

    Attributes:
        left: Of the left view: its column x is at x - d on the right.
        right: Of the right view: its column x is at x + d on the left.
    """

    left: Disparity
    right: Disparity

    def consistent(self, tolerance_px: float = 1.0) -> Disparity:
        """The left view's disparity, known only where the right view's says the same."""
        width = self.left.width
        column = torch.arange(width, device=self.left.pixels.device)
        landing = (column - self.left.pixels).round().long()
        known = self.left.known & (landing >= 0) & (landing < width)
        landing = landing.clamp(0, width - 1)
        known &= self.right.known.gather(-1, landing)
        known &= (self.right.pixels.gather(-1, landing) - self.left.pixels).abs() <= tolerance_px
        return Disparity(pixels=torch.where(known, self.left.pixels, 0.0), known=known)


def match_pair(left: Image, right: Image, matcher: Matcher) -> MatchedPair:
    """Measure both eyes' disparity; that of the right is the left one of the mirrored pair.

    Raises:
        GeometryError: If the sizes differ.
    """
    mirrored = matcher(right.flip(-1), left.flip(-1))
    return MatchedPair(
        left=matcher(left, right),
        right=Disparity(pixels=mirrored.pixels.flip(-1), known=mirrored.known.flip(-1)),
    )


def matchable(view: Image) -> Region:
    """The cells near which the luma changes along the row: elsewhere there is no disparity to measure.

    Near is within 3 pixels, a change is at least 2 levels of 255 from one column to the next.
    """
    step = functional.pad(luma(view).diff(dim=-1).abs() >= _STEP, (0, 1)).to(view.dtype)
    return functional.max_pool2d(step, 2 * _AROUND_PX + 1, stride=1, padding=_AROUND_PX) > 0


def _semi_global(left: NDArray[np.uint8], right: NDArray[np.uint8], reach: int) -> NDArray[np.float32]:
    """Disparity in pixels, below -reach where there is no match."""
    values = 3 * _BLOCK**2
    matcher = cv2.StereoSGBM.create(
        minDisparity=-reach,
        numDisparities=2 * reach,
        blockSize=_BLOCK,
        P1=8 * values,
        P2=32 * values,
        disp12MaxDiff=-1,
        preFilterCap=63,
        uniquenessRatio=_UNIQUENESS_PERCENT,
        speckleWindowSize=0,
        mode=cv2.StereoSGBM_MODE_SGBM_3WAY,
    )
    padded = (cv2.copyMakeBorder(view, 0, 0, reach, reach, cv2.BORDER_REPLICATE) for view in (left, right))
    disparity = matcher.compute(*padded)[:, reach:-reach]
    return disparity.astype(np.float32) / np.float32(_SUBPIXEL)
