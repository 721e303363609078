"""Occlusions filled by what neighbouring frames show there, so that they neither flicker nor are invented needlessly.

What the right eye sees behind a near thing moves with the background. Carried along the background's motion, the right
eye's picture of the frame before shows it, either because the thing did not hide it there or because it has been filled
there already; and the picture of the frame after. From one frame to the next this reaches as far as anything was seen.

In order of preference: seen in an earlier frame; seen in a later one; invented in the frame before, which at least does
not change; the background continued, which is what the frame has by itself.

A candidate is taken if the other frame has the background at that place (by disparity), and if around the occlusion,
where both frames show the background, their colours agree; what they differ by there, such as a change of light, is
made up for.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8

from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.video.motion import Motion, inside, places, sampled
from stereodiffusion.video.view import HalfSeen

Origin: TypeAlias = Literal[0, 1, 2]
"""Of a pixel: 0 is invented, 1 was seen in another frame, 2 is the frame's own."""

_SAME_DEPTH_PX = 1.5
_ALIKE = 10.0  # mean difference of the levels of colours around an occlusion
_MOST_LIGHT = 16.0  # levels that a change of light is made up for
_TORN_PX = 1.5  # jump of disparity at which a surface ends
_MARGIN_PX = 2  # beside a surface's end motion and colours are mixed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """The right eye's picture without soft borders, filled.

    Attributes:
        picture: Levels.
        origin: Where each pixel comes from.
        disparity: As of the view it was made from.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    origin: UInt8[np.ndarray, "h w"]
    disparity: Float32[np.ndarray, "h w"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """What a neighbouring frame shows in the occlusions.

    Attributes:
        picture: Levels, floating.
        origin: Where each pixel comes from.
        taken: Where it may be taken.
    """

    picture: Float32[np.ndarray, "h w 3"]
    origin: UInt8[np.ndarray, "h w"]
    taken: Bool[np.ndarray, "h w"]


def alone(view: HalfSeen) -> Filled:
    """A view as it is by itself."""
    origin = np.where(view.known, 2, 0).astype(np.uint8)
    return Filled(picture=view.behind, origin=origin, disparity=view.disparity)


def candidate(view: HalfSeen, motion: Motion, disparity: Disparity, neighbour: Filled) -> Candidate:
    """What the frame on the other end of a motion shows in a view's occlusions.

    Args:
        view: To be filled.
        motion: From the frame, the left eye's, to its neighbour.
        disparity: Of the frame.
        neighbour: The right eye's picture there.
    """
    known, flow = _seen_from_right(motion, disparity)
    background = view.known & known & _background(view)
    reach = _reach(view)
    mean_flow, found = _mean(flow, background, reach)
    at = places(np.where(found[..., None], mean_flow, 0).astype(np.float32))
    picture = sampled(neighbour.picture, at, cv2.INTER_CUBIC).astype(np.float32)
    origin = sampled(neighbour.origin, at, cv2.INTER_NEAREST)
    same_depth = np.abs(sampled(neighbour.disparity, at) - view.disparity) <= _SAME_DEPTH_PX
    there = found & inside(at) & same_depth

    # Around the occlusion both frames show the background: do their colours agree?
    off = view.behind.astype(np.float32) - picture
    both = background & there & (origin > 0)
    light, compared = _mean(off, both, reach)
    unlike, _ = _mean(
        np.abs(off - light).mean(-1, keepdims=True) + np.abs(light).mean(-1, keepdims=True) / 2, both, reach
    )
    agrees = compared & (unlike[..., 0] <= _ALIKE)
    lit = picture + np.clip(light, -_MOST_LIGHT, _MOST_LIGHT)
    return Candidate(picture=lit, origin=np.minimum(origin, 1), taken=~view.known & there & agrees)


def fill(view: HalfSeen, before: Candidate | None, after: Candidate | None) -> Filled:
    """The view with its occlusions filled by the best that there is."""
    picture, origin = view.behind.astype(np.float32), np.where(view.known, 2, 0).astype(np.uint8)
    # The last has the last word.
    for one, least in ((before, 0), (after, 1), (before, 1)):
        if one is not None:
            better = one.taken & (one.origin >= least)
            picture[better] = one.picture[better]
            origin[better] = one.origin[better]
    levels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Filled(picture=levels, origin=origin, disparity=view.disparity)


def _seen_from_right(
    motion: Motion, disparity: Disparity
) -> tuple[Bool[np.ndarray, "h w"], Float32[np.ndarray, "h w 2"]]:
    """Where the motion of the left eye's pixels is known in the right eye's picture, and that motion."""
    fields = np.concatenate([motion.flow, motion.reliable[..., None].astype(np.float32)], axis=-1)
    moved = splat(torch.from_numpy(fields).permute(2, 0, 1)[None], disparity)
    flow = moved.view[0, :2].permute(1, 2, 0).contiguous().numpy()
    return (moved.visible[0, 0] & (moved.view[0, 2] > 0.5)).numpy(), flow


def _background(view: HalfSeen) -> Bool[np.ndarray, "h w"]:
    """The farther side of every border, without the pixels right beside it; all of what has no border near."""
    reach = _reach(view)
    window = np.ones((2 * reach + 1,) * 2, np.uint8)
    far, near = cv2.erode(view.disparity, window), cv2.dilate(view.disparity, window)
    torn = near - far > _TORN_PX
    farther = view.disparity - far <= near - view.disparity
    beside = cv2.dilate((torn & ~farther).astype(np.uint8), np.ones((2 * _MARGIN_PX + 1,) * 2, np.uint8)) > 0
    return ~torn | (farther & ~beside)


def _reach(view: HalfSeen) -> int:
    """How far around an occlusion to look: most are narrower."""
    return max(12, view.behind.shape[1] // 24)


def _mean(
    field: Float32[np.ndarray, "h w channels"], where: Bool[np.ndarray, "h w"], reach: int
) -> tuple[Float32[np.ndarray, "h w channels"], Bool[np.ndarray, "h w"]]:
    """The mean over a square around each place, of the places `where`; and where there are any."""
    size = (2 * reach + 1, 2 * reach + 1)
    weight = where.astype(np.float32)
    count = cv2.boxFilter(weight, -1, size, normalize=False)
    total = cv2.boxFilter(field * weight[..., None], -1, size, normalize=False)
    total = total.reshape(field.shape)
    return total / np.maximum(count, 1)[..., None], count > 0.5
