"""Scenes for training, seen from aside."""

import numpy as np
import pytest
from training.views import sample_view, seen_from, shown

from stereodiffusion.datasets.scenes import render_image, sample_scene


def test_the_right_eye_sees_what_is_rendered_for_it() -> None:
    for seed in range(5):
        scene = sample_scene(seed)
        aside = seen_from(scene, scene.rig.baseline_m)
        difference = np.abs(render_image(aside, (96, 96)) - render_image(scene, (96, 96), eye="right"))
        assert difference.mean() < 1e-4  # single rays on a border hit the other side, by rounding


def test_a_toy_moved_half_out_of_the_frame_is_half_shown() -> None:
    scene = sample_scene(3, count=1)
    (toy,) = scene.toys
    border = 0.5 / scene.rig.focal * toy.z_m  # of the frame, to the right, where the toy's centre stands
    assert shown(scene) == [1.0]
    assert shown(seen_from(scene, toy.x_m - border))[0] == pytest.approx(0.5, abs=0.1)
    assert shown(seen_from(scene, toy.x_m - 1.5 * border))[0] < 0.1


def test_views_are_of_both_eyes_and_of_toys_cut_off_and_covered() -> None:
    views = [sample_view(seed) for seed in range(20_000_000, 20_000_300)]
    least = np.array([min(shown(view)) for view in views])
    eyes = np.array([view.origin_m[0] for view in views])
    assert least.min() >= 0.5
    assert np.mean(least < 0.9) > 0.03
    assert np.mean(eyes == 0) == pytest.approx(0.58, abs=0.1)
    assert np.mean(np.isclose(eyes, 0.065)) == pytest.approx(0.3, abs=0.1)
    assert sample_view(20_000_007) == sample_view(20_000_007)
