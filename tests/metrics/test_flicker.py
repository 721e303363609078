"""Flicker: nothing in the truth nor in what is wrong all the time, much in what trembles."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from stereodiffusion.datasets.scenes import render, render_image
from stereodiffusion.datasets.scenes.moving import MovingScene, sample_moving_scene
from stereodiffusion.metrics.flicker import flicker

SIZE, FRAMES = (72, 128), 4


def eye(scene: MovingScene, frame: int, apart: float) -> Float32[np.ndarray, "h w 3"]:
    """What an eye sees exactly that is so many times as far from the left one as the right one is."""
    now = scene.at(frame)
    rig = replace(now.rig, baseline_m=now.rig.baseline_m * apart)
    return 255 * render_image(replace(now, rig=rig), SIZE, eye="right")


def test_what_moves_truly_does_not_flicker_and_what_trembles_does() -> None:
    ways = {"true": [1.0] * FRAMES, "steady": [1.15] * FRAMES, "trembling": [1.15, 0.85] * (FRAMES // 2)}
    measured: dict[str, list[float]] = {way: [] for way in ways}
    scene = sample_moving_scene(0)
    off = {way: [eye(scene, n, apart[n]) - eye(scene, n, 1.0) for n in range(FRAMES)] for way, apart in ways.items()}
    for n in range(1, FRAMES):
        back, seen = scene.flow(n, n - 1, SIZE, "right")
        disparity = render(scene.at(n), SIZE).right.disparity
        for way in ways:
            measured[way].append(flicker(off[way][n - 1], off[way][n], back, disparity, seen))
    mean = {way: float(np.mean(values)) for way, values in measured.items()}
    assert mean["true"] == 0
    assert np.abs(off["steady"]).mean() > 0.5 * np.abs(off["trembling"]).mean()  # it is as wrong
    assert mean["steady"] < 0.25 * mean["trembling"]  # but always in the same way


def test_a_change_counts_as_much_as_it_is_and_nothing_is_nan() -> None:
    still, flat = np.zeros((20, 30, 2), np.float32), np.zeros((20, 30), np.float32)
    before, everywhere = np.zeros((20, 30, 3), np.float32), np.ones((20, 30), bool)
    assert np.isclose(flicker(before, before + 3, still, flat, everywhere), 3)
    assert np.isnan(flicker(before, before + 3, still, flat, ~everywhere))
