"""The layered depth image seen by the right eye: connected pixels are drawn as pieces of surface, nearest in front.

A pixel at column x lands on t = x - d. Of all that land on one column the nearest (largest d = x - t) is the one with
the largest x, so the depth test is a maximum over source positions. Between connected pixels colour is
interpolated; a pixel without a neighbour on one side reaches half a column further there.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from stereodiffusion.baselines.ldi.layered import NO_LINK, LayeredImage

_HALF = 0.5
_TOLERANCE = 1e-3  # in columns; so that a cell moved by a whole number of columns lands on one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """Which pixels the right eye sees.

    Attributes:
        layer: of the pixel left of each point that is seen, -1 where nothing is.
        column: its column in the layered image.
        next_layer: layer of its neighbour in the next column, towards which colour is interpolated.
        weight: how far towards that neighbour, in [0, 1); 0 without one.
    """

    layer: Int8[np.ndarray, "h w"]
    column: Int[np.ndarray, "h w"]
    next_layer: Int8[np.ndarray, "h w"]
    weight: Float[np.ndarray, "h w"]

    @property
    def hole(self) -> Bool[np.ndarray, "h w"]:
        """Where no pixel is seen."""
        return self.layer < 0


def look(image: LayeredImage, width: int) -> View:
    """Draw all pixels into a view of `width` columns."""
    layer, row, x = np.nonzero(image.present)
    d = image.disparity[layer, row, x]
    lands = x - d.astype(np.float64)
    beside = image.right[layer, row, x]
    end = _land(image, beside, row, x)
    # Where the surface turns away from the eye (the neighbour lands further left) it shows its back: nothing.
    linked = (beside != NO_LINK) & (end > lands)
    from_left = np.zeros(image.present.shape, dtype=bool)
    from_left[beside[linked], row[linked], x[linked] + 1] = True
    start = np.where(from_left[layer, row, x], lands, lands - _HALF)
    end = np.where(linked, end, lands + _HALF)

    first = np.maximum(np.ceil(start - _TOLERANCE), 0).astype(np.intp)
    last = np.minimum(np.ceil(end - _TOLERANCE) - 1, width - 1).astype(np.intp)
    # A cell whose own place is whole must show itself and not its neighbour's end.
    count = np.maximum(last - first + 1, 0)
    piece = np.repeat(np.arange(layer.size), count)
    target = first[piece] + np.arange(piece.size) - np.repeat(np.cumsum(count) - count, count)
    length = np.where(linked, end - lands, 1.0)
    weight = np.where(linked[piece], (target - lands[piece]) / length[piece], 0.0)
    weight = np.where(weight < _TOLERANCE, 0.0, np.minimum(weight, 1.0))
    reach = np.where(linked[piece], weight, np.clip(target - lands[piece], -_HALF, _HALF))
    shape = (image.present.shape[1], width)
    seen = _frontmost(row[piece] * width + target, x[piece] + reach, shape[0] * width).reshape(shape)
    hit = seen >= 0
    chosen, weight = piece[seen[hit]], weight[seen[hit]]
    view = View(
        layer=np.full(shape, -1, dtype=np.int8),
        column=np.zeros(shape, dtype=np.intp),
        next_layer=np.full(shape, NO_LINK, dtype=np.int8),
        weight=np.zeros(shape, dtype=np.float32),
    )
    view.layer[hit], view.column[hit] = layer[chosen], x[chosen]
    view.next_layer[hit], view.weight[hit] = np.where(linked[chosen], beside[chosen], NO_LINK), weight
    return view


def seen_pixels(image: LayeredImage, view: View) -> Bool[np.ndarray, "n h w"]:
    """The pixels of the layered image that contribute to a view."""
    seen = np.zeros(image.present.shape, dtype=bool)
    row, column = np.nonzero(~view.hole)
    x, layer = view.column[row, column], view.layer[row, column]
    seen[layer, row, x] = True
    between = view.weight[row, column] > 0
    seen[view.next_layer[row, column][between], row[between], x[between] + 1] = True
    return seen


def paint(image: LayeredImage, view: View) -> Float[np.ndarray, "h w 3"]:
    """The colours of a view; holes take the colour of the farther of their two neighbours on the row."""
    row = np.arange(view.layer.shape[0])[:, None]
    own = image.colour[np.maximum(view.layer, 0), row, view.column]
    beside = image.colour[np.maximum(view.next_layer, 0), row, view.column + (view.weight > 0)]
    colour = np.where(view.weight[..., None] > 0, own + view.weight[..., None] * (beside - own), own)
    if view.hole.any():
        source = _behind(view)
        colour = np.take_along_axis(colour, source[..., None], axis=1)
    return colour


def _land(
    image: LayeredImage, beside: Int8[np.ndarray, " n"], row: Int[np.ndarray, " n"], x: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Where the linked neighbour in the next column lands; anywhere for pixels without one."""
    nearby = np.minimum(x + 1, image.present.shape[2] - 1)
    return x + 1 - image.disparity[np.maximum(beside, 0), row, nearby].astype(np.float64)


def _frontmost(target: Int[np.ndarray, " n"], source: Float[np.ndarray, " n"], size: int) -> Int[np.ndarray, " m"]:
    """For each target the entry with the largest source position, the later on a tie; -1 where there is none."""
    order = np.argsort(source, kind="stable")
    seen = np.full(size, -1, dtype=np.intp)
    seen[target[order]] = order  # of repeated targets the last one written stays
    return seen


def _behind(view: View) -> Int[np.ndarray, "h w"]:
    """The column to copy from: the own one, or for holes the farther neighbour (the smaller source shift)."""
    width = view.layer.shape[1]
    column = np.broadcast_to(np.arange(width), view.layer.shape)
    before = np.maximum.accumulate(np.where(view.hole, -1, column), axis=1)
    after = np.minimum.accumulate(np.where(view.hole, width, column)[:, ::-1], axis=1)[:, ::-1]
    shift = view.column - column
    left = np.where(before >= 0, np.take_along_axis(shift, np.maximum(before, 0), axis=1), 2 * width)
    right = np.where(after < width, np.take_along_axis(shift, np.minimum(after, width - 1), axis=1), 2 * width)
    nearest = np.where(left < right, before, after)
    return np.where(view.hole, np.clip(nearest, 0, width - 1), column)
