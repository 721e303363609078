"""Texture from exemplars: patches of the context that look like the surroundings of each cell, laid over one another.

Space-time completion (Wexler et al. 2007) with the random search of PatchMatch (Barnes et al. 2009), from coarse to
fine: for every cell of the region the most similar patch that lies wholly in the context is looked for among the
shifted patches of its neighbours and random ones; then each cell becomes the mean of what the patches over it say.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

_RADIUS = 3
_SIDE = 2 * _RADIUS + 1
_SCALES = (4, 2)
_ROUNDS = 3
_VOTE_RADIUS = 2
_RANDOM_REACH = (48, 16, 6)  # cells of the grid that is searched; one random candidate each
_SAME_DEPTH_PX = 3.0
_DEPTH_COST = 0.01  # of a patch at another depth, in squared colour a pixel
_SAME_SHADE = 0.004  # squared difference of mean colours, beyond which a patch does not fit at all
_TRUST_IN_NEW = 0.3  # weight of cells that are filled themselves, beside 1 for the context


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canvas:
    """One scale of the picture that is being completed.

    Attributes:
        colour: its colours; those of the region are what has been synthesised so far.
        disparity: in pixels of the full size.
        trust: weight of each cell in comparisons: 0 for what is neither context nor region.
        source: the cells that the centre of an exemplar may lie on.
        region: the cells to fill.
    """

    colour: Float[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    trust: Float[np.ndarray, "h w"]
    source: Bool[np.ndarray, "h w"]
    region: Bool[np.ndarray, "h w"]


def refine_with_exemplars(
    colour: Float[np.ndarray, "h w 3"],
    disparity: Float[np.ndarray, "h w"],
    context: Bool[np.ndarray, "h w"],
    region: Bool[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w 3"]:
    """Give a smoothly filled region the texture of its context; where no exemplar fits it stays smooth.

    Args:
        colour: the picture with the region filled in already.
        disparity: of all cells, in pixels.
        context: where exemplars come from.
        region: what is filled, disjoint from the context.
    """
    generator = np.random.default_rng(0)  # the same picture gives the same result
    found: _Matches | None = None
    for scale in _SCALES:
        canvas = _canvas(colour, disparity, context, region, scale)
        if not canvas.source.any():  # the context is too narrow for a patch of this size
            continue
        found = _start(canvas, found)
        for _ in range(_ROUNDS):
            found = _search(canvas, found, generator)
            canvas.colour[canvas.region] = _vote(canvas, found)[canvas.region]
    if found is None:
        return colour
    fine = Canvas(colour=colour, disparity=disparity, trust=context.astype(np.float32), source=context, region=region)
    return np.where(region[..., None], _vote(fine, _enlarged(found, region, _SCALES[-1])), colour)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Matches:
    """For each cell how far away its exemplar lies, and how different that is.

    Infinitely where no exemplar fits, and outside the region.
    """

    shift: Int[np.ndarray, "h w 2"]
    cost: Float[np.ndarray, "h w"]


def _canvas(
    colour: Float[np.ndarray, "h w 3"],
    disparity: Float[np.ndarray, "h w"],
    context: Bool[np.ndarray, "h w"],
    region: Bool[np.ndarray, "h w"],
    scale: int,
) -> Canvas:
    """Shrink by a whole number: cells are means of what is usable in them, and context if no part is filled."""
    usable = (context | region).astype(np.float32)
    share = _shrink(usable, scale)
    mean = np.maximum(share, 1e-6)
    small = _shrink(colour * usable[..., None], scale) / mean[..., None]
    depth = _shrink(disparity * usable, scale) / mean
    filled = _shrink(region.astype(np.float32), scale) > 0
    clean = (share > 0) & ~filled
    whole = (_shrink(context.astype(np.float32), scale) > 0.999).astype(np.uint8)
    kernel = np.ones((_SIDE, _SIDE), dtype=np.uint8)
    inside = cv2.erode(whole, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    trust = np.where(filled, np.float32(_TRUST_IN_NEW), clean.astype(np.float32))
    return Canvas(colour=small, disparity=depth, trust=trust, source=inside, region=filled)


def _shrink(values: Float[np.ndarray, "h w ..."], scale: int) -> Float[np.ndarray, "h2 w2 ..."]:
    """Means of squares of cells; beyond the picture is 0."""
    height, width = values.shape[:2]
    spare = [(0, -height % scale), (0, -width % scale)] + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, spare)
    rows, columns = padded.shape[0] // scale, padded.shape[1] // scale
    return padded.reshape(rows, scale, columns, scale, *values.shape[2:]).mean(axis=(1, 3), dtype=np.float32)


def _start(canvas: Canvas, coarser: _Matches | None) -> _Matches:
    """The matches of the coarser scale, or the closest exemplar where there are none that may be used."""
    height, width = canvas.region.shape
    _, label = cv2.distanceTransformWithLabels(
        (~canvas.source).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label = label.astype(np.intp)
    place = np.zeros((int(label.max()) + 1, 2), dtype=np.intp)
    place[label[canvas.source]] = np.argwhere(canvas.source)
    here = np.argwhere(np.ones((height, width), dtype=bool)).reshape(height, width, 2)
    shift = place[label] - here
    if coarser is not None:
        larger = _enlarged(coarser, canvas.region, 2).shift
        shift = np.where(_allowed(canvas, here + larger)[..., None], larger, shift)
    return _Matches(shift=shift, cost=np.full(canvas.region.shape, np.inf, dtype=np.float32))


def _enlarged(matches: _Matches, like: Bool[np.ndarray, "h w"], scale: int) -> _Matches:
    """Matches on a finer grid of a given size."""
    height, width = like.shape
    shift = matches.shift.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width] * scale
    cost = matches.cost.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]
    return _Matches(shift=shift, cost=np.where(like, cost, np.float32(np.inf)))


def _allowed(canvas: Canvas, place: Int[np.ndarray, "... 2"]) -> Bool[np.ndarray, "..."]:
    """Whether an exemplar may be centred at these places."""
    height, width = canvas.source.shape
    y, x = place[..., 0], place[..., 1]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return inside & canvas.source[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]


def _search(canvas: Canvas, matches: _Matches, generator: np.random.Generator) -> _Matches:
    """One round of PatchMatch for all cells at once: what suits the neighbours, then random places nearby."""
    cells = np.argwhere(canvas.region)
    y, x = cells.T
    height, width = canvas.region.shape
    pad = ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS))
    patches = np.lib.stride_tricks.sliding_window_view(np.pad(canvas.colour, (*pad, (0, 0))), (_SIDE, _SIDE), (0, 1))
    depths = np.lib.stride_tricks.sliding_window_view(np.pad(canvas.disparity, pad), (_SIDE, _SIDE))
    trust = np.lib.stride_tricks.sliding_window_view(np.pad(canvas.trust, pad), (_SIDE, _SIDE))[y, x]
    own = patches[y, x]
    trust = trust * (np.abs(depths[y, x] - canvas.disparity[y, x, None, None]) <= _SAME_DEPTH_PX)
    trust = trust / np.maximum(trust.sum(axis=(1, 2), keepdims=True), 1e-6)

    def differ(which: Int[np.ndarray, " m"], source: Int[np.ndarray, "m 2"]) -> Float[np.ndarray, " m"]:
        gap = patches[source[:, 0], source[:, 1]] - own[which]
        apart = np.abs(canvas.disparity[source[:, 0], source[:, 1]] - canvas.disparity[y[which], x[which]])
        cost = np.einsum("nchw,nchw,nhw->n", gap, gap, trust[which]) + _DEPTH_COST * (apart > _SAME_DEPTH_PX)
        shade = np.einsum("nchw,nhw->nc", gap, trust[which])
        return np.where((shade**2).sum(axis=1) > _SAME_SHADE, np.float32(np.inf), cost.astype(np.float32))

    shift = matches.shift[y, x]
    cost = differ(np.arange(len(cells)), cells + shift)
    field = matches.shift.copy()
    for step_y, step_x in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        field[y, x] = shift
        candidate = field[np.clip(y + step_y, 0, height - 1), np.clip(x + step_x, 0, width - 1)]
        _keep_better(canvas, cells, shift, cost, candidate, differ)
    for reach in _RANDOM_REACH:
        candidate = shift + generator.integers(-reach, reach + 1, size=shift.shape)
        _keep_better(canvas, cells, shift, cost, candidate, differ)
    field[y, x] = shift
    costs = np.full((height, width), np.inf, dtype=np.float32)
    costs[y, x] = cost
    return _Matches(shift=field, cost=costs)


def _keep_better(
    canvas: Canvas,
    cells: Int[np.ndarray, "n 2"],
    shift: Int[np.ndarray, "n 2"],
    cost: Float[np.ndarray, " n"],
    candidate: Int[np.ndarray, "n 2"],
    differ: Callable[[Int[np.ndarray, " m"], Int[np.ndarray, "m 2"]], Float[np.ndarray, " m"]],
) -> None:
    """Replace, in place, the shifts that a candidate improves on."""
    which = np.flatnonzero(_allowed(canvas, cells + candidate) & (candidate != shift).any(axis=1))
    new = differ(which, cells[which] + candidate[which])
    better = new < cost[which]
    cost[which[better]] = new[better]
    shift[which[better]] = candidate[which[better]]


def _vote(canvas: Canvas, matches: _Matches) -> Float[np.ndarray, "h w 3"]:
    """Each cell of the region becomes the mean of what the exemplars over it show there, good matches counting more.

    Cells over which no exemplar fits keep their colour.
    """
    y, x = np.nonzero(canvas.region)
    height, width = canvas.region.shape
    fits = np.isfinite(matches.cost)
    if not fits.any():
        return canvas.colour
    typical = float(np.median(matches.cost[fits])) + 1e-6
    total = np.zeros((y.size, 3), dtype=np.float32)
    weight = np.zeros(y.size, dtype=np.float32)
    for step_y in range(-_VOTE_RADIUS, _VOTE_RADIUS + 1):
        for step_x in range(-_VOTE_RADIUS, _VOTE_RADIUS + 1):
            voter = (np.clip(y + step_y, 0, height - 1), np.clip(x + step_x, 0, width - 1))
            near = np.abs(canvas.disparity[voter] - canvas.disparity[y, x]) <= _SAME_DEPTH_PX
            from_y = np.clip(y + matches.shift[voter][:, 0], 0, height - 1)
            from_x = np.clip(x + matches.shift[voter][:, 1], 0, width - 1)
            known = canvas.trust[from_y, from_x] >= 1
            counts = (near & known) * np.exp(-np.minimum(matches.cost[voter] / typical, 50.0))
            total += counts[:, None] * canvas.colour[from_y, from_x]
            weight += counts
    colour = canvas.colour.copy()
    voted = weight > 1e-6
    colour[y[voted], x[voted]] = total[voted] / weight[voted, None]
    return colour
