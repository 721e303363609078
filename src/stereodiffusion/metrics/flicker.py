"""Flicker: what changes from one frame of a video to the next although it only moves.

The frame before is carried along the true motion and compared: mean absolute difference of sRGB levels (0 to 255), as
the warping error of Lai et al. 2018 ("Learning blind video temporal consistency"). The true video has some as well,
since pixels are resampled, shadows move and borders are mixtures: that is the floor.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8


def flicker(
    before: UInt8[np.ndarray, "h w 3"],
    here: UInt8[np.ndarray, "h w 3"],
    back: Float32[np.ndarray, "h w 2"],
    region: Bool[np.ndarray, "h w"],
) -> float:
    """The mean difference of a frame to the one before, in levels.

    Args:
        before: The frame before.
        here: The frame.
        back: The true motion: what is at (x, y) here was at (x, y) + back.
        region: Where to look: places that the frame before shows as well.

    Returns:
        NaN where the region is empty.
    """
    if not region.any():
        return float("nan")
    height, width = region.shape
    grid = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)
    carried = cv2.remap(before.astype(np.float32), grid + back, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return float(np.abs(carried - here)[region].mean())
