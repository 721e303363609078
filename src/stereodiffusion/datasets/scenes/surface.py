"""How the surfaces of a procedural scene look: colours, patterns, floor textures, light and soft shadows.

Colours are sRGB in [0, 1] and are shaded as such.  Nothing here changes where a surface is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stereodiffusion.datasets.scenes.description import Background, Colour, Scene, Toy

Floats = NDArray[np.floating]

_PAINT: dict[Colour, tuple[float, float, float]] = {
    "red": (0.86, 0.10, 0.10),
    "green": (0.10, 0.58, 0.18),
    "blue": (0.12, 0.28, 0.86),
    "yellow": (0.96, 0.83, 0.10),
    "orange": (0.97, 0.50, 0.06),
    "purple": (0.46, 0.13, 0.66),
    "pink": (0.97, 0.52, 0.68),
    "white": (0.94, 0.94, 0.92),
}
_SECOND, _SECOND_ON_WHITE = (0.94, 0.94, 0.92), (0.16, 0.16, 0.18)
_WALLS: dict[Background, tuple[float, float, float]] = {
    "grey wall": (0.60, 0.60, 0.64),
    "blue wall": (0.55, 0.68, 0.86),
    "pink wall": (0.90, 0.70, 0.74),
    "green wall": (0.60, 0.78, 0.62),
    "yellow wall": (0.90, 0.82, 0.56),
    "white wall": (0.90, 0.90, 0.88),
}
_PLANK_M, _TILE_M = 0.30, 0.50
_PENUMBRA_M = 0.07


def _icosahedron() -> NDArray[np.float32]:
    """Its twelve corners on the unit sphere: the middles of a dotted ball's dots."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    corners = [c[i:] + c[:i] for c in corners for i in range(3)]
    return np.asarray(corners, np.float32) / np.float32(np.hypot(1, golden))


def toy_colour(toy: Toy, shadow: tuple[float, float], x: Floats, y: Floats, z: Floats) -> Floats:
    """Shaded colours of points on a toy's surface.

    Args:
        toy: The toy.
        shadow: The scene's shadow vector, which says where the light comes from.
        x: World X of the points in metres, shape (n,).
        y: Height above the floor, shape (n,).
        z: World Z, shape (n,).

    Returns:
        sRGB colours, shape (n, 3).
    """
    cos, sin = float(np.cos(toy.yaw)), float(np.sin(toy.yaw))
    east, north = x - toy.x_m, z - toy.z_m
    local_x, local_z = cos * east - sin * north, sin * east + cos * north
    normal, second = _solid(toy, local_x, y, local_z)
    normal_x, normal_z = cos * normal[0] + sin * normal[2], cos * normal[2] - sin * normal[0]
    light = np.asarray((-shadow[0], 1.0, -shadow[1])) / np.sqrt(1 + shadow[0] ** 2 + shadow[1] ** 2)
    facing = np.clip(normal_x * light[0] + normal[1] * light[1] + normal_z * light[2], 0, None)
    shade = (0.52 + 0.52 * facing) * (0.8 + 0.2 * np.clip(y / (0.5 * toy.radius_m), 0, 1))
    other = _SECOND_ON_WHITE if toy.colour == "white" else _SECOND
    paint = np.where(second[:, None], np.asarray(other, x.dtype), np.asarray(_PAINT[toy.colour], x.dtype))
    colour = paint * shade[:, None].astype(x.dtype)
    if toy.shape == "ball":
        mirror_z = 2 * facing * normal_z - light[2]  # the viewer is about in the direction -Z
        colour += (0.35 * np.clip(-mirror_z, 0, 1) ** 24)[:, None].astype(x.dtype)
    return np.clip(colour, 0, 1)


