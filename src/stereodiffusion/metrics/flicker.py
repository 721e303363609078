"""Flicker: how much what is wrong in a made video changes from frame to frame.

The warping error of Lai et al. 2018 ("Learning blind video temporal consistency") carries a frame along the motion to
the next and takes the difference. The true video has such an error as well: pixels are resampled, shadows move, borders
are mixtures. Where the truth is known its own part can be taken out: what is carried and compared is the difference of
the made frame from the true one.

What is wrong may be wrong in the same way all the time, and then nothing flickers: an object that stands a pixel too
far to the left, say, which is a line of errors along its border. Two things keep that from counting:

- Errors are compared after a Gaussian of one pixel. A thinner line cannot be carried by fractions of a pixel.
- A line of errors beside a border lies on one surface and moves with the other. So a place may come from where either
  surface there was, whichever explains more.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

_SOFTENED_PX = 1.0
_BESIDE_PX = 2  # how far from a surface's border its motion counts

Flow = Float32[np.ndarray, "h w 2"]


def flicker(
    before: Float32[np.ndarray, "h w 3"],
    here: Float32[np.ndarray, "h w 3"],
    back: Flow,
    disparity: Float32[np.ndarray, "h w"],
    region: Bool[np.ndarray, "h w"],
) -> float:
    """How much an error changes along the motion: mean absolute difference, in the unit of the errors.

    Args:
        before: A frame of the made video minus the true one.
        here: The same of the next frame.
        back: The true motion: what is at (x, y) here was at (x, y) + back.
        disparity: Of the true frame here, in pixels: tells surfaces apart.
        region: Where to look: places that the frame before shows as well.

    Returns:
        NaN where the region is empty.
    """
    if not region.any():
        return float("nan")
    soft_before, soft_here = (cv2.GaussianBlur(error, (0, 0), _SOFTENED_PX) for error in (before, here))
    motions = (back, _motion_beside(back, disparity), _motion_beside(back, -disparity))
    changes = [np.abs(_carried(soft_before, motion) - soft_here).mean(-1) for motion in motions]
    return float(np.minimum.reduce(changes)[region].mean())


def _carried(field: Float32[np.ndarray, "h w 3"], back: Flow) -> Float32[np.ndarray, "h w 3"]:
    height, width = back.shape[:2]
    column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = column + back[..., 0], row + back[..., 1]
    return cv2.remap(field, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _motion_beside(back: Flow, nearness: Float32[np.ndarray, "h w"]) -> Flow:
    """The motion of what is nearest among the places around each."""
    height, width = nearness.shape
    around = ((_BESIDE_PX, _BESIDE_PX), (_BESIDE_PX, _BESIDE_PX))
    near, flow = np.pad(nearness, around, mode="edge"), np.pad(back, (*around, (0, 0)), mode="edge")
    nearest, motion = nearness.copy(), back.copy()
    for down, right in np.ndindex(2 * _BESIDE_PX + 1, 2 * _BESIDE_PX + 1):
        part = (slice(down, down + height), slice(right, right + width))
        nearer = near[part] > nearest
        nearest[nearer], motion[nearer] = near[part][nearer], flow[part][nearer]
    return motion
