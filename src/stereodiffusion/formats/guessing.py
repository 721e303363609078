"""How the eyes lie in a picture of which nothing is said: by how much its parts resemble each other.

Two eyes see almost the same, so the halves of a frame that holds both are alike to within some columns, and nothing in
ordinary photographs is. In an interlaced picture pixels resemble those two away more than their neighbours. Which eye
is which cannot be seen this way: the left one is taken to come first.
"""

from typing import cast

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor

from stereodiffusion.formats.pictures.raster import over_white

_ALIKE = 0.6
"""Correlation of the halves' detail; those of photographs that hold one view were below 0.45."""

_COMB = 1.25
"""How many times as far neighbours are from each other as from the pixels two away; photographs have at most 1."""

_ROWS, _COLUMNS = 64, 96  # of a half that is looked at
_FARTHEST = 0.1  # disparity, as a fraction of the width
_SHAPES = ((16, 9), (16, 10), (4, 3))


def guess(frame: Float[Tensor, "1 channels h w"]) -> str | None:
    """`sbs`, `top-bottom`, `interlaced-rows`, `interlaced-columns` or `checkerboard`; None if it is none of them."""
    grey = over_white(frame)[0].mean(dim=0).cpu().numpy().astype(np.float32)
    if min(grey.shape) < 16:
        return None
    return _interlaced(grey) or _packed(grey)


def looks_half(height: int, width: int) -> bool:
    """Whether a frame with both eyes in it has the shape of a screen, so that each eye must have been squeezed."""
    return any(abs(width / height / (across / down) - 1) < 0.01 for across, down in _SHAPES)


def _interlaced(grey: Float32[np.ndarray, "h w"]) -> str | None:
    def apart(rows: int, columns: int) -> float:
        moved = grey[rows:, columns:]
        return float(np.abs(moved - grey[: moved.shape[0], : moved.shape[1]]).mean()) + 1e-6

    down, across, aslant = apart(1, 0) / apart(2, 0), apart(0, 1) / apart(0, 2), apart(1, 1)
    if down > _COMB and across > _COMB and aslant < min(apart(1, 0), apart(0, 1)):
        return "checkerboard"
    if max(down, across) <= _COMB:
        return None
    return "interlaced-rows" if down > across else "interlaced-columns"


def _packed(grey: Float32[np.ndarray, "h w"]) -> str | None:
    height, width = grey.shape
    likeness = {}
    if width % 2 == 0:
        likeness["sbs"] = _likeness(grey[:, : width // 2], grey[:, width // 2 :])
    if height % 2 == 0:
        likeness["top-bottom"] = _likeness(grey[: height // 2], grey[height // 2 :])
    best = max(likeness, key=lambda name: likeness[name], default=None)
    return best if best is not None and likeness[best] > _ALIKE else None


def _likeness(one: Float32[np.ndarray, "h w"], other: Float32[np.ndarray, "h w"]) -> float:
    """The best correlation of their detail over all disparities, in small."""
    import cv2

    details: list[Float32[np.ndarray, "rows columns"]] = []
    for half in (one, other):
        small = cv2.resize(half, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
        detail = cast(np.ndarray, small - cv2.GaussianBlur(small, (0, 0), 6))
        details.append(detail.astype(np.float32))
    margin = round(_FARTHEST * _COLUMNS)
    template = details[1][:, margin:-margin]
    if template.std() < 1e-3:
        return 0.0
    return float(cv2.matchTemplate(details[0], template, cv2.TM_CCOEFF_NORMED).max())
