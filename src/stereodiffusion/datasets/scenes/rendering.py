"""Both pictures of a procedural scene with exact depth, disparity and occlusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stereodiffusion.datasets.scenes.description import Rig, Scene
from stereodiffusion.datasets.scenes.raycast import BACKGROUND, background_depth, first_hit
from stereodiffusion.datasets.scenes.surface import backdrop_colour, floor_colour, toy_colour

Eye = Literal["left", "right"]

_SAMPLES = 2  # colour samples per pixel in each direction; geometry is exact at the pixel's centre
_SAME_SURFACE = 1e-4  # relative difference in depth below which two rays have met the same point


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedView:
    """One eye's picture and geometry.

    Attributes:
        image: sRGB in [0, 1], float32, shape (h, w, 3).
        depth_m: Z at the pixel centres, metres, infinite for the sky, float32, shape (h, w).
        disparity: ``focal_px * baseline_m / depth_m``, pixels, never negative, float32, shape (h, w).
        occluded: True where the other eye does not see the point (hidden, or outside its frame), shape (h, w).
        toy: Index into ``scene.toys`` of what is seen, -1 for floor, wall and sky, int8, shape (h, w).
    """

    image: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    disparity: NDArray[np.float32]
    occluded: NDArray[np.bool_]
    toy: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPair:
    """Both eyes of a rectified pair: a point at left column x is at right column x - disparity.

    Attributes:
        left: The left eye.
        right: The right eye.
        focal_px: Focal length in pixels.
        baseline_m: Distance of the eyes in metres.
    """

    left: RenderedView
    right: RenderedView
    focal_px: float
    baseline_m: float


def render(scene: Scene, size: tuple[int, int] = (256, 256)) -> RenderedPair:
    """Render both eyes.

    Args:
        scene: The scene.
        size: (height, width) in pixels.

    Returns:
        Pictures, depth, disparity and occlusion of both eyes.
    """
    return RenderedPair(
        left=_view(scene, size, "left"),
        right=_view(scene, size, "right"),
        focal_px=scene.rig.focal_px(size[1]),
        baseline_m=scene.rig.baseline_m,
    )


def render_image(scene: Scene, size: tuple[int, int] = (256, 256), *, eye: Eye = "left") -> NDArray[np.float32]:
    """Only the picture of one eye, sRGB in [0, 1], shape (height, width, 3): the fast path for training."""
    height, width = _checked(size)
    slope_x, slope_y = rays(scene.rig, (height * _SAMPLES, width * _SAMPLES), np.float32)
    eye_x_m = 0.0 if eye == "left" else scene.rig.baseline_m
    depth, toy_index = first_hit(scene, eye_x_m, slope_x, slope_y)
    image = np.broadcast_to(backdrop_colour(scene, slope_y), (*slope_x.shape, 3)).copy()
    ground = np.flatnonzero(_is_floor(scene, slope_y)[:, 0])
    if ground.size:
        below = slice(int(ground[0]), None)
        z = background_depth(scene, slope_y[below])
        image[below] = floor_colour(scene, eye_x_m + slope_x[below] * z, z)
    for i, toy in enumerate(scene.toys):
        row, column = np.nonzero(toy_index == i)
        z = depth[row, column]
        x = eye_x_m + slope_x[row, column] * z
        y = scene.rig.height_m + slope_y[row, 0] * z
        image[row, column] = toy_colour(toy, scene.shadow, x, y, z)
    image = image.reshape(height, _SAMPLES, width, _SAMPLES, 3).mean((1, 3), dtype=np.float32)
    return np.clip(image, 0, 1)


def render_disparity(scene: Scene, size: tuple[int, int] = (256, 256), *, eye: Eye = "left") -> NDArray[np.float32]:
    """Only the disparity of one eye in pixels, shape (height, width)."""
    slope_x, slope_y = rays(scene.rig, _checked(size), np.float64)
    depth, _ = first_hit(scene, 0.0 if eye == "left" else scene.rig.baseline_m, slope_x, slope_y)
    return (scene.rig.focal_px(size[1]) * scene.rig.baseline_m / depth).astype(np.float32)


def _view(scene: Scene, size: tuple[int, int], eye: Eye) -> RenderedView:
    slope_x, slope_y = rays(scene.rig, _checked(size), np.float64)
    baseline_m = scene.rig.baseline_m
    here, there = (0.0, baseline_m) if eye == "left" else (baseline_m, 0.0)
    depth, toy = first_hit(scene, here, slope_x, slope_y)
    seen_from_there = slope_x + (here - there) / depth
    other_depth, _ = first_hit(scene, there, seen_from_there, slope_y)
    with np.errstate(invalid="ignore"):
        hidden = other_depth < depth * (1 - _SAME_SURFACE)
    outside = np.abs(seen_from_there) * scene.rig.focal > 0.5
    return RenderedView(
        image=render_image(scene, size, eye=eye),
        depth_m=depth.astype(np.float32),
        disparity=(scene.rig.focal_px(size[1]) * baseline_m / depth).astype(np.float32),
        occluded=hidden | outside,
        toy=toy,
    )


def _is_floor(scene: Scene, slope_y: NDArray[np.floating]) -> NDArray[np.bool_]:
    last_m = np.inf if scene.background == "blue sky" else scene.wall_z_m
    return background_depth(scene, slope_y) < last_m


def rays(
    rig: Rig, size: tuple[int, int], dtype: type[np.float32] | type[np.float64]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Slopes of the rays through the pixel centres: horizontal (h, w), vertical (h, 1), upwards positive."""
    height, width = size
    x = ((np.arange(width) + 0.5) / width - 0.5) / rig.focal
    y = (rig.horizon - (np.arange(height) + 0.5) / height) * height / width / rig.focal
    return np.broadcast_to(x.astype(dtype), size), y[:, None].astype(dtype)


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if min(size) < 1:
        raise ValueError(f"size must be (height, width) in positive pixels, got {size}")
    return size


__all__ = ["BACKGROUND", "Eye", "RenderedPair", "RenderedView", "rays", "render", "render_disparity", "render_image"]
