"""Depth held steady: an estimator looks at each frame for itself, so scale and shift jump, and borders tremble.

1. Aligned. The relief of a frame, affine in inverse depth, gets the scale and the shift with which it fits that of the
   frame before, carried along the motion between them (`aligned`). The fit is the reduced major axis, the ratio of the
   spreads: a regression would shrink relief a little with every frame, since noise weakens the correlation. A leash
   pulls scale and shift back to the frame's own, so that errors do not add up and new things find their place.
2. Smoothed. A place's relief becomes the trimmed mean of what the three frames before and the three after say of it,
   along the motion (`smoothed`): of seven values the middle five. The window is as wide to either side, so what moves
   evenly nearer or farther keeps its depth: there is no lag.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from stereodiffusion.video.motion import Motion

Relief = Float32[np.ndarray, "h w"]
"""How near things are: 0 is the farthest of the scene's first frame, 1 the nearest."""

_LEASH = 0.02  # of the way back to the frame's own range, each frame: half of it in 35 frames
_ROUNDS = 4
_OUTLIERS = 3.0  # in median absolute differences
_LEAST = 0.05  # share of the places that must be found again for a fit
_MOST_SCALE = 2.0
_FLAT = 1e-3  # spread below which there is no relief to fit


def aligned(own: Relief, before: Relief, back: Motion) -> Relief:
    """The relief of a frame on the scale of the frame before it; in [0, 1].

    Args:
        own: As estimated from the frame, its range stretched to [0, 1].
        before: The aligned relief of the frame before.
        back: The motion to that frame.
    """
    scale, shift = fitted(own[back.reliable], back.carried(before)[back.reliable], places=own.size)
    scale += _LEASH * (1 - scale)
    shift -= _LEASH * shift
    return np.clip(scale * own + shift, 0, 1).astype(np.float32)


def fitted(own: Float32[np.ndarray, " n"], before: Float32[np.ndarray, " n"], *, places: int) -> tuple[float, float]:
    """(scale, shift) so that `scale * own + shift` is like `before`; (1, 0) where too little is known.

    Args:
        own: Relief at places that are found again.
        before: Relief that the same places had.
        places: How many there are in all.
    """
    known = np.ones(own.shape, bool)
    scale, shift = 1.0, 0.0
    for _ in range(_ROUNDS):
        x, y = own[known], before[known]
        if x.size < _LEAST * places or min(x.std(), y.std()) < _FLAT:
            return 1.0, 0.0
        scale = float(np.clip(y.std() / x.std(), 1 / _MOST_SCALE, _MOST_SCALE))
        shift = float(y.mean() - scale * x.mean())
        off = np.abs(scale * own + shift - before)
        known = off <= _OUTLIERS * max(float(np.median(off)), _FLAT)
    return scale, shift


def smoothed(here: Relief, around: Sequence[tuple[Relief, Motion]]) -> Relief:
    """The trimmed mean over neighbouring frames, along the motion.

    Args:
        here: Aligned relief of the frame.
        around: That of neighbours, as many before as after, and the motion from here to each. Where that is not
            reliable the pair of neighbours that are as far before and after says nothing.
    """
    values = [here]
    for (before, back), (after, on) in zip(around[::2], around[1::2], strict=True):
        both = back.reliable & on.reliable
        values += [np.where(both, motion.carried(field), here) for field, motion in ((before, back), (after, on))]
    if len(values) == 1:
        return here
    stacked = np.stack(values)
    middle = stacked.sum(0) - stacked.min(0) - stacked.max(0)
    return (middle / np.float32(len(values) - 2)).astype(np.float32)


def stretched(estimated: Relief) -> Relief:
    """An estimate with its range stretched to [0, 1], as a photo's is; flat ones are 0 everywhere."""
    low, high = float(estimated.min()), float(estimated.max())
    return ((estimated - low) / (high - low) if high > low else np.zeros_like(estimated)).astype(np.float32)
