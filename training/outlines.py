"""How straight or round the outline of a drawn toy is: its mean distance from lines and ellipses.

Balls, cubes, cylinders and cones are outlined by straight lines and arcs of ellipses, whatever they stand on.  A toy
is where a picture is nearer than the floor and the wall behind, which are equally far all along a row; its border is
found from there by colour (GrabCut, Rother et al. 2004), and to a fraction of a pixel where the colours change fastest.
The outline is cut into at most six pieces, as many as the edges round a cube, so that lines and ellipses fit best: of
waves as long as a piece is, half are followed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_NEARER = 1.08  # times the disparity of floor and wall in the same row: a toy
_CORE, _AROUND, _BELOW = 5, 6, 14  # pixels in from and out from what is nearer between which the border may be
_REACH = 3.0  # pixels to both sides of the border between which the outline is looked for
_FAINTEST = 0.03  # change of colour per pixel, black to white being 1, below which there is no outline to be seen
_PIECES = 6
_STEP = 4  # points between the places where the outline may be cut
_SHORTEST, _SHORTEST_ARC, _FLATTEST = 9, 21, 3.0  # points of a piece, of an arc; the smaller half axis of its ellipse


@dataclass(frozen=True)
class Outline:
    """Where the outline of a toy is seen.

    Attributes:
        points: (n, 2), x and y in pixels, about a pixel apart, in order; centres of pixels are whole numbers.
        distances: (n,), from the nearest line or ellipse, pixels.
        pieces: Index of the first point of each piece.
    """

    points: Floats
    distances: Floats
    pieces: list[int]


def toy_mask(picture: NDArray[np.floating], disparity: NDArray[np.floating]) -> Mask:
    """The largest thing that stands before floor and wall, (h, w).

    Args:
        picture: sRGB in [0, 1], (h, w, 3).
        disparity: Of the picture, (h, w); an estimate will do.

    Returns:
        True on the toy; all False where nothing stands out.
    """
    behind = np.percentile(disparity, 30, axis=1, keepdims=True)  # toys cover less than half of a row
    near = _largest(disparity > behind * _NEARER)
    labels = np.full(near.shape, cv2.GC_BGD, np.uint8)
    wide = cv2.dilate(near, _disc(_AROUND))
    for down in range(_BELOW + 1):  # where a toy stands, it is no nearer than the floor
        labels[down:][wide[: len(wide) - down] > 0] = cv2.GC_PR_BGD
    labels[near > 0] = cv2.GC_PR_FGD
    labels[cv2.erode(near, _disc(_CORE)) > 0] = cv2.GC_FGD
    if not (labels == cv2.GC_FGD).any():
        return np.zeros(near.shape, bool)
    cv2.setRNGSeed(0)
    pixels = np.round(255 * np.asarray(picture, np.float32)).astype(np.uint8)
    cv2.grabCut(pixels, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    toy = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    toy = _largest(cv2.morphologyEx(toy, cv2.MORPH_OPEN, _disc(2)) > 0)
    around, _ = cv2.findContours(toy, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(toy, around, -1, 1, cv2.FILLED) > 0


def outline(picture: NDArray[np.floating], toy: Mask) -> Outline:
    """The outline of a toy and how far it is from lines and ellipses.

    Args:
        picture: sRGB in [0, 1], (h, w, 3).
        toy: Where the toy is, to a pixel or two, (h, w).
    """
    points = _edge_points(picture, toy)
    if len(points) < _PIECES * _SHORTEST:
        return Outline(points, np.full(len(points), np.nan), [])
    points = np.roll(points, -_cuts(points)[0], 0)  # cuts depend on where one begins: begin at one of the best
    cuts = _cuts(points)
    ends = [*cuts[1:], len(points)]
    distances = [_distances(points[a:b], np.array([b - a]))[0] for a, b in zip(cuts, ends, strict=True)]
    return Outline(points, np.concatenate(distances), cuts)


def _border(toy: Mask) -> tuple[Floats, Floats]:
    """Points about a pixel apart on the border of the toy, (n, 2), and the directions in which one leaves it there."""
    soft = cv2.GaussianBlur(toy.astype(np.float32), (0, 0), 1.0, borderType=cv2.BORDER_CONSTANT)
    closed = max(find_contours(np.pad(soft, 1), 0.5), key=len, default=np.zeros((1, 2)))[:, ::-1] - 1
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.arange(0, along[-1], 1.0)
    border = np.stack([np.interp(at, along, closed[:, i]) for i in range(2)], 1)
    softer = cv2.GaussianBlur(toy.astype(np.float32), (0, 0), 2.0)
    slopes = [cv2.Sobel(softer, cv2.CV_32F, *which) for which in ((1, 0), (0, 1))]
    outward = -np.concatenate([_sampled(slope, border[:, None]) for slope in slopes], 1).astype(np.float64)
    return border, outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)


def _edge_points(picture: NDArray[np.floating], toy: Mask) -> Floats:
    """Where the colours change fastest across the border of the toy, (n, 2), without what cannot be seen."""
    if not toy.any():
        return np.zeros((0, 2))
    border, outward = _border(toy)
    offsets = np.arange(-_REACH - 0.5, _REACH + 0.51, 0.25)
    lines = border[:, None] + offsets[:, None] * outward[:, None]
    colours = _sampled(cv2.GaussianBlur(np.asarray(picture, np.float32), (0, 0), 0.8), lines)
    change = np.linalg.norm(colours[:, 4:] - colours[:, :-4], axis=-1)  # over a pixel
    offsets = offsets[2:-2]
    weighed = change * np.exp(-0.5 * (offsets / _REACH) ** 2)
    best = np.clip(weighed.argmax(1), 1, len(offsets) - 2)
    row = np.arange(len(best))
    before, peak, after = (weighed[row, best + i] for i in (-1, 0, 1))
    curvature = before - 2 * peak + after
    shift = np.where(curvature < 0, 0.125 * (before - after) / np.minimum(curvature, -1e-9), 0)
    points = border + (offsets[best] + np.clip(shift, -0.25, 0.25))[:, None] * outward
    inside_frame = ((border > 2) & (border < np.array(toy.shape[::-1]) - 3)).all(1)
    return points[inside_frame & (change[row, best] > _FAINTEST)]


def _cuts(points: Floats) -> list[int]:
    """Where to cut the outline so that the distances add up to least: first points of the pieces."""
    n = len(points)
    places = np.arange(0, n, _STEP)
    costs = np.full((len(places), len(places) + 1), np.inf)
    for i, start in enumerate(places):
        ends = np.append(places, n)
        fits = ends - start >= _SHORTEST
        lengths = ends[fits] - start
        far = _distances(points[start:], lengths)
        costs[i, fits] = np.where(np.arange(n - start) < lengths[:, None], far, 0).sum(1)
    least, came_from = [costs[0]], [np.zeros(len(places) + 1, int)]
    for _ in range(_PIECES - 1):
        ways = least[-1][:-1, None] + costs
        least.append(ways.min(0))
        came_from.append(ways.argmin(0))
    at, cuts = len(places), []
    for level in range(int(np.argmin([total[-1] for total in least])), -1, -1):
        at = int(came_from[level][at])
        cuts.append(int(places[at]))
    return cuts[::-1]


def _distances(points: Floats, lengths: NDArray[np.integer]) -> Floats:
    """Distances of all points from the best line or ellipse through the first ``length``, (lengths, n)."""
    away = points - points[0]
    lines = _line_distances(away, lengths)
    arcs = _ellipse_distances(away, lengths)
    of_line, of_arc = (np.where(np.arange(len(points)) < lengths[:, None], d, 0).sum(1) for d in (lines, arcs))
    return np.where((of_arc < of_line)[:, None], arcs, lines)


def _line_distances(points: Floats, lengths: NDArray[np.integer]) -> Floats:
    x, y = points.T
    sums = np.cumsum(np.stack([x, y, x * x, x * y, y * y], 1), 0)[lengths - 1] / lengths[:, None]
    mx, my, xx, xy, yy = sums.T
    angle = 0.5 * np.arctan2(2 * (xy - mx * my), (xx - mx * mx) - (yy - my * my))
    normal = np.stack([-np.sin(angle), np.cos(angle)], 1)
    return np.abs(normal @ points.T - (normal * sums[:, :2]).sum(1, keepdims=True))


def _ellipse_distances(points: Floats, lengths: NDArray[np.integer]) -> Floats:
    """Of ellipses by direct least squares (Halir and Flusser 1998), distances to first order (Sampson 1982)."""
    scale = 50.0  # keeps the numbers near one
    x, y = points.T / scale
    terms = np.stack([x * x, x * y, y * y, x, y, np.ones_like(x)], 1)
    scatter = np.cumsum(terms[:, :, None] * terms[:, None], 0)[lengths - 1]
    square, mixed, linear = scatter[:, :3, :3], scatter[:, :3, 3:], scatter[:, 3:, 3:] + 1e-9 * np.eye(3)
    back = -np.linalg.solve(linear, mixed.transpose(0, 2, 1))
    constraint = np.array([[0, 0, 0.5], [0, -1, 0], [0.5, 0, 0]])  # inverse of that of 4 a c - b^2 = 1
    vectors = np.real(np.linalg.eig(constraint @ (square + mixed @ back))[1])
    which = (4 * vectors[:, 0] * vectors[:, 2] - vectors[:, 1] ** 2).argmax(1)
    curved = vectors[np.arange(len(lengths)), :, which]
    a, b, c, d, e, f = np.concatenate([curved, (back @ curved[:, :, None])[:, :, 0]], 1).T
    with np.errstate(all="ignore"):
        discriminant = 4 * a * c - b * b
        at_x, at_y = (b * e - 2 * c * d) / discriminant, (b * d - 2 * a * e) / discriminant
        level = f + (d * at_x + e * at_y) / 2
        larger = (np.abs(a + c) + np.hypot(a - c, b)) / 2  # the eigenvalue that goes with the smaller axis
        flat = scale * np.sqrt(np.abs(level) / larger)
        value = np.stack([a, b, c, d, e, f], 1) @ terms.T
        slope_x = 2 * a[:, None] * x + b[:, None] * y + d[:, None]
        slope_y = b[:, None] * x + 2 * c[:, None] * y + e[:, None]
        far = scale * np.abs(value) / np.hypot(slope_x, slope_y)
    good = (discriminant > 0) & (lengths >= _SHORTEST_ARC) & (flat >= _FLATTEST)
    return np.where(good[:, None] & np.isfinite(far), far, 1e6)


def _sampled(image: cv2.typing.MatLike, places: NDArray[np.floating]) -> NDArray[np.float32]:
    """Values of an image between its pixels at places (n, m, 2), (n, m) or (n, m, 3)."""
    x, y = np.moveaxis(places.astype(np.float32), -1, 0)
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def _largest(where: Mask) -> NDArray[np.uint8]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8), connectivity=4)
    if len(stats) < 2:
        return np.zeros(where.shape, np.uint8)
    return (labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)


def _disc(radius: int) -> NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.uint8)
