"""Occlusions held steady: what nobody sees in a frame is invented anew for each, so it flickers; a mean does not.

What the right eye sees behind a near thing moves with the background. Carried along that motion, the frames around
show the same place: some have seen it, where the thing did not hide it, and each of the others has continued the
background into it on its own. An occlusion becomes the mean of what all of them have there, the seen counting more.
The window is as wide to either side, and what it averages moves with the background, so nothing lags.

What a diffusion model drew on a key frame is carried in the same way where nobody has seen anything: it outweighs what
was invented, the less the farther away it is, so that one key frame fades into the next.

The motion in an occlusion is nobody's, either: it is that of the background around it. Optical flow inside would be
that of the thing before it. Where two things that move otherwise lie at one depth, that may be the wrong one's. So
another frame is believed only if it shows, along that motion, what is seen here beside the occlusion.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from stereodiffusion.geometry import Disparity
from stereodiffusion.video.motion import Motion, inside, sampled
from stereodiffusion.video.request import REACH
from stereodiffusion.video.view import Behind

Places = Float32[np.ndarray, "n 2"]
"""(x, y) in another frame, for each pixel of a view that is not known, row by row; beyond the frame if not found."""

_SEEN = 4.0  # weight of what was seen to what was invented
_DRAWN = 32.0  # of what a model drew on this very frame, where nobody has seen anything
_SAME_DEPTH_PX = 1.5  # what differs more is another surface
_LEAST_REACH_PX, _REACHES = 12, 24  # how far around an occlusion to look, and the part of a frame's width
_EVERY = 2  # row and column is enough for a mean
_OTHER = 60  # levels of difference, over 3 x 3 pixels, from which two frames show something else
_BESIDE_PX = 8  # of an occlusion, within which nearer things are told from the background
_TORN_PX = 1.5  # jump of disparity at which a surface ends
_MARGIN_PX = 2  # beside a surface's end motion and colours are mixed
_NOWHERE = -1.0
_AT_ONCE = 1 << 14  # OpenCV takes 32767 columns at most


def background_places(view: Behind, disparity: Disparity, motions: Mapping[int, Motion]) -> dict[int, Places]:
    """Where the background of a view's occlusions is in other frames, as the right eye sees them.

    Args:
        view: The right eye's.
        disparity: Of the left eye's frame, final.
        motions: Of the left eye's frame, by how many frames away the other one is.
    """
    width = view.known.shape[1]
    row, column = np.nonzero(~view.known)
    # The left eye would see the same background here, were it not for what stands before it.
    left = np.stack([(column + view.disparity[row, column]).clip(0, width - 1), row], axis=-1).astype(np.float32)
    reach = max(_LEAST_REACH_PX, width // _REACHES)
    # An occlusion lies inside what hides it, so what is looked at around it lies twice as deep in there at most.
    background = _background(disparity.pixels[0, 0].numpy(), 2 * reach)
    found: dict[int, Places] = {}
    for away, motion in motions.items():
        total = _at(
            _sums(motion.flow[::_EVERY, ::_EVERY], (background & motion.reliable)[::_EVERY, ::_EVERY], reach // _EVERY),
            left / _EVERY,
        )
        at = np.stack([column, row], axis=-1) + total[:, :2] / np.maximum(total[:, 2:], 1)
        found[away] = np.where(total[:, 2:] >= 1, at, _NOWHERE).astype(np.float32)
    return found


def filled(view: Behind, around: Mapping[int, Behind], places: Mapping[int, Places]) -> UInt8[np.ndarray, "h w 3"]:
    """A view's picture with what it does not know as the mean of what it and other views have there.

    Args:
        view: To be filled.
        around: Other views, by how many frames away they are.
        places: Where each of them has the view's occlusions, see `background_places`.
    """
    hole, beside = ~view.known, _beside(view)
    shares = {away: _share(view, other, places[away], beside) for away, other in around.items()}
    seen = np.any([share == _SEEN for share in shares.values()] or [np.zeros(int(hole.sum()), bool)], axis=0)
    weight = np.where(view.drawn[hole] & ~seen, _DRAWN, 1).astype(np.float32)[:, None]
    total = weight * view.picture[hole]
    for away, other in around.items():
        at, share = places[away], shares[away]
        if other.drawn.any():
            drawn = (share > 0) & ~seen & (_at(other.drawn.astype(np.uint8), at, cv2.INTER_NEAREST) > 0)
            share = np.where(drawn, _DRAWN * (1 - abs(away) / (REACH + 1)), share).astype(np.float32)
        total += share[:, None] * _at(other.picture, at)
        weight += share[:, None]
    picture = view.picture.copy()
    picture[hole] = np.rint(total / weight).clip(0, 255).astype(np.uint8)
    return picture


def _share(view: Behind, other: Behind, at: Places, beside: Places) -> Float32[np.ndarray, " n"]:
    """What another view counts at each place of a view that is not known: nothing where it shows another surface."""
    hole = ~view.known
    same = np.abs(_at(other.disparity, at) - view.disparity[hole]) <= _SAME_DEPTH_PX
    seen = _at(other.known.astype(np.uint8), at, cv2.INTER_NEAREST) > 0
    believed = same & inside(at, hole.shape) & _agrees(view, other, beside, at)
    return np.where(believed, np.where(seen, _SEEN, 1), 0).astype(np.float32)


def _beside(view: Behind) -> Places:
    """The nearest place of the background that is known, for each pixel that is not."""
    window = np.ones((1, 2 * _BESIDE_PX + 1), np.uint8)
    background = view.known & (view.disparity - cv2.erode(view.disparity, window) <= _SAME_DEPTH_PX)
    if not background.any():
        return np.full((int((~view.known).sum()), 2), _NOWHERE, np.float32)
    _, found = cv2.distanceTransformWithLabels(
        (~background).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = np.asarray(found, np.intp)
    row, column = np.nonzero(background)
    at = np.zeros((int(labels.max()) + 1, 2), np.float32)
    at[labels[row, column]] = np.stack([column, row], axis=-1)
    return at[labels[~view.known]]


def _agrees(view: Behind, other: Behind, beside: Places, at: Places) -> Bool[np.ndarray, " n"]:
    """Whether another view shows, as far from `at`, what a view shows beside its occlusions; or does not know that."""
    here = np.argwhere(~view.known)[:, ::-1].astype(np.float32)
    there = beside + (at - here)
    known = inside(beside, view.known.shape) & inside(there, view.known.shape)
    known &= _at(other.known.astype(np.uint8), there, cv2.INTER_NEAREST) > 0
    off = np.abs(_at(_softened(other), there) - _at(_softened(view), beside))
    return ~known | (off.max(-1, initial=0) <= _OTHER)


def _softened(view: Behind) -> Float32[np.ndarray, "h w 3"]:
    """A picture with the mean of what is known in 3 x 3 pixels at each place."""
    known = view.known[..., None].astype(np.float32)
    total = cv2.blur(cv2.merge([view.picture * known, known]), (3, 3))
    return np.asarray(total[..., :3] / np.maximum(total[..., 3:], 1e-3), np.float32)


def _background(disparity: Float32[np.ndarray, "h w"], reach: int) -> Bool[np.ndarray, "h w"]:
    """The farther side of every border, without the pixels right beside it; all of what has no border near."""
    window, small = (np.ones((2 * radius + 1,) * 2, np.uint8) for radius in (reach, _MARGIN_PX))
    far, near = cv2.erode(disparity, window), cv2.dilate(disparity, window)
    jumps = cv2.dilate(disparity, small) - cv2.erode(disparity, small) > _TORN_PX  # ground that slopes is not torn
    torn = cv2.dilate(jumps.astype(np.uint8), window) > 0
    farther = disparity - far <= near - disparity
    beside = cv2.dilate((torn & ~farther).astype(np.uint8), small) > 0
    return ~torn | (farther & ~beside)


def _sums(
    flow: Float32[np.ndarray, "h w 2"], where: Bool[np.ndarray, "h w"], reach: int
) -> Float32[np.ndarray, "h w 3"]:
    """Of the flow over squares, as far as it is of places `where`; and how many these are."""
    weight = where.astype(np.float32)
    fields = cv2.merge([flow[..., 0] * weight, flow[..., 1] * weight, weight])
    return np.asarray(cv2.boxFilter(fields, -1, (2 * reach + 1,) * 2, normalize=False), np.float32)


def _at(
    field: Shaped[np.ndarray, "h w *channels"], at: Places, how: int = cv2.INTER_LINEAR
) -> Shaped[np.ndarray, "n *channels"]:
    """A field at some places."""
    parts = np.array_split(at, 1 + len(at) // _AT_ONCE)
    return np.concatenate([sampled(field, part[None], how)[0] for part in parts if len(part)] or [field[:0, 0]])
