"""Procedural scenes that move: toys that slide, a camera that travels, and the exact motion of every pixel.

The camera moves without turning. Seen from it the scene moves the other way, so a moment is a scene of its own, in
which everything stands where the camera sees it, and the floor's pattern stays where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stereodiffusion.datasets.scenes.description import Scene, sample_scene
from stereodiffusion.datasets.scenes.raycast import BACKGROUND, first_hit
from stereodiffusion.datasets.scenes.rendering import Eye, rays

Step = tuple[float, float]
"""Metres per frame, (X, Z): to the right, and away from the camera."""

_SAME_SURFACE = 2e-3  # relative difference in depth: a pixel's centre comes to lie between others'


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingScene:
    """A scene and how it moves, evenly.

    Attributes:
        start: The scene of frame 0.
        toys: The motion of each toy over the floor.
        camera: The motion of the camera.
    """

    start: Scene
    toys: tuple[Step, ...]
    camera: Step = (0.0, 0.0)

    def at(self, frame: int) -> Scene:
        """The scene at a frame, seen from where the camera is then."""
        scene, (right, on) = self.start, (frame * step for step in self.camera)
        toys = tuple(
            replace(toy, x_m=toy.x_m + frame * x - right, z_m=toy.z_m + frame * z - on)
            for toy, (x, z) in zip(scene.toys, self.toys, strict=True)
        )
        origin = (scene.origin_m[0] + right, scene.origin_m[1] + on)
        return replace(scene, toys=toys, wall_z_m=scene.wall_z_m - on, origin_m=origin)

    def flow(
        self, frame: int, other: int, size: tuple[int, int], eye: Eye = "left"
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Where what is seen in one frame is seen in another one.

        Args:
            frame: The one.
            other: The other.
            size: (height, width) in pixels.
            eye: Of both.

        Returns:
            (x, y) in pixels to be added to a pixel's place, shape (h, w, 2), and where the other frame shows that
            point: not hidden there, nor outside, shape (h, w). The sky does not move.
        """
        scene, then = self.at(frame), self.at(other)
        height, width = size
        eye_x = 0.0 if eye == "left" else scene.rig.baseline_m
        slope_x, slope_y = rays(scene.rig, size, np.float64)
        depth, toy = first_hit(scene, eye_x, slope_x, slope_y)
        passed = other - frame
        steps = np.asarray([*self.toys, (0.0, 0.0)]) - np.asarray(self.camera)
        moved = passed * steps[toy]  # the last is of BACKGROUND, which is -1
        with np.errstate(invalid="ignore"):
            there = depth + moved[..., 1]
            x = np.where(np.isinf(depth), slope_x, (slope_x * depth + moved[..., 0]) / there)
            y = np.where(np.isinf(depth), slope_y, slope_y * depth / there)
        focal_px = scene.rig.focal_px(width)
        flow = np.stack([(x - slope_x) * focal_px, (slope_y - y) * focal_px], axis=-1)
        # What the other frame shows at the pixel that the point comes to lie in.
        column, row = np.arange(width) + flow[..., 0], np.arange(height)[:, None] + flow[..., 1]
        within = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
        shown = np.empty_like(depth)
        kind = np.empty_like(toy)
        for line in range(height):  # rays of a row have one slope in `first_hit`, these have each their own
            shown[line], kind[line] = (
                found[:, 0] for found in first_hit(then, eye_x, x[line][:, None], y[line][:, None])
            )
        with np.errstate(invalid="ignore"):
            same = (np.abs(shown - there) <= _SAME_SURFACE * there) | (np.isinf(shown) & np.isinf(there))
        return flow.astype(np.float32), within & same & (kind == toy)


def sample_moving_scene(seed: int, *, count: int = 2) -> MovingScene:
    """Draw a scene and a motion that suits a second of video; the same seed gives the same on every machine.

    Toys slide by up to a centimetre a frame, every second one mostly to the side; the camera travels to the side or
    ahead by a few millimetres a frame, or stands.
    """
    scene = sample_scene(seed, count=count)
    rng = np.random.default_rng([seed, 3])
    toys = tuple(
        (float(rng.choice([-1, 1]) * rng.uniform(0.003, 0.010)), float(rng.uniform(-0.006, 0.006))) for _ in scene.toys
    )
    cameras: tuple[Step, ...] = ((0.0, 0.0), (0.004, 0.0), (-0.004, 0.0), (0.0, 0.006))
    return MovingScene(start=scene, toys=toys, camera=cameras[rng.integers(len(cameras))])


__all__ = ["BACKGROUND", "MovingScene", "Step", "sample_moving_scene"]
