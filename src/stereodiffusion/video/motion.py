"""Motion between frames: where what is seen in one of them is seen in the other.

Dense inverse search (Kroeger et al., ECCV 2016, "Fast optical flow using dense inverse search"), by OpenCV, in both
directions: what does not come back to where it began is hidden in the other frame, or was not found.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

_LONGEST = 320  # pixels of the side that flow is computed at: measured steadier than at 640
_AGREES_PX = 1.0  # of that side
_AGREES_SHARE = 0.1  # of the motion


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """From one frame, `here`, to another, `there`.

    Attributes:
        flow: (x, y) in pixels: what is at a place here is at that place + flow there.
        reliable: Where both directions agree, and the place lies within the frame.
    """

    flow: Float32[np.ndarray, "h w 2"]
    reliable: Bool[np.ndarray, "h w"]

    def carried(
        self, field: Shaped[np.ndarray, "h w *channels"], *, sharp: bool = False
    ) -> Shaped[np.ndarray, "h w *channels"]:
        """What is there, drawn where it is here; beyond the frame its last row or column.

        Args:
            field: Of the other frame, 8 bits or float32.
            sharp: Cubic, for what is carried again and again; else linear.
        """
        return sampled(field, places(self.flow), cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR)


def between(first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w 3"]) -> tuple[Motion, Motion]:
    """The motion from the first frame to the second, and back."""
    size = first.shape[:2]
    small = tuple(_reduced(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) for picture in (first, second))
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there = np.asarray(search.calc(small[0], small[1], None), np.float32)
    back = np.asarray(search.calc(small[1], small[0], None), np.float32)
    return _checked(there, back, size), _checked(back, there, size)


def chained(first: Motion, second: Motion) -> Motion:
    """From here to there by way of a frame between."""
    flow = first.flow + first.carried(second.flow)
    reliable = first.reliable & (first.carried(second.reliable.astype(np.float32)) > 0.5)
    return Motion(flow=flow, reliable=reliable & inside(places(flow), reliable.shape))


def places(flow: Float32[np.ndarray, "h w 2"]) -> Float32[np.ndarray, "h w 2"]:
    """Where the flow leads: (x, y)."""
    height, width = flow.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)
    return grid + flow


def inside(at: Float32[np.ndarray, "*places 2"], size: tuple[int, ...]) -> Bool[np.ndarray, "*places"]:
    """Which places lie within a frame of a size (height, width)."""
    height, width = size
    x, y = at[..., 0], at[..., 1]
    return (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)


def sampled(
    field: Shaped[np.ndarray, "h w *channels"], at: Float32[np.ndarray, "h2 w2 2"], how: int = cv2.INTER_LINEAR
) -> Shaped[np.ndarray, "h2 w2 *channels"]:
    """A field at fractional places, (x, y)."""
    x, y = (np.ascontiguousarray(at[..., axis]) for axis in (0, 1))
    return cv2.remap(field, x, y, how, borderMode=cv2.BORDER_REPLICATE)


def _checked(
    there: Float32[np.ndarray, "h2 w2 2"], back: Float32[np.ndarray, "h2 w2 2"], size: tuple[int, int]
) -> Motion:
    at = places(there)
    again = there + sampled(back, at)
    off, length = (np.hypot(flow[..., 0], flow[..., 1]) for flow in (again, there))
    agrees = (off <= _AGREES_PX + _AGREES_SHARE * length) & inside(at, there.shape[:2])
    height, width = size
    if there.shape[:2] != size:
        scale = np.array([width / there.shape[1], height / there.shape[0]], np.float32)
        there = cv2.resize(there, (width, height), interpolation=cv2.INTER_LINEAR) * scale
        agrees = cv2.resize(agrees.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return Motion(flow=there, reliable=agrees)


def _reduced(grey: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h2 w2"]:
    height, width = grey.shape
    scale = _LONGEST / max(height, width)
    if scale >= 1:
        return grey
    return cv2.resize(grey, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
