"""Texture for occlusions: the picture's own, on top of the smooth continuation of the background.

What lies behind an edge or beyond the frame nobody knows; its low frequencies are told best by a smooth continuation
(`extend`), which as a picture is a smear. How it would look if it were sharp, exemplars tell: known patches that could
go on there (`quilting`). With C the continuation, X the exemplars, D = l (X - C) and L a low pass over the hole, it
becomes C plus

    T = g (D - (1 - q) L D),    damped to (r + (1 - r) q⁶) T / √(1 + (|T| (1 - q) / s)²)

where q in [0, 1] is how far the exemplars agreed with what is known, and l how far they are of the continuation's
colour. A pattern that repeats is continued as it is. Of anything else the high frequencies alone are taken, and what is
strong in these is damped to a contrast of about s: grain and weave are alike everywhere, an edge that nothing speaks
for, or a second eye, is worse than none. Of another material nothing is taken. g is 1 for what is trusted, and more
than 1 for what is not: patches that have nothing to do with each other average away where they overlap.

r in [0, 1] is how much room a hole has for texture: none beside what is known and in a narrow gap. There the
continuation is right, lines that run into the hole above all, and whatever else is laid over it breaks them; a pattern
that repeats does not.
"""

from math import ceil

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import avg_pool2d

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.bands import Band, in_parts
from stereodiffusion.geometry.disparity import Disparity
from stereodiffusion.geometry.threads import side_by_side, threads_for
from stereodiffusion.occlusion.extend import draw_rows
from stereodiffusion.occlusion.quilting import PATCH, Canvas, Colours, Copy, Mask, quilt
from stereodiffusion.occlusion.weighted import weighted_mean
from stereodiffusion.types import Image, Map

_CELLS_ACROSS = 400  # about, of the grid on which exemplars are looked for: the root of its area is no larger
_BESIDE_BORDER = 2  # pixels at the edge of what is known that may be mixed of two surfaces
_LOW_PASS = 3.0  # deviation of L, in cells of that grid
_STRONG = 0.063  # s, Euclidean, sRGB in [0, 1]
_GIVEN_BACK = 1.4  # g of what is not trusted at all
_RIM = 4.0  # cells from what is known to where there is all of the texture
_NARROW = 8.0  # cells across; in a gap of half of it there is no texture, in one of one and a half there is all
_FEATHERED = 3  # patches fade in over the first part of so many, and out over the last
_FAINTEST = 1e-4  # weight of the outermost pixels of a patch, so that what only they cover is covered


def texture_from_exemplars(
    filled: Float[Tensor, "b 3 h w"], seen: Disparity, *, in_place: bool = False
) -> Float[Tensor, "b 3 h w"]:
    """Give smoothly filled holes the texture that the picture has beside them.

    Args:
        filled: a view whose holes were filled by `extend_background`, sRGB in [0, 1].
        seen: the disparity of that view, known where it is no hole.
        in_place: whether `filled` itself may be changed: a large picture has no room for another.

    Returns:
        The view, in [0, 1] in its holes; known cells keep their values, and so does a hole for which the picture has
        no exemplar, one smaller than a patch for instance. The same input gives the same result.

    Raises:
        GeometryError: if the disparity is of another size or batch, or the view has not three channels.
    """
    if tuple(filled.shape) != (seen.batch, 3, *seen.size):
        raise GeometryError(
            f"expected a view {(seen.batch, 3, *seen.size)} like its disparity, got {tuple(filled.shape)}"
        )
    if bool(seen.known.all()):
        return filled
    textured = filled.to("cpu", torch.float32, copy=not in_place)
    for number in range(seen.batch):
        one = slice(number, number + 1)
        _lay_texture(textured[one], Disparity(pixels=seen.pixels[one], known=seen.known[one]))
    result = textured.to(filled)
    return result if textured.dtype == filled.dtype else torch.where(seen.known, filled, result)


def _lay_texture(view: Image, seen: Disparity) -> None:
    """Changes the holes of one view, (1, 3, h, w)."""
    height, width = seen.size
    cell = max(1, ceil((height * width) ** 0.5 / _CELLS_ACROSS))
    if min(height, width) < cell * PATCH or not bool(seen.known.any()):
        return
    canvas = _canvas(view, seen, cell)
    copies = [*quilt(canvas, threads=threads_for(view.device))]
    low = _low_pass(_laid(canvas.colours, canvas.hole, copies)[0], canvas.hole)
    colours, hole = view[0].movedim(0, -1).numpy(), ~seen.known.cpu().numpy()[0, 0]
    deep = np.minimum(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3) / np.float32(_RIM * cell), 1)

    def lay(band: Band) -> None:
        """Looks at holes of these rows and at what is known of others."""
        here = hole[band.rows]
        difference, trust = _laid(colours, hole, copies, cell, band.rows)
        doubt = 1 - trust
        texture = (1 + (_GIVEN_BACK - 1) * doubt) * (difference - doubt * _enlarged(low, cell, band.rows, width))
        strength = np.linalg.norm(texture, axis=-1, keepdims=True) * doubt / np.float32(_STRONG)
        room = (deep[band.rows] * _wide(~here, cell))[..., None]
        texture *= (room + (1 - room) * trust**6) / np.sqrt(1 + strength**2)
        colours[band.rows][here] = (colours[band.rows] + texture)[here].clip(0, 1)

    cut, threads = in_parts(height, width, view.device)
    for _ in side_by_side(lay, cut, threads=threads):
        pass


