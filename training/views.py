"""What the UNets learn from: scenes as either eye sees them, and from aside, where toys are cut off or half hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stereodiffusion.datasets.scenes import Scene, sample_scene
from stereodiffusion.datasets.scenes.moving import MovingScene
from stereodiffusion.datasets.scenes.raycast import first_hit
from stereodiffusion.datasets.scenes.rendering import rays

_RIGHT_EYE, _ASIDE = 0.3, 0.12  # shares of the scenes; all others are seen by the left eye
_FARTHEST_M = 0.35
_LEAST_SHOWN = 0.5  # of every toy, or its caption would speak of what cannot be seen
_RAYS = 64  # in each direction, to count what is shown


def sample_view(seed: int) -> Scene:
    """The scene of a seed, seen by the left eye, by the right one, or from up to 0.35 m aside.

    From aside, toys reach out of the frame and stand behind others, but half of each is always shown.
    """
    scene = sample_scene(seed)
    rng = np.random.default_rng([seed, 4])
    kind = rng.random()
    if kind < _RIGHT_EYE:
        return seen_from(scene, scene.rig.baseline_m)
    if kind >= _RIGHT_EYE + _ASIDE:
        return scene
    while True:
        aside = seen_from(scene, float(rng.uniform(-_FARTHEST_M, _FARTHEST_M)))
        if min(shown(aside)) >= _LEAST_SHOWN:
            return aside


def seen_from(scene: Scene, x_m: float) -> Scene:
    """The scene as a camera at X = ``x_m`` has it before itself."""
    still = ((0.0, 0.0),) * len(scene.toys)
    return MovingScene(start=scene, toys=still, camera=(x_m, 0.0)).at(1)


def shown(scene: Scene) -> list[float]:
    """Which fraction of each toy the left eye sees, of what it would see of it alone in a frame three times as wide."""
    slope_x, slope_y = rays(scene.rig, (_RAYS, _RAYS), np.float32)
    _, seen = first_hit(scene, 0.0, slope_x, slope_y)
    frames = [slope_x + turn / scene.rig.focal for turn in (-1, 0, 1)]
    fractions = []
    for index, toy in enumerate(scene.toys):
        alone = replace(scene, toys=(toy,))
        whole = sum(int((first_hit(alone, 0.0, columns, slope_y)[1] == 0).sum()) for columns in frames)
        fractions.append(float((seen == index).sum()) / whole)
    return fractions