def _solid(toy: Toy, x: Floats, y: Floats, z: Floats) -> tuple[tuple[Floats, Floats, Floats], NDArray[np.bool_]]:
    """Outward normal in the toy's own axes, and where the pattern shows its second colour."""
    radius, up = toy.radius_m, y / toy.height_m
    if toy.shape == "ball":
        normal = (x / radius, y / radius - 1, z / radius)
        if toy.pattern == "dotted":
            near_dot = (np.stack(normal, -1).astype(np.float32) @ _icosahedron().T).max(-1)
            return normal, near_dot > np.cos(0.33)
        return normal, _wrapped(toy, np.arctan2(z, x), up)
    if toy.shape == "cube":
        return _cube(toy, x, up, z)
    around = np.arctan2(z, x)
    if toy.shape == "cylinder":
        lid = up > 1 - 1e-5
        out = np.where(lid, 0, 1)
        normal = (out * x / radius, np.where(lid, 1.0, 0.0), out * z / radius)
        return normal, _wrapped(toy, around, up) & ~lid
    slant = np.hypot(toy.height_m, radius)
    rise, out = radius / slant, toy.height_m / slant
    return (out * np.cos(around), np.full_like(x, rise), out * np.sin(around)), _wrapped(toy, around, up)


def _wrapped(toy: Toy, around: Floats, up: Floats) -> NDArray[np.bool_]:
    """Patterns of round toys from the angle about the vertical and the height as a fraction."""
    turn = around / (2 * np.pi)
    match toy.pattern:
        case "plain":
            return np.zeros(up.shape, bool)
        case "striped":
            return np.floor(up * 5) % 2 == 1
        case "checkered":
            return (np.floor(turn * 8) + np.floor(up * 4)) % 2 == 1
        case "dotted":
            row = np.floor(up * 3)
            across = (turn * 6 + 0.5 * row) % 1 - 0.5
            middle = (row + 0.5) / 3
            girth = toy.radius_m * (1 - middle if toy.shape == "cone" else np.ones_like(up))
            arc = girth * 2 * np.pi / 6
            size = np.minimum(0.29 * toy.radius_m, 0.36 * arc)
            return np.hypot(across * arc, (up - middle) * toy.height_m) < size


def _cube(toy: Toy, x: Floats, up: Floats, z: Floats) -> tuple[tuple[Floats, Floats, Floats], NDArray[np.bool_]]:
    a, b, c = x / toy.radius_m, 2 * up - 1, z / toy.radius_m
    top = (np.abs(b) > np.abs(a)) & (np.abs(b) > np.abs(c))
    side = ~top & (np.abs(a) > np.abs(c))
    normal = (np.where(side, np.sign(a), 0), np.where(top, np.sign(b), 0), np.where(top | side, 0, np.sign(c)))
    across = np.where(side, c, a) / 2 + 0.5
    along = np.where(top, c / 2 + 0.5, up)
    match toy.pattern:
        case "plain":
            second = np.zeros(x.shape, bool)
        case "striped":
            second = np.floor(np.clip(along, 0, 0.999) * 5) % 2 == 1
        case "checkered":
            second = (np.floor(across * 3) + np.floor(along * 3) + top) % 2 == 1
        case "dotted":
            second = np.hypot((across * 2) % 1 - 0.5, (along * 2) % 1 - 0.5) < 0.30
    return normal, second


def floor_colour(scene: Scene, x: Floats, z: Floats) -> Floats:
    """Colours of floor points, shadows included; ``x`` is (h, w) and ``z`` (h, 1), metres; returns (h, w, 3)."""
    rng = np.random.default_rng([scene.seed, 2])
    phase = rng.uniform(0, 2 * np.pi, 8).astype(x.dtype)
    east, north = x + scene.origin_m[0], z + scene.origin_m[1]  # of the floor's pattern
    if scene.floor == "wooden table":
        tone = rng.uniform(0.88, 1.08, 64).astype(x.dtype)
        across = east / _PLANK_M + float(rng.uniform())
        plank = np.floor(across).astype(np.int32)
        light = tone[plank % 64] * (1 - 0.45 * (np.abs(across - plank - 0.5) > 0.48))
        light *= 1 + 0.03 * np.sin(9 * across + 2.5 * np.sin(1.7 * north + phase[0]))
        colour = light[..., None] * np.asarray((0.74, 0.47, 0.26), x.dtype)
    elif scene.floor == "checkered floor":
        start = float(rng.uniform())
        dark = (np.floor(east / _TILE_M + start) + np.floor(north / _TILE_M + start)) % 2 == 1
        haze = np.clip(z / 12 - 0.5, 0, 1)  # tiles finer than a pixel fade into their mean
        light = np.where(dark, 0.36, 0.82) * (1 - haze) + 0.59 * haze
        colour = light[..., None] * np.asarray((1.0, 1.0, 1.0), x.dtype)
    else:
        wave = np.sin(2.1 * east + phase[0] + np.sin(1.3 * north + phase[1]))
        wave += np.sin(3.7 * east - 2.9 * north + phase[2])
        strength, base = (0.06, (0.30, 0.56, 0.20)) if scene.floor == "grass" else (0.02, (0.56, 0.56, 0.58))
        wave *= strength / (1 + 0.1 * z * z)
        colour = (1 + wave)[..., None] * np.asarray(base, x.dtype)
    colour *= _lit(scene, x, z)[..., None]
    return colour