def _canvas(view: Image, seen: Disparity, cell: int) -> Canvas:
    """One view on a grid of coarse cells."""
    known = seen.known.cpu().numpy()[0, 0]
    clear = cv2.erode(known.astype(np.uint8), np.ones((2 * _BESIDE_BORDER + 1,) * 2, np.uint8), borderValue=1)
    behind, distance = draw_rows(seen.pixels, seen)
    return Canvas(
        colours=_shrunk(view, cell),
        disparity=_shrunk(behind.float().cpu(), cell)[..., 0] / np.float32(cell),
        hole=_shrunk(_as_map(known), cell)[..., 0] < 1,
        usable=_shrunk(_as_map(clear), cell)[..., 0] == 1,
        distance=_shrunk(distance.float().cpu(), cell)[..., 0] / np.float32(cell),
    )


def _wide(known: Mask, cell: int) -> Float[np.ndarray, "h w"]:
    """How far rows of holes are wide enough for texture: 0 in narrow gaps, 1 in wide ones and at the frame."""
    width = np.int32(known.shape[1])
    column = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(known, column, np.int32(-1)), axis=1)
    after = np.minimum.accumulate(np.where(known, column, width)[:, ::-1], axis=1)[:, ::-1]
    across = np.where((before < 0) | (after == width), np.float32(np.inf), (after - before - 1).astype(np.float32))
    return (across / np.float32(_NARROW * cell) - np.float32(0.5)).clip(0, 1)


def _laid(
    view: Colours, hole: Mask, copies: list[Copy], cell: int = 1, rows: slice | None = None
) -> tuple[Colours, Float[np.ndarray, "h2 w 1"]]:
    """What exemplars change in holes, D, and how far they are trusted, on some rows; both 0 where there are none.

    Patches fade into one another where they overlap.
    """
    rows = rows or slice(0, len(view))
    size, (height, width) = PATCH * cell, hole.shape
    change = np.zeros((rows.stop - rows.start, width, 3), np.float32)
    weight, trust = np.zeros_like(change[..., :1]), np.zeros_like(change[..., :1])
    window = _faded(size)
    for copy in copies:
        row, column, down, right = (cell * at for at in (copy.row, copy.column, copy.down, copy.right))
        first, last = max(row, rows.start), min(row + size, height - max(down, 0), rows.stop)
        end = min(column + size, width - max(right, 0))
        if first >= last:
            continue
        here = np.s_[first:last, column:end]
        there = np.s_[first + down : last + down, column + right : end + right]
        share = window[first - row : last - row, : end - column] * hole[here][..., None]
        laid = np.s_[first - rows.start : last - rows.start, column:end]
        change[laid] += share * np.float32(copy.likeness) * (view[there] - view[here])
        trust[laid] += share * np.float32(copy.trust)
        weight[laid] += share
    np.maximum(weight, np.finfo(np.float32).tiny, out=weight)
    return change / weight, trust / weight


def _faded(size: int) -> Float[np.ndarray, "size size 1"]:
    """Weights of the pixels of a patch: 1 in the middle, next to nothing at its rim."""
    place = (np.arange(size, dtype=np.float32) + 0.5) / size
    ramp = np.sin(np.pi / 2 * np.minimum(_FEATHERED * np.minimum(place, 1 - place), 1)) ** 2
    return (ramp[:, None] * ramp + np.float32(_FAINTEST))[..., None]


def _low_pass(change: Colours, hole: Mask) -> Colours:
    """Means over what of a hole lies around each cell."""
    inside = hole[..., None].astype(np.float32)
    sums = cv2.GaussianBlur(np.concatenate([change * inside, inside], axis=-1), (0, 0), _LOW_PASS)
    return weighted_mean(torch.from_numpy(sums[..., :3]), torch.from_numpy(sums[..., 3:]))[0].numpy()


def _enlarged(low: Colours, cell: int, rows: slice, width: int) -> Colours:
    """Some rows of coarse colours at full size."""
    column = (np.arange(width, dtype=np.float32) + 0.5) / cell - 0.5
    row = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) / cell - 0.5
    across = np.ascontiguousarray(np.broadcast_to(column, (len(row), width)))
    down = np.ascontiguousarray(np.broadcast_to(row[:, None], (len(row), width)))
    return np.asarray(cv2.remap(low, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _shrunk(field: Float[Tensor, "1 c h w"], cell: int) -> Float[np.ndarray, "h2 w2 c"]:
    """Means of squares of pixels; at the end, of what there is of them."""
    means = avg_pool2d(field, cell, ceil_mode=True)
    return np.ascontiguousarray(means[0].movedim(0, -1).numpy())


def _as_map(region: Shaped[np.ndarray, "h w"]) -> Map:
    return torch.from_numpy(region.astype(np.float32))[None, None]
