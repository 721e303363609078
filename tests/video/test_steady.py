"""Depth from frame to frame: laws of the fit and of the smoothing; where scenes are cut."""

import numpy as np
import pytest
from tests.video.conftest import Frames, scene_frames

from stereodiffusion.video.cuts import is_cut
from stereodiffusion.video.motion import Motion, between, chained
from stereodiffusion.video.steady import aligned, fitted, smoothed

RNG = np.random.default_rng(0)


def still(height: int, width: int) -> Motion:
    return Motion(flow=np.zeros((height, width, 2), np.float32), reliable=np.ones((height, width), bool))


def relief(height: int = 40, width: int = 60) -> np.ndarray:
    across = np.linspace(0.1, 0.8, width, dtype=np.float32)
    return np.tile(across, (height, 1)) + 0.05 * np.sin(np.arange(height, dtype=np.float32))[:, None]


def test_a_fit_undoes_scale_and_shift_though_a_part_has_moved() -> None:
    before = relief().ravel()
    own = (before - 0.1) / 1.3
    own[: own.size // 8] += 0.5  # something has come nearer
    scale, shift = fitted(own, before, places=own.size)
    assert (scale, shift) == pytest.approx((1.3, 0.1), abs=0.01)


def test_there_and_back_is_the_identity_and_noise_does_not_flatten() -> None:
    before = relief().ravel()
    own = 0.7 * before + 0.2 + 0.1 * RNG.normal(size=before.size).astype(np.float32)
    noisy = before + 0.1 * RNG.normal(size=before.size).astype(np.float32)
    there, back = fitted(own, noisy, places=own.size), fitted(noisy, own, places=own.size)
    assert there[0] * back[0] == pytest.approx(1, abs=0.05)
    spread = held = relief()
    for _ in range(100):
        own = relief() + 0.1 * RNG.normal(size=spread.shape).astype(np.float32)
        held = aligned(own, held, still(*spread.shape))
    assert held.std() > 0.9 * relief().std()


def test_jumps_of_scale_are_taken_back() -> None:
    held = relief()
    for scale, shift in zip(RNG.uniform(0.8, 1.1, 20), RNG.uniform(0, 0.1, 20), strict=True):
        held = aligned((scale * relief() + shift).astype(np.float32), held, still(*held.shape))
        assert np.abs(held - relief()).max() < 0.06
    apart = [0.8 * relief(), 1.1 * relief() + 0.1]
    assert np.abs(apart[0] - apart[1]).max() > 0.3


def test_what_comes_nearer_evenly_is_smoothed_without_lag() -> None:
    at = [(relief() + 0.03 * step).astype(np.float32) for step in range(5)]
    motion = still(*at[0].shape)
    around = [(at[1], motion), (at[3], motion), (at[0], motion), (at[4], motion)]
    np.testing.assert_allclose(smoothed(at[2], around), at[2], atol=1e-6)


def test_a_single_outlier_goes_and_what_moves_is_followed() -> None:
    true, flow = relief(), 3.0
    moved = {step: np.roll(true, step * round(flow), axis=1) for step in (-2, -1, 0, 1, 2)}
    motions = {step: still(*true.shape) for step in moved}
    for step, motion in motions.items():
        motion.flow[..., 0] = step * flow
    torn = moved[0].copy()
    torn[20, 30] += 0.4
    around = [(moved[step], motions[step]) for step in (-1, 1, -2, 2)]
    inner = (slice(None), slice(8, -8))
    np.testing.assert_allclose(smoothed(torn, around)[inner], moved[0][inner], atol=1e-5)


def test_motion_is_found_and_chained() -> None:
    frames = scene_frames(1, 3, (108, 192))
    shifted = [np.roll(frames[0], 4 * step, axis=1) for step in range(3)]
    motion, back = between(shifted[0], shifted[1])
    inner = (slice(20, -20), slice(20, -20))
    assert np.median(motion.flow[inner][..., 0][motion.reliable[inner]]) == pytest.approx(4, abs=0.3)
    assert np.median(back.flow[inner][..., 0]) == pytest.approx(-4, abs=0.3)
    far = chained(motion, between(shifted[1], shifted[2])[0])
    assert np.median(far.flow[inner][..., 0]) == pytest.approx(8, abs=0.6)


def test_scenes_are_cut_where_they_end_and_nowhere_else(two_scenes: Frames) -> None:
    bright = [
        np.clip(frame * gain, 0, 255).astype(np.uint8) for frame, gain in zip(two_scenes, (1, 0.6) * 10, strict=True)
    ]
    for frames in (two_scenes, bright):
        cut = [
            number
            for number in range(1, len(frames))
            if is_cut(frames[number - 1], frames[number], between(frames[number - 1], frames[number])[1])
        ]
        assert cut == [12]
