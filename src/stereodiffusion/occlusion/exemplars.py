"""Texture for occlusions: the picture's own, on top of the smooth continuation of the background.

What lies behind an edge or beyond the frame nobody knows; its low frequencies are told best by a smooth continuation
(`extend`), which as a picture is a smear. How it would look if it were sharp, exemplars tell: known patches that could
go on there (`quilting`). With C the continuation, X the exemplars, D = X - C their difference and L a low pass over the
hole, it becomes

    C + max(a, q) (D - (1 - q) L D)

where q in [0, 1] is how far the exemplars agreed with what is known: a pattern that repeats is continued as it is, of
anything else the high frequencies alone are taken, and not all of them: texture that stands elsewhere than the true
one is an error of its own, so a < 1. Strong features that nothing speaks for, such as a second eye, are damped.
"""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.disparity import Disparity
from stereodiffusion.occlusion.extend import draw_rows
from stereodiffusion.occlusion.quilting import PATCH, Canvas, Colours, Copy, Field, Mask, quilt
from stereodiffusion.occlusion.weighted import weighted_mean

_CELLS_ACROSS = 400  # about, of the grid on which exemplars are looked for: the root of its area is no larger
_BESIDE_BORDER = 2  # pixels at the edge of what is known that may be mixed of two surfaces
_LOW_PASS = 3.0  # deviation of L, in cells of that grid
_AMPLITUDE = 0.65  # a
_STRONG = 0.12  # contrast (Euclidean, sRGB in [0, 1]) about which features that nothing speaks for are damped
_FEATHERED = 3  # patches fade in over the first part of so many, and out over the last
_FAINTEST = 1e-4  # weight of the outermost pixels of a patch, so that what only they cover is covered
_LEAST_DOUBT = 1e-3  # 1 - q of what is as certain as can be: it is not damped


def texture_from_exemplars(filled: Float[Tensor, "b 3 h w"], seen: Disparity) -> Float[Tensor, "b 3 h w"]:
    """Give smoothly filled holes the texture that the picture has beside them.

    Args:
        filled: a view whose holes were filled by `extend_background`, sRGB in [0, 1].
        seen: the disparity of that view, known where it is no hole.

    Returns:
        The view, in [0, 1] in its holes; known cells keep their values, and so does a hole for which the picture has
        no exemplar, one smaller than a patch for instance. The same input gives the same result.

    Raises:
        GeometryError: if the disparity is of another size or batch, or there are not three channels.
    """
    if tuple(filled.shape) != (seen.batch, 3, *seen.size):
        raise GeometryError(
            f"expected a view {(seen.batch, 3, *seen.size)} like its disparity, got {tuple(filled.shape)}"
        )
    if bool(seen.known.all()):
        return filled
    behind, distance = (field.float().cpu().numpy()[:, 0] for field in draw_rows(seen.pixels, seen))
    known = seen.known.cpu().numpy()[:, 0]
    views = filled.float().movedim(1, -1).cpu().numpy()
    textured = np.stack([_textured(*fields) for fields in zip(views, behind, distance, known, strict=True)])
    return torch.where(seen.known, filled, torch.from_numpy(textured).movedim(-1, 1).to(filled))


def _textured(view: Colours, behind: Field, distance: Field, known: Mask) -> Colours:
    height, width = known.shape
    cell = max(1, -int(-((height * width) ** 0.5) // _CELLS_ACROSS))
    if min(height, width) < cell * PATCH or not known.any():
        return view
    clear = cv2.erode(known.astype(np.uint8), np.ones((2 * _BESIDE_BORDER + 1,) * 2, np.uint8), borderValue=1) > 0
    canvas = Canvas(
        colours=_shrunk(view, cell),
        disparity=_shrunk(behind, cell) / np.float32(cell),
        hole=_shrunk(known.astype(np.float32), cell) < 1,
        usable=_shrunk(clear.astype(np.float32), cell) == 1,
        distance=_shrunk(distance, cell) / np.float32(cell),
    )
    difference, trust = _laid(view, known, [*quilt(canvas)], cell)
    low = _low_pass(difference, ~known, cell)
    difference -= (1 - trust) * low
    difference *= np.maximum(trust, _AMPLITUDE)
    strength = np.linalg.norm(difference, axis=-1, keepdims=True) / (_STRONG / np.maximum(1 - trust, _LEAST_DOUBT))
    difference /= np.sqrt(1 + strength**2)
    return (view + difference).clip(0, 1)


def _laid(view: Colours, known: Mask, copies: list[Copy], cell: int) -> tuple[Colours, Float[np.ndarray, "h w 1"]]:
    """What exemplars change in holes, X - C, and how far they are trusted; both 0 elsewhere.

    Patches fade into one another where they overlap.
    """
    size = PATCH * cell
    change, weight, trust = np.zeros_like(view), *(np.zeros((*known.shape, 1), np.float32) for _ in range(2))
    window = _faded(size)
    for copy in copies:
        row, column, down, right = (cell * at for at in (copy.row, copy.column, copy.down, copy.right))
        height, width = (
            min(size, length - start, length - start - way)
            for length, start, way in zip(known.shape, (row, column), (down, right), strict=True)
        )
        here = np.s_[row : row + height, column : column + width]
        there = np.s_[row + down : row + down + height, column + right : column + right + width]
        share = window[:height, :width] * ~known[here][..., None]
        change[here] += share * (view[there] - view[here])
        trust[here] += share * np.float32(copy.trust)
        weight[here] += share
    np.maximum(weight, np.finfo(np.float32).tiny, out=weight)
    change /= weight
    trust /= weight
    return change, trust


def _faded(size: int) -> Float[np.ndarray, "size size 1"]:
    """Weights of the pixels of a patch: 1 in the middle, next to nothing at its rim."""
    place = (np.arange(size, dtype=np.float32) + 0.5) / size
    ramp = np.sin(np.pi / 2 * np.minimum(_FEATHERED * np.minimum(place, 1 - place), 1)) ** 2
    return (ramp[:, None] * ramp + np.float32(_FAINTEST))[..., None]


def _low_pass(change: Colours, hole: Mask, cell: int) -> Colours:
    """Means over what of a hole lies around each pixel, computed on coarse cells."""
    height, width = hole.shape
    inside = hole[..., None].astype(np.float32)
    sums = np.concatenate([_shrunk(change * inside, cell), _shrunk(inside, cell)], axis=-1)
    sums = cv2.GaussianBlur(sums, (0, 0), _LOW_PASS)
    mean, _ = weighted_mean(torch.from_numpy(sums[..., :3]), torch.from_numpy(sums[..., 3:]))
    whole = (mean.shape[1] * cell, mean.shape[0] * cell)
    return np.asarray(cv2.resize(mean.numpy(), whole, interpolation=cv2.INTER_LINEAR), np.float32)[:height, :width]


def _shrunk(field: Float[np.ndarray, "h w ..."], cell: int) -> Float[np.ndarray, "h2 w2 ..."]:
    """Means of squares of pixels; at the end the last row and column are repeated."""
    height, width = field.shape[:2]
    padded = np.pad(field, [(0, -height % cell), (0, -width % cell), *[(0, 0)] * (field.ndim - 2)], mode="edge")
    rows, columns = padded.shape[0] // cell, padded.shape[1] // cell
    return padded.reshape(rows, cell, columns, cell, *field.shape[2:]).mean(axis=(1, 3), dtype=np.float32)
