"""Where a ray first meets a procedural scene, in closed form.

A ray leaves the eye ``(eye_x_m, height_m, 0)`` in the direction ``(slope_x, slope_y, 1)``; because its third
component is one, the parameter of a point on it *is* the depth Z of that point in metres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stereodiffusion.datasets.scenes.description import Scene, Toy

Floats = NDArray[np.floating]

BACKGROUND = -1  # index of what is not a toy: floor, wall, sky


def background_depth(scene: Scene, slope_y: Floats) -> Floats:
    """Depth of floor, wall or sky (infinite) for rays that leave with the given vertical slopes."""
    downwards = -slope_y
    with np.errstate(divide="ignore"):
        floor = np.where(downwards > 0, scene.rig.height_m / downwards, np.inf)
    return floor if scene.background == "blue sky" else np.minimum(floor, scene.wall_z_m)


def first_hit(scene: Scene, eye_x_m: float, slope_x: Floats, slope_y: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """Depth and kind of the first surface on each ray.

    Args:
        scene: The scene.
        eye_x_m: Where the eye is, metres to the right of the left eye.
        slope_x: Horizontal slopes, shape (h, w).
        slope_y: Vertical slopes (upwards positive) of the rows, shape (h, 1).

    Returns:
        Depth in metres (infinite for the sky) and the index of the toy (``BACKGROUND`` for none), both (h, w).
    """
    depth = np.broadcast_to(background_depth(scene, slope_y), slope_x.shape).copy()
    index = np.full(slope_x.shape, BACKGROUND, np.int8)
    for i, toy in enumerate(scene.toys):
        first_x, last_x, first_y, last_y = _slopes(toy, eye_x_m, scene.rig.height_m)
        rows = np.flatnonzero((slope_y[:, 0] >= first_y) & (slope_y[:, 0] <= last_y))
        if rows.size == 0:
            continue
        band = slice(int(rows[0]), int(rows[-1]) + 1)
        row, column = np.nonzero((slope_x[band] >= first_x) & (slope_x[band] <= last_x))
        row += band.start
        hit = toy_depth(toy, eye_x_m, scene.rig.height_m, slope_x[row, column], slope_y[row, 0])
        nearer = hit < depth[row, column]
        row, column = row[nearer], column[nearer]
        depth[row, column] = hit[nearer]
        index[row, column] = i
    return depth, index


def toy_depth(toy: Toy, eye_x_m: float, eye_y_m: float, slope_x: Floats, slope_y: Floats) -> Floats:
    """Depth at which rays enter one toy, infinite where they miss it."""
    x, z = eye_x_m - toy.x_m, -toy.z_m
    with np.errstate(divide="ignore", invalid="ignore"):
        match toy.shape:
            case "ball":
                depth = _enter_ball(toy.radius_m, x, eye_y_m - toy.radius_m, z, slope_x, slope_y)
            case "cube":
                depth = _enter_cube(toy, x, eye_y_m, z, slope_x, slope_y)
            case "cylinder":
                depth = _enter_cylinder(toy, x, eye_y_m, z, slope_x, slope_y)
            case "cone":
                depth = _enter_cone(toy, x, eye_y_m, z, slope_x, slope_y)
    return np.where(depth > 0, depth, np.inf)  # also turns the NaN of a miss into infinity


def _enter_ball(radius: float, x: float, y: float, z: float, slope_x: Floats, slope_y: Floats) -> Floats:
    a = slope_x**2 + slope_y**2 + 1
    b = slope_x * x + slope_y * y + z
    return (-b - np.sqrt(b * b - a * (x * x + y * y + z * z - radius * radius))) / a


def _enter_cube(toy: Toy, x: float, y: float, z: float, slope_x: Floats, slope_y: Floats) -> Floats:
    cos, sin = float(np.cos(toy.yaw)), float(np.sin(toy.yaw))
    axes = (
        (cos * x - sin * z, cos * slope_x - sin, -toy.radius_m, toy.radius_m),
        (y, slope_y, 0.0, toy.height_m),
        (sin * x + cos * z, sin * slope_x + cos, -toy.radius_m, toy.radius_m),
    )
    enter, leave = np.full_like(slope_x, -np.inf), np.full_like(slope_x, np.inf)
    for start, slope, low, high in axes:
        one, other = (low - start) / slope, (high - start) / slope
        enter, leave = np.maximum(enter, np.minimum(one, other)), np.minimum(leave, np.maximum(one, other))
    return np.where(enter <= leave, enter, np.nan)


def _enter_cylinder(toy: Toy, x: float, y: float, z: float, slope_x: Floats, slope_y: Floats) -> Floats:
    a = slope_x**2 + 1
    b = slope_x * x + z
    side = (-b - np.sqrt(b * b - a * (x * x + z * z - toy.radius_m**2))) / a
    at = y + slope_y * side
    lid = (toy.height_m - y) / slope_y
    on_lid = (x + slope_x * lid) ** 2 + (z + lid) ** 2 <= toy.radius_m**2
    lid = np.where((y > toy.height_m) & (slope_y < 0) & on_lid, lid, np.nan)
    return np.where((at >= 0) & (at <= toy.height_m), side, lid)


def _enter_cone(toy: Toy, x: float, y: float, z: float, slope_x: Floats, slope_y: Floats) -> Floats:
    taper = (toy.radius_m / toy.height_m) ** 2
    below_tip = toy.height_m - y
    a = slope_x**2 + 1 - taper * slope_y**2
    b = slope_x * x + z + taper * below_tip * slope_y
    side = (-b - np.sqrt(b * b - a * (x * x + z * z - taper * below_tip**2))) / a
    at = y + slope_y * side
    return np.where((at >= 0) & (at <= toy.height_m), side, np.nan)


def _slopes(toy: Toy, eye_x_m: float, eye_y_m: float) -> tuple[float, float, float, float]:
    """Least and greatest horizontal slope, then vertical slope, of the rays that can meet the toy."""
    near, far = toy.z_m - toy.reach_m, toy.z_m + toy.reach_m
    left, right = toy.x_m - toy.reach_m - eye_x_m, toy.x_m + toy.reach_m - eye_x_m
    top = toy.height_m - eye_y_m
    return min(left / near, left / far), max(right / near, right / far), -eye_y_m / near, max(top / near, top / far)
