"""How the eyes lie in a picture of which nothing is said: by how much its parts resemble each other.

Two eyes see almost the same, so the halves of a frame that holds both are alike to within some columns, and those of
ordinary photographs are not. In an interlaced picture pixels resemble those two away more than their neighbours. Which
eye is which cannot be seen this way: the left one is taken to come first.
"""

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor

from stereodiffusion.formats.pictures.raster import over_white
from stereodiffusion.geometry import bands

_ALIKE = 0.36
"""How alike the halves' blocks must be, their median. Of 40 photographs of one view the halves had at most 0.28, the
eyes of 19 pairs at least 0.41."""

_SAME_COLOUR = 0.15
"""How far the mean colours of two eyes may be apart; those of 19 pairs were by 0.04 at most."""

_COMB = 1.25
"""How many times as far neighbours are from each other as from the pixels two away; photographs have at most 1."""

_ROWS, _COLUMNS, _GRID = 96, 144, 4  # of a half that is looked at, and its blocks along each side
_FARTHEST = 0.15  # disparity, as a fraction of the width
_SHAPES = ((16, 9), (16, 10), (4, 3))


def guess(frame: Float[Tensor, "1 channels h w"]) -> str | None:
    """`sbs`, `top-bottom`, `interlaced-rows`, `interlaced-columns` or `checkerboard`; None if it is none of them."""
    colours = over_white(frame)[0].cpu().float()
    grey = np.asarray(colours.mean(dim=0), np.float32)
    if min(grey.shape) < 16:
        return None
    found = _interlaced(grey) or _packed(grey)
    if found in ("sbs", "top-bottom"):
        means = [half.mean(dim=(-1, -2)) for half in colours.chunk(2, dim=-1 if found == "sbs" else -2)]
        return found if float((means[0] - means[1]).abs().max()) < _SAME_COLOUR else None
    return found


def looks_half(height: int, width: int) -> bool:
    """Whether a frame with both eyes in it has the shape of a screen, so that each eye must have been squeezed."""
    return any(abs(width / height / (across / down) - 1) < 0.01 for across, down in _SHAPES)


def _interlaced(grey: Float32[np.ndarray, "h w"]) -> str | None:
    def apart(rows: int, columns: int) -> float:
        moved = grey[rows:, columns:]
        still = grey[: moved.shape[0], : moved.shape[1]]
        sums = [np.abs(moved[band.rows] - still[band.rows]).sum(dtype=np.float64) for band in bands(*moved.shape)]
        return float(sum(sums)) / moved.size + 1e-6

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
    """Over the blocks of one half, the median of their best correlation with the same rows of the other."""
    import cv2

    first, second = _detail(one), _detail(other)
    tall, wide, far = _ROWS // _GRID, _COLUMNS // _GRID, round(_FARTHEST * _COLUMNS)
    best: list[float] = []
    for row, column in np.ndindex(_GRID, _GRID):
        rows, start = slice(row * tall, (row + 1) * tall), column * wide
        block = second[rows, start : start + wide]
        if block.std() > 1e-3:  # flat ones are like everything
            around = first[rows, max(0, start - far) : start + wide + far]
            best.append(float(cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED).max()))
    return float(np.median(best)) if len(best) > _GRID else 0.0


def _detail(half: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "rows columns"]:
    """A half in small, without its broad light and shade."""
    import cv2

    small = cv2.resize(half, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(small - cv2.GaussianBlur(small, (0, 0), 6), np.float32)
