"""Moving scenes: the motion they tell is the motion of their pictures."""

import numpy as np
import pytest

from stereodiffusion.datasets.scenes import render, render_image, sample_scene
from stereodiffusion.datasets.scenes.moving import MovingScene, sample_moving_scene
from stereodiffusion.datasets.scenes.rendering import Eye

SIZE = (60, 96)


def test_a_camera_that_steps_by_the_baseline_sees_with_the_right_eye() -> None:
    scene = sample_scene(4, count=2)
    still = MovingScene(start=scene, toys=((0.0, 0.0),) * 2, camera=(scene.rig.baseline_m, 0.0))
    pair = render(scene, SIZE)
    stepped = render_image(still.at(1), SIZE)
    # The floor's pattern is reckoned from another place, which float32 rounds otherwise: at its edges samples may flip.
    assert (np.abs(stepped - pair.right.image).max(-1) > 0.01).mean() < 0.005
    flow, seen = still.flow(0, 1, SIZE)
    np.testing.assert_allclose(flow[..., 0], -pair.left.disparity, atol=1e-4)
    np.testing.assert_allclose(flow[..., 1], 0, atol=1e-9)
    assert (seen == ~pair.left.occluded).mean() > 0.995


@pytest.mark.parametrize("eye", ["left", "right"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_way_there_and_back_leads_to_where_it_began(seed: int, eye: Eye) -> None:
    scene = sample_moving_scene(seed)
    there, seen = scene.flow(0, 5, SIZE, eye)
    back, _ = scene.flow(5, 0, SIZE, eye)
    rows, columns = np.nonzero(seen)
    column, row = columns + there[rows, columns, 0], rows + there[rows, columns, 1]
    nearest = np.rint(row).astype(int), np.rint(column).astype(int)
    off = np.hypot(*(there[rows, columns] + back[nearest]).T)
    # Back from the nearest pixel's centre: half a pixel beside, on another surface only at borders.
    assert np.median(off) < 0.1
    assert (off > 1).mean() < 0.03
    assert np.abs(there).max() > 1


def test_the_same_seed_moves_alike() -> None:
    assert sample_moving_scene(3) == sample_moving_scene(3)
    assert sample_moving_scene(3).at(0) == sample_moving_scene(3).start
