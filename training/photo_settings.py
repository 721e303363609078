"""What procedural scenes happen in: ground, walls, folds and sky."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photo_canvas import GROUND, Canvas, Floats, rotation
from training.photo_studio import Studio
from training.photo_textures import fractal, random_colour


def ground(studio: Studio, canvas: Canvas, scale: float, colour: NDArray[np.floating] | None = None) -> None:
    """The plane y = 0."""
    axes = rotation(float(studio.rng.uniform(-0.8, 0.8)))
    canvas.plane(np.zeros(3), axes[0], axes[2], studio.tile(colour=colour), scale, kind=GROUND)


def walls(studio: Studio, canvas: Canvas, far: float) -> None:
    """A wall, at random with a corner, and with folds or a picture on it."""
    rng, r = studio.rng, studio.rng.uniform
    turn = rotation(float(rng.normal(0, 0.2)))
    relief = folds(canvas, rng) if rng.random() < 0.2 else None
    origin = np.array([0, 0, far])
    canvas.plane(origin, turn[0], turn[1], studio.tile(plain=0.5), r(0.3, 1.5) * far, relief=relief)
    if rng.random() < 0.3:
        edge = canvas.view.size[1] / canvas.focal_px / 2 * far
        corner = origin + turn[0] * rng.choice([-1, 1]) * r(0.2, 1.0) * edge
        canvas.plane(corner, -turn[2], turn[1], studio.tile(plain=0.6), r(0.3, 1.5) * far, extent=(far * 3, far * 3))
    for _ in range(int(rng.integers(0, 3))):
        wide, high = r(0.2, 1.0) * far, r(0.2, 0.8) * far
        start = origin + turn[0] * r(-0.8, 0.4) * far + [0, r(0, 0.4) * far, 0] - turn[2] * r(0.005, 0.15) * far
        canvas.plane(start, turn[0], turn[1], studio.tile(plain=0.2), r(0.2, 1) * far, extent=(wide, high))


def sky(studio: Studio, canvas: Canvas) -> None:
    """A gradient with clouds at depth infinity."""
    rng, r = studio.rng, studio.rng.uniform
    h, w = canvas.view.size
    top = np.array([r(60, 160), r(110, 190), r(180, 250)]) if rng.random() < 0.7 else random_colour(rng)
    low = np.array([r(180, 250)] * 3)
    up = np.linspace(1, 0, h)[:, None, None] ** r(0.5, 1.5)
    sky = low + (top - low) * up + np.zeros((h, w, 1))
    if rng.random() < 0.6:
        clouds = np.clip(fractal((h, w), rng, r(1.2, 1.8)) - r(-0.5, 1), 0, 1)[..., None]
        sky = sky + clouds * (r(150, 250) - sky) * r(0.3, 1)
    canvas.colour[:] = np.clip(sky, 0, 255)


def folds(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Smooth relief of a draped cloth, factor of the inverse depth less one."""
    h, w = canvas.view.size
    coarse = fractal((16, 16), rng, float(rng.uniform(1.2, 2.2)))
    if rng.random() < 0.5:
        coarse = coarse * 0.4 + fractal((1, 16), rng, 1.0)
    return (rng.uniform(0.02, 0.2) * cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)).astype(np.float32)
