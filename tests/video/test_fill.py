"""Occlusions filled from other frames, on a square that moves before a textured wall."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from stereodiffusion.geometry import Disparity
from stereodiffusion.settings.presets import preset
from stereodiffusion.video.fill import Filled, alone, candidate, fill
from stereodiffusion.video.motion import Motion
from stereodiffusion.video.view import HalfSeen, seen_from_right, to_image

HEIGHT, WIDTH, NEAR_PX, STEP_PX = 72, 128, 8, 4
NOISE = np.random.default_rng(1).uniform(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
WALL = cv2.normalize(cv2.GaussianBlur(NOISE, (0, 0), 2.5), np.zeros_like(NOISE), 0, 255, cv2.NORM_MINMAX)


@dataclass
class Shot:
    view: HalfSeen
    disparity: Disparity
    inside: np.ndarray


def shot(left: int, wall: np.ndarray = WALL) -> Shot:
    """The square with its left side at a column, and what the right eye sees."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[20:52, left : left + 32] = True
    picture = np.where(inside[..., None], np.array([200, 40, 40], np.uint8), wall)
    pixels = torch.from_numpy(np.where(inside, np.float32(NEAR_PX), np.float32(0)))[None, None]
    disparity = Disparity.from_pixels(pixels)
    view = seen_from_right(to_image(picture), disparity, preset("best", "photo"))
    return Shot(view=view, disparity=disparity, inside=inside)


def motion(here: Shot, by: int) -> Motion:
    """The square moves, the wall does not."""
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[here.inside, 0] = by
    return Motion(flow=flow, reliable=np.ones((HEIGHT, WIDTH), bool))


def hole(one: Shot) -> np.ndarray:
    beyond = np.zeros((HEIGHT, WIDTH), bool)
    beyond[22:50] = True
    return ~one.view.known & beyond


def error(filled: Filled, one: Shot, wall: np.ndarray = WALL) -> float:
    return float(np.abs(filled.picture.astype(int) - wall)[hole(one)].mean())


def forward(shots: list[Shot], by: int) -> list[Filled]:
    """Each filled from the one before."""
    filled = [alone(shots[0].view)]
    for one in shots[1:]:
        filled.append(fill(one.view, candidate(one.view, motion(one, -by), one.disparity, filled[-1]), None))
    return filled


def test_what_an_earlier_frame_has_seen_fills_the_hole() -> None:
    shots = [shot(30 + STEP_PX * number) for number in range(5)]  # to the right: it leaves seen wall in its shadow
    filled = forward(shots, STEP_PX)
    assert hole(shots[-1]).sum() > 28 * 6
    assert error(alone(shots[-1].view), shots[-1]) > 20
    assert error(filled[-1], shots[-1]) < 4
    assert (filled[-1].origin[hole(shots[-1])] == 1).mean() > 0.95


def test_what_a_later_frame_will_see_fills_the_hole() -> None:
    shots = [shot(60 - STEP_PX * number) for number in range(5)]  # to the left
    later = alone(shots[-1].view)
    for one in reversed(shots[:-1]):
        later = fill(one.view, None, candidate(one.view, motion(one, -STEP_PX), one.disparity, later))
    assert error(alone(shots[0].view), shots[0]) > 15
    assert error(later, shots[0]) < 4


def test_what_nobody_has_seen_stays_as_it_was_invented() -> None:
    shots = [shot(40) for _ in range(2)]
    other = fill(shots[0].view, None, None)
    painted = other.picture.copy()
    painted[hole(shots[0])] = (painted[hole(shots[0])] // 2 + 20).astype(np.uint8)
    before = Filled(picture=painted, origin=other.origin, disparity=other.disparity)
    held = fill(shots[1].view, candidate(shots[1].view, motion(shots[1], 0), shots[1].disparity, before), None)
    assert np.abs(held.picture.astype(int) - painted)[hole(shots[1])].max() <= 1
    unsaid = fill(shots[1].view, None, candidate(shots[1].view, motion(shots[1], 0), shots[1].disparity, before))
    np.testing.assert_array_equal(unsaid.picture, alone(shots[1].view).picture)  # inventions of later frames are none


def test_the_colours_around_decide() -> None:
    shots = [shot(30 + STEP_PX * number) for number in range(5)]
    before = forward(shots, STEP_PX)[-2]
    one = shots[-1]
    back = motion(one, -STEP_PX)
    unlike = Filled(picture=WALL[::-1].copy(), origin=before.origin, disparity=before.disparity)
    assert not candidate(one.view, back, one.disparity, unlike).taken[hole(one)].any()
    darker = Filled(
        picture=before.picture - np.minimum(before.picture, 8), origin=before.origin, disparity=before.disparity
    )
    lit = fill(one.view, candidate(one.view, back, one.disparity, darker), None)
    assert error(lit, one) < 5  # a change of light is made up for
    nearer = Filled(picture=before.picture, origin=before.origin, disparity=before.disparity + 3)
    assert not candidate(one.view, back, one.disparity, nearer).taken.any()
