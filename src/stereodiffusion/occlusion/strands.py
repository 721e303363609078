"""Hair and other fine things that hang on a surface: they get its disparity.

Depth estimators draw the outline of a head, not its hairs. Left to the map, a hair stays behind on the wall when the
head moves, and ends in the air. So beside a border of a nearer surface the picture is matted on a wide band (Porter &
Duff 1984, I = α F + (1-α) B): F is the colour of the surface at the nearest point of its border, B what lies around,
hairs left out. What is a narrow ridge of α, starts at the border, leads away from it and ends within the band is a
strand, provided that it is not alone and stands out against what lies beyond the band. All the rest is the background's
own texture.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray

from stereodiffusion.geometry.disparity import Disparity, check_dense
from stereodiffusion.occlusion.weighted import weighted_mean
from stereodiffusion.types import Image

_AROUND = 8  # half the width of a border's neighbourhood
_JUMP_PX = 2.0  # what differs less is one surface
_STEP = 0.5  # share of the difference that lies within five cells: a border, no slope
_REACH = 40  # of the longest strand
_LEAST_REACH = 5  # shorter ones are left to the soft borders
_HALF_WIDTH = 4  # of the widest strand
_NEIGHBOURS = 2  # other strands within reach: hair is never alone
_ALPHA = 0.35  # the least of a strand
_OFF_COLOUR = 0.5  # how far from the line between both colours a strand's may lie, as a share of its length
_CONTRAST = 0.2  # surfaces whose colours are closer (Euclidean, sRGB in [0, 1]) tell nothing
_STANDS_OUT = 5.0  # contrast per standard deviation of what lies beyond the band
_BESIDE = 5, 20  # how far from a border its own background lies
_BACKGROUND = 0.7  # the least share of cells there that are plainly its colour, if it is a border of the picture
_INSIDE, _OUTSIDE = 3.0, 4.0  # standard deviations of the windows over which F and B are averaged
_ENOUGH = 1e-3  # of the weight of the window inside: less of a surface than this does not tell its colour
_OF_STRANDS = 1e-4  # what strands count in B, so that there is one where there is nothing else
_ROUNDS = 3  # of finding B without strands, and strands without B

_Real: TypeAlias = np.floating[Any]
_Field = Float[np.ndarray, "h w"]
_Colours = Float[np.ndarray, "h w 3"]
_Mask = Bool[np.ndarray, "h w"]


def attach_strands(disparity: Disparity, picture: Image) -> Disparity:
    """Give hair the disparity of the surface that it hangs on.

    Lengths are in cells and meant for pictures of about 512 x 512: strands of one to eight cells' width, that reach
    five to forty cells out.

    Args:
        disparity: of the picture, on its grid, dense, with steps at its borders (see `snap_to_edges`).
        picture: (b, 3, h, w), sRGB in [0, 1].

    Raises:
        GeometryError: if the map is of another size or batch, or has unknown cells.
    """
    check_dense(disparity, picture)
    maps = disparity.pixels.float().cpu().numpy()[:, 0]
    colours = picture.float().cpu().movedim(1, -1).numpy()
    attached = np.stack(
        [_attached(pixels, np.ascontiguousarray(own)) for pixels, own in zip(maps, colours, strict=True)]
    )
    return Disparity(pixels=torch.from_numpy(attached)[:, None].to(disparity.pixels), known=disparity.known)


def _attached(pixels: _Field, picture: _Colours) -> _Field:
    side = _beside_borders(pixels)
    if side is None or not side.beyond.any():
        return pixels
    alpha, clear = _matte(picture, side)
    return np.where(_strands(alpha, clear, side), side.nearer_px, pixels)


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """What lies on the farther side of borders.

    Attributes:
        nearest: For each cell, where the nearest point of a border is, as an index of a flat map.
        distance: To that point, in cells.
        nearer_px: Disparity of the surface that ends there.
        beyond: The cells on the farther side, twice as far as strands may reach.
        farther: All cells that are not of that surface.
    """

    nearest: NDArray[np.int64]
    distance: _Field
    nearer_px: _Field
    beyond: _Mask
    farther: _Mask


def _beside_borders(pixels: _Field) -> _Side | None:
    """The farther side of all borders; None where there is no border."""
    window = np.ones((2 * _AROUND + 1,) * 2, np.uint8)
    high, low = _dilated(pixels, window), _eroded(pixels, window)
    middle, parted = (high + low) / 2, high - low > _JUMP_PX
    # Fragments of hair that the map knows are no surface.
    near = _opened(((pixels > middle) & parted).astype(np.float32), _disc(1)) > 0
    step = _dilated(pixels, _disc(2)) - _eroded(pixels, _disc(2))
    border = near & _touches(parted & (pixels <= middle)) & (step > np.maximum(_STEP * (high - low), _JUMP_PX))
    if not border.any():
        return None
    distance, nearest = _nearest(border)
    nearer_px = high.ravel()[nearest]
    farther = (pixels < middle.ravel()[nearest]) | (parted & ~near)
    return _Side(nearest, distance, nearer_px, farther & (distance <= 2 * _REACH), farther)


def _matte(picture: _Colours, side: _Side) -> tuple[_Field, _Mask]:
    """α of strands beside borders, and which cells lie by a border where hair could be told from anything else."""
    front, possible = _in_front(picture, side)
    alpha = np.zeros(possible.shape, np.float32)
    for _ in range(_ROUNDS):
        alpha = possible * _mixture(picture, front, _behind(picture, alpha, side))
    behind = _behind(picture, alpha, side)
    difference = front - behind
    contrast = np.linalg.norm(difference, axis=-1)

    # An edge of the background differs from a mean as well, but not from an opening: what is wide on one side stays.
    along = (picture * difference).sum(-1) / np.maximum(contrast, _CONTRAST) ** 2
    along = np.where(side.farther, along, along.max())
    ridge = np.clip(along - _opened(along, _disc(_HALF_WIDTH)), 0, 1)

    past = side.beyond & (side.distance > _REACH)
    deviation = np.sqrt(_mean(((picture - behind) ** 2).sum(-1), past, _REACH / 2)[0])
    beside = side.beyond & (side.distance >= _BESIDE[0]) & (side.distance <= _BESIDE[1])
    plain = (contrast > _CONTRAST) & (np.linalg.norm(picture - behind, axis=-1) < contrast / 2)
    background = _mean(plain, beside, _REACH / 4)[0].ravel()[side.nearest]
    return np.where(alpha > 0, ridge, 0), (contrast > _STANDS_OUT * deviation) & (background > _BACKGROUND)


def _in_front(picture: _Colours, side: _Side) -> tuple[_Colours, _Mask]:
    """F, the colour of the nearer surface inside its border, and the cells beyond for which there is one."""
    inner = _eroded((~side.beyond).astype(np.float32), _disc(1))
    colour, total = _mean(picture, inner, _INSIDE)
    return colour.reshape(-1, 3)[side.nearest], side.beyond & (total.ravel()[side.nearest] > _ENOUGH)


def _behind(picture: _Colours, alpha: _Field, side: _Side) -> _Colours:
    """B, the colour of the farther surface around each cell, strands left out."""
    return _mean(picture, side.farther * ((1 - alpha) ** 2 + _OF_STRANDS), _OUTSIDE)[0]


def _mixture(picture: _Colours, front: _Colours, behind: _Colours) -> _Field:
    """α by colour; 0 where both surfaces have one colour, or the cell has a third."""
    difference, change = front - behind, picture - behind
    contrast = np.linalg.norm(difference, axis=-1)
    alpha = np.clip((change * difference).sum(-1) / np.maximum(contrast, _CONTRAST) ** 2, 0, 1)
    off = np.linalg.norm(change - alpha[..., None] * difference, axis=-1)
    return alpha * ((contrast > _CONTRAST) & (off < _OFF_COLOUR * contrast))


def _strands(alpha: _Field, clear: _Mask, side: _Side) -> _Mask:
    """Connected ridges that behave like hair, most of whose cells lie where it can be told."""
    ridges = ((alpha > _ALPHA) & (side.distance <= _REACH)).astype(np.uint8)
    count, labels, statistics, centres = cv2.connectedComponentsWithStats(ridges, connectivity=8)
    label, size = np.asarray(labels, np.int64), np.asarray(statistics[:, cv2.CC_STAT_AREA], np.int64)
    reach, starts = np.zeros(count), np.zeros(count, bool)
    np.maximum.at(reach, label.ravel(), (side.distance * ridges).ravel())
    starts[label[_touches(~side.farther) & (ridges > 0)]] = True
    share = np.bincount(label.ravel(), clear.ravel(), count) / size
    strand = starts & (reach >= _LEAST_REACH) & (reach <= _REACH - 2) & (share > 0.5)
    strand[0] = False
    at = np.asarray(centres)[strand]
    around = (((at[:, None] - at) ** 2).sum(-1) < _REACH**2).sum(1) - 1
    strand[strand] = around >= _NEIGHBOURS
    return strand[label]


def _touches(mask: _Mask) -> _Mask:
    return _dilated(mask.astype(np.float32), _disc(1)) > 0


def _nearest(points: _Mask) -> tuple[_Field, NDArray[np.int64]]:
    """How far the nearest point is, and which one, as an index of a flat map."""
    distance, labels = cv2.distanceTransformWithLabels(
        (~points).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label = np.asarray(labels, np.int64)
    point = np.zeros(label.max() + 1, np.int64)
    point[label[points]] = np.flatnonzero(points)
    return np.asarray(distance, np.float32), point[label]


_Shape = UInt8[np.ndarray, "n n"]


def _disc(radius: int) -> _Shape:
    """A disc for morphology; a square where so small a disc would be a cross."""
    kind = cv2.MORPH_ELLIPSE if radius > 2 else cv2.MORPH_RECT
    return np.asarray(cv2.getStructuringElement(kind, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _dilated(field: _Field, shape: _Shape) -> _Field:
    return np.asarray(cv2.dilate(field, shape), np.float32)


def _eroded(field: _Field, shape: _Shape) -> _Field:
    return np.asarray(cv2.erode(field, shape), np.float32)


def _opened(field: _Field, shape: _Shape) -> _Field:
    return _dilated(_eroded(field, shape), shape)


def _mean(field: NDArray[Any], weight: NDArray[Any], deviation: float) -> tuple[NDArray[_Real], _Field]:
    """Weighted mean of what lies around, and the weight of that; 0 where there is nothing.

    Args:
        field: (h, w) or (h, w, c).
        weight: (h, w), >= 0.
        deviation: Of the Gaussian that makes what is close count more, in cells.
    """
    of_each = weight.astype(np.float32).reshape(*weight.shape, *[1] * (field.ndim - 2))
    sums, total = _blurred(field * of_each, deviation), _blurred(weight.astype(np.float32), deviation)
    mean, _ = weighted_mean(torch.from_numpy(sums), torch.from_numpy(total.reshape(of_each.shape)))
    return mean.numpy(), total


def _blurred(field: NDArray[_Real], deviation: float) -> NDArray[_Real]:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), deviation), np.float32)
