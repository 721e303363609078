"""Where one scene ends and the next begins.

Frames of one scene show the same things, moved a little and perhaps lit otherwise. So a frame is carried to the next
along the motion between them and given its brightness and contrast: after a cut the two still differ nearly everywhere.
Fades and flashes change brightness alone, and cut nothing; a quick dissolve is cut where most of it has happened.
"""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from stereodiffusion.video.motion import Motion

_WIDTH = 160  # pixels that frames are compared at: grain and small things average out
_OTHER = 0.1  # difference of colours, in [0, 1], from which a place shows something else
_SHARE = 0.35  # of the places
_LEAST_CONTRAST = 0.02  # a frame with less shows nothing, such as black before a film


def is_cut(before: UInt8[np.ndarray, "h w 3"], here: UInt8[np.ndarray, "h w 3"], back: Motion) -> bool:
    """Whether a scene begins with the frame `here`.

    Args:
        before: The frame before it.
        here: The frame.
        back: The motion from `here` to `before`.
    """
    first, second = _small(back.carried(before)), _small(here)
    contrasts = first.std(), second.std()
    if min(contrasts) < _LEAST_CONTRAST:
        return bool(max(contrasts) >= _LEAST_CONTRAST)
    gain = np.clip(contrasts[1] / contrasts[0], 0.5, 2.0)
    alike = (first - first.mean()) * gain + second.mean()
    return bool((np.abs(alike - second).max(-1) > _OTHER).mean() > _SHARE)


def _small(picture: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h2 w2 3"]:
    height, width = picture.shape[:2]
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
