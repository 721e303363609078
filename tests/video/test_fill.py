"""Occlusions filled from the frames around, on a square that moves before a textured wall."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from stereodiffusion.geometry import Disparity
from stereodiffusion.settings.presets import preset
from stereodiffusion.video.fill import background_places, filled
from stereodiffusion.video.motion import Motion
from stereodiffusion.video.view import Behind, HalfSeen, seen_from_right, to_image

HEIGHT, WIDTH, NEAR_PX, STEP_PX = 72, 128, 8, 4
NOISE = np.random.default_rng(1).uniform(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
WALL = cv2.normalize(cv2.GaussianBlur(NOISE, (0, 0), 2.5), np.zeros_like(NOISE), 0, 255, cv2.NORM_MINMAX)


@dataclass
class Shot:
    view: HalfSeen
    disparity: Disparity
    inside: np.ndarray


def shot(left: int, wall_at: int = 0) -> Shot:
    """The square with its left side at a column, and what the right eye sees."""
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[20:52, left : left + 32] = True
    picture = np.where(inside[..., None], np.array([200, 40, 40], np.uint8), np.roll(WALL, wall_at, axis=1))
    pixels = torch.from_numpy(np.where(inside, np.float32(NEAR_PX), np.float32(0)))[None, None]
    disparity = Disparity.from_pixels(pixels)
    settings = preset("best", "photo").changed({"warp.fill": "smooth"})
    return Shot(view=seen_from_right(to_image(picture), disparity, settings), disparity=disparity, inside=inside)


def motion(here: Shot, square: int, wall: int = 0) -> Motion:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[..., 0] = np.where(here.inside, square, wall)
    return Motion(flow=flow, reliable=np.ones((HEIGHT, WIDTH), bool))


def invented(behind: Behind, picture: np.ndarray) -> Behind:
    """The same with another picture where it is not known."""
    return replace(behind, picture=np.where(behind.known[..., None], behind.picture, picture).astype(np.uint8))


def hole(one: Shot) -> np.ndarray:
    beyond = np.zeros((HEIGHT, WIDTH), bool)
    beyond[22:50, : WIDTH - 24] = True
    return ~one.view.behind.known & beyond


def error(picture: np.ndarray, one: Shot, wall_at: int = 0) -> float:
    return float(np.abs(picture.astype(int) - np.roll(WALL, wall_at, axis=1))[hole(one)].mean())


def test_what_other_frames_have_seen_fills_the_hole() -> None:
    here, wall = shot(48), 1  # the wall moves to the right, the square to the left: it bares what it hid
    for square in (-12, -20):
        there = shot(48 + square, wall)
        around = {1: there.view.behind}
        places = background_places(here.view.behind, here.disparity, {1: motion(here, square, wall)})
        alone, made = error(here.view.behind.picture, here), error(filled(here.view.behind, around, places), here)
        seen = 1 / (1 + 4)  # the share of what the frame has invented itself
        assert hole(here).sum() > 28 * 6
        assert alone > 15
        assert made < (seen + 0.1) * alone


def test_what_nobody_has_seen_is_the_mean_of_what_was_invented() -> None:
    here = shot(48)
    behind = here.view.behind
    others = {away: invented(behind, behind.picture // 2 + add) for away, add in ((-1, 20), (1, 60))}
    places = background_places(behind, here.disparity, dict.fromkeys((-1, 1), motion(here, 0)))
    made = filled(behind, others, places)
    mean = np.mean([behind.picture, *(each.picture for each in others.values())], axis=0)
    assert np.abs(made - mean)[hole(here)].max() <= 1
    np.testing.assert_array_equal(made[behind.known], behind.picture[behind.known])


def test_nothing_is_taken_of_another_surface_nor_from_beyond_the_frame() -> None:
    here = shot(48)
    behind = here.view.behind
    inverted = invented(behind, 255 - behind.picture)
    nearer = replace(inverted, disparity=behind.disparity + 3)
    places = background_places(behind, here.disparity, {1: motion(here, 0)})
    np.testing.assert_array_equal(filled(behind, {1: nearer}, places), behind.picture)
    gone = background_places(behind, here.disparity, {1: motion(here, 0, 2 * WIDTH)})
    np.testing.assert_array_equal(filled(behind, {1: inverted}, gone), behind.picture)


def test_another_frame_is_believed_only_if_it_shows_what_is_beside_the_occlusion() -> None:
    here = shot(48)
    behind = here.view.behind
    other = invented(behind, 255 - behind.picture)
    places = background_places(behind, here.disparity, {1: motion(here, 0)})
    assert np.abs(filled(behind, {1: other}, places).astype(int) - behind.picture)[hole(here)].mean() > 15
    for picture in (behind.picture // 4, 255 - behind.picture // 4):  # something else of that depth stands there
        elsewhere = replace(other, picture=picture)
        at = hole(here) & (np.abs(behind.picture.astype(int) - picture) > 80).any(-1)
        made = filled(behind, {1: elsewhere}, places)
        assert at.sum() > 50
        assert (made == behind.picture)[at].all(-1).mean() > 0.9


def test_what_a_model_drew_on_a_key_frame_is_carried_the_less_the_farther_away_it_is() -> None:
    here = shot(48)
    behind = here.view.behind
    key = replace(invented(behind, 255 - behind.picture), drawn=~behind.known)
    places = background_places(behind, here.disparity, dict.fromkeys((-3, -2, -1, 1), motion(here, 0)))
    np.testing.assert_array_equal(filled(key, {}, {}), key.picture)
    for away in (-1, -2, -3):
        made = filled(behind, {away: key}, places)
        share = 32 * (4 + away) / 4
        expected = (behind.picture + share * key.picture.astype(float)) / (1 + share)
        assert np.abs(made - expected)[hole(here)].max() <= 1
    # Two key frames, four frames from one to the next: what is between them is a fade.
    other = replace(invented(behind, behind.picture // 2), drawn=~behind.known)
    made = filled(behind, {-1: key, 1: other}, places)
    assert np.abs(made - (key.picture * 0.49 + other.picture * 0.49 + behind.picture * 0.02))[hole(here)].max() <= 2


def test_what_a_frame_has_seen_goes_before_what_a_model_drew() -> None:
    here, wall = shot(48), 1
    there = shot(28, wall)
    places = background_places(here.view.behind, here.disparity, {1: motion(here, -20, wall)})
    around = {1: there.view.behind}
    drawn = replace(here.view.behind, drawn=~here.view.behind.known)
    at = there.view.behind
    shown = hole(here) & np.roll(at.known, -wall, axis=1) & np.roll(at.known, -wall - 1, axis=1)
    assert shown.sum() > 100
    expected = filled(here.view.behind, around, places)
    np.testing.assert_array_equal(filled(drawn, around, places)[shown], expected[shown])


def test_ground_that_slopes_is_background_down_to_the_frame() -> None:
    rows = torch.linspace(0, 24, HEIGHT)[None, None, :, None].expand(1, 1, HEIGHT, WIDTH)
    disparity = Disparity.from_pixels(rows.contiguous())
    settings = preset("best", "photo").changed({"warp.fill": "smooth"})
    behind = seen_from_right(to_image(WALL), disparity, settings).behind
    flow = np.broadcast_to(np.array([3, -2], np.float32), (HEIGHT, WIDTH, 2))
    moved = Motion(flow=np.ascontiguousarray(flow), reliable=np.ones((HEIGHT, WIDTH), bool))
    row, column = np.nonzero(~behind.known)
    assert (row == HEIGHT - 1).sum() > 20  # beyond the right side of the frame
    places = background_places(behind, disparity, {1: moved})[1]
    np.testing.assert_allclose(places, np.stack([column + 3, row - 2], axis=-1), atol=1e-3)
