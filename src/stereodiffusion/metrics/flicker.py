"""Flicker: how much what is wrong in a made video changes from frame to frame.

The warping error of Lai et al. 2018 ("Learning blind video temporal consistency") carries a frame along the motion to
the next and takes the difference. The true video has such an error as well: pixels are resampled, shadows move, borders
are mixtures. Where the truth is known its own part can be taken out: what is carried and compared is the difference of
the made frame from the true one, which does not change where nothing flickers.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32


def flicker(
    before: Float32[np.ndarray, "h w 3"],
    here: Float32[np.ndarray, "h w 3"],
    back: Float32[np.ndarray, "h w 2"],
    region: Bool[np.ndarray, "h w"],
) -> float:
    """How much an error changes along the motion: mean absolute difference, in the unit of the errors.

    Args:
        before: A frame of the made video minus the true one.
        here: The same of the next frame.
        back: The true motion: what is at (x, y) here was at (x, y) + back.
        region: Where to look: places that the frame before shows as well.

    Returns:
        NaN where the region is empty.
    """
    if not region.any():
        return float("nan")
    height, width = region.shape
    column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = column + back[..., 0], row + back[..., 1]
    carried = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return float(np.abs(carried - here)[region].mean())