def _lit(scene: Scene, x: Floats, z: Floats) -> Floats:
    """Fraction of light that reaches floor points: soft shadows, and contact darkening at the objects' feet."""
    lit = np.ones(np.broadcast_shapes(x.shape, z.shape), x.dtype)
    for toy in scene.toys:
        reach = toy.reach_m + (toy.height_m * float(np.hypot(*scene.shadow))) + 3 * _PENUMBRA_M
        rows = np.flatnonzero(np.abs(z[:, 0] - toy.z_m) < reach)
        if rows.size == 0:
            continue
        band = slice(int(rows[0]), int(rows[-1]) + 1)
        columns = np.flatnonzero((np.abs(x[band] - toy.x_m) < reach).any(0))
        if columns.size == 0:
            continue
        patch = (band, slice(int(columns[0]), int(columns[-1]) + 1))
        east, north = x[patch] - toy.x_m, z[band] - toy.z_m
        shade = np.clip(0.5 - _shadow_distance(toy, scene.shadow, east, north) / (2 * _PENUMBRA_M), 0, 1)
        shade = shade * shade * (3 - 2 * shade)
        foot = np.hypot(east, north) - toy.radius_m * (0.3 if toy.shape == "ball" else 1.0)
        lit[patch] *= (1 - 0.5 * shade) * (1 - 0.3 * np.exp(-np.clip(foot, 0, None) / (0.25 * toy.radius_m)))
    return lit


def _shadow_distance(toy: Toy, shadow: tuple[float, float], east: Floats, north: Floats) -> Floats:
    """Signed distance in metres to the outline of the shadow: the hull of two discs, the foot's and the top's."""
    tip_x, tip_z = shadow[0] * toy.height_m, shadow[1] * toy.height_m
    length = float(np.hypot(tip_x, tip_z))
    start, end = 0.0, length
    first_radius = toy.radius_m * (1.1 if toy.shape == "cube" else 1.0)
    last_radius = 0.0 if toy.shape == "cone" else first_radius
    if toy.shape == "ball":
        stretch = toy.radius_m * (float(np.sqrt(1 + shadow[0] ** 2 + shadow[1] ** 2)) - 1)
        start, end = length / 2 - stretch, length / 2 + stretch
    along = (east * tip_x + north * tip_z) / length
    across = np.abs(east * tip_z - north * tip_x) / length
    where = np.clip((along - start) / max(end - start, 1e-6), 0, 1)
    middle = start + where * (end - start)
    return np.hypot(along - middle, across) - (first_radius + where * (last_radius - first_radius))


def backdrop_colour(scene: Scene, slope_y: Floats) -> Floats:
    """Colours of wall or sky for vertical slopes of shape (h, 1); returns (h, 1, 3)."""
    if scene.background == "blue sky":
        high = np.clip(slope_y / 0.35, 0, 1)[..., None]
        low_sky, high_sky = np.asarray((0.86, 0.93, 0.98)), np.asarray((0.45, 0.68, 0.93))
        return (low_sky + high * (high_sky - low_sky)).astype(slope_y.dtype)
    height = scene.rig.height_m + slope_y * scene.wall_z_m
    light = (0.86 + 0.10 * np.clip(height / 2, 0, 1.4))[..., None]
    return (light * np.asarray(_WALLS[scene.background])).astype(slope_y.dtype)
