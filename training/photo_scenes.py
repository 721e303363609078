"""Procedural photographs with exact inverse depth: tables, piles, boards, rooms, streets, landscapes, portraits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photo_canvas import Canvas, Floats, raised, rotation
from training.photo_finish import photograph
from training.photo_objects import car, cut_edge, facade, furniture, put, skins, stand
from training.photo_settings import folds, ground, sky, walls
from training.photo_studio import Studio
from training.photo_textures import fractal, unit


class Scene(NamedTuple):
    """A picture (h, w, 3) and its inverse depth (h, w), the nearest 1."""

    image: NDArray[np.uint8]
    inverse: Floats


def table(studio: Studio, size: tuple[int, int]) -> Scene:
    """Things on a table before walls, seen from a little above."""
    rng, r = studio.rng, studio.rng.uniform
    focal, pitch = (
        float(np.exp(r(np.log(0.8), np.log(2.2)))),
        float(r(0.02, 0.45) if rng.random() < 0.85 else r(0.4, 1.1)),
    )
    tall = 0.5 / focal  # half of what the picture shows at distance 1
    lowest = min(pitch + np.arctan(tall * r(0.35, 0.95)), 1.3)  # where the table at distance 1 is seen
    canvas = studio.canvas(size, height=float(np.tan(lowest)), pitch=(pitch, pitch), focal=(focal, focal))
    far = float(r(1.3, 3.0))
    ground(studio, canvas, r(0.2, 1.5))
    walls(studio, canvas, far)
    spread = size[1] / canvas.focal_px / 2
    for _ in range(int(rng.integers(4, 22))):
        z = float(np.exp(r(np.log(1.0), np.log(far))))
        foot = np.array([r(-1.05, 1.05) * spread * z, 0.0, z])
        put(studio, canvas, foot, float(2 * tall * r(0.12, 0.75) * z ** r(0, 1)))
    return _finish(studio, canvas, blur=(0, 2.5))


def pile(studio: Studio, size: tuple[int, int]) -> Scene:
    """A heap or a shelf of similar things, higher means farther."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(r(0.2, 0.8)), pitch=(0.0, 0.35), focal=(0.9, 2.0))
    far = float(r(1.6, 2.6))
    ground(studio, canvas, r(0.2, 1.0))
    walls(studio, canvas, far + 0.2)
    kinds = [str(k) for k in rng.choice(["doll", "stone", "thing", "animal", "lathe", "box", "plant", "bust"], 2)]
    spread = size[1] / canvas.focal_px / 2
    slope, count = r(0.1, 1.0), int(rng.integers(10, 40))
    for z in np.sort(r(0.85, far, count))[::-1]:
        foot = np.array([r(-1.1, 1.1) * spread * z, max(0, (z - 1) * slope + r(-0.1, 0.1)), float(z)])
        put(studio, canvas, foot, float(r(0.25, 0.75) * size[0] / canvas.focal_px), kinds)
    return _finish(studio, canvas, blur=(0, 1.5))


def boards(studio: Studio, size: tuple[int, int]) -> Scene:
    """Slanted planes, some with cut outlines, one before the other; sometimes draped cloth."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=0.5, pitch=(-0.1, 0.3), focal=(0.8, 2.2))
    spread = 1.6 * max(1.0, size[1] / canvas.focal_px, size[0] / canvas.focal_px)
    z = float(r(2.0, 3.2))
    for layer in range(int(rng.integers(2, 7))):
        axes = rotation(float(rng.normal(0, 0.45)), float(rng.normal(0.25 if layer == 0 else 0.35, 0.35)))
        wide, tall = (3 * spread * z, 3 * spread * z) if layer == 0 else (r(0.4, 1.6) * spread, r(0.3, 1.0) * spread)
        centre = canvas.eye + canvas.axes[2] * z
        if layer:
            centre = (
                centre
                + canvas.axes[0] * r(-0.5, 0.5) * spread * z * 0.7
                - canvas.axes[1] * r(-0.35, 0.6) * spread * z * 0.7
            )
        origin = centre - axes[0] * wide / 2 - axes[1] * tall / 2
        outline = cut_edge(rng) if layer and rng.random() < 0.35 else None
        relief = folds(canvas, rng) if layer == 0 and rng.random() < 0.35 else None
        canvas.plane(
            origin, axes[0], axes[1], studio.tile(), r(0.4, 2.5), extent=(wide, tall), outline=outline, relief=relief
        )
        z *= float(r(0.72, 0.97))
    if (canvas.inverse <= 0).any():
        walls(studio, canvas, float(r(3, 5)))
    return _finish(studio, canvas, blur=(0, 1.0))


def room(studio: Studio, size: tuple[int, int]) -> Scene:
    """Floor, walls, ceiling, furniture along the walls, people."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(r(1.0, 1.8)), pitch=(-0.05, 0.3), focal=(0.55, 1.2))
    far, left, right = float(r(2.5, 8)), float(r(-4, -1.2)), float(r(1.2, 4))
    ground(studio, canvas, r(0.5, 3))
    turn = rotation(float(rng.normal(0, 0.3)))
    paint = studio.tile(plain=0.85)
    tall = float(r(2.2, 3.2))
    canvas.plane(
        np.array([0, tall, 0]), turn[0], turn[2], studio.tile(plain=0.95, colour=rng.uniform(170, 245) * np.ones(3)), 2
    )
    far_left = np.array([0, 0, 0]) + turn[2] * far + turn[0] * left
    canvas.plane(far_left, turn[0], turn[1], paint, r(1, 3), extent=(right - left, tall))
    back = far + 3
    for x, scale in ((left, 2.0), (right, 2.0)):
        wall = paint if rng.random() < 0.6 else studio.tile(plain=0.7)
        canvas.plane(turn[0] * x - turn[2] * 3, turn[2], turn[1], wall, scale, extent=(back, tall))
    for _ in range(int(rng.integers(0, 4))):  # pictures, windows and doors
        wide, high = float(r(0.4, 1.6)), float(r(0.4, 1.9))
        bottom = float(r(0, max(0.05, tall - high)))
        start = r(left, right - wide)
        canvas.plane(turn[0] * start + turn[2] * (far - 0.02) + [0, bottom, 0], turn[0], turn[1],
                     studio.tile(plain=0.3), r(0.5, 2), extent=(wide, high))  # fmt: skip
    for _ in range(int(rng.integers(2, 12))):
        z, x = float(r(1.0, far)), float(r(left, right))
        foot = turn[0] * x + turn[2] * z
        high, wide, deep = float(r(0.3, 2.0)), float(r(0.3, 2.0)), float(r(0.3, 0.9))
        if rng.random() < 0.6:
            axes = rotation(float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.2))) @ turn
            furniture(studio, canvas, foot, np.array([wide, high, deep]), axes)
        elif rng.random() < 0.5:
            stand(studio, canvas, foot, float(r(1.4, 1.9)), "person")
        else:
            put(studio, canvas, foot, float(r(0.3, 1.2)))
    return _finish(studio, canvas, blur=(0, 1.0))


def street(studio: Studio, size: tuple[int, int]) -> Scene:
    """A road with houses, cars, trees and people."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(r(1.2, 2.5)), pitch=(-0.12, 0.1), focal=(0.5, 1.1))
    sky(studio, canvas)
    ground(studio, canvas, r(2, 6), colour=rng.uniform(60, 150) * np.ones(3))
    turn = rotation(float(rng.normal(0, 0.12)))
    half = float(r(2.5, 8))
    for side in (-1, 1):
        walk = studio.tile(plain=0.6)
        lift = 0.12
        canvas.plane(np.array([0, lift, 0]) + turn[0] * (half if side > 0 else -half - 40), turn[0], turn[2], walk, 2,
                     extent=(40, 200))  # fmt: skip
        if rng.random() < 0.75:
            z, gap = float(r(-5, 10)), r(1.5, 5)
            while z < 90:
                wide, high, deep = float(r(6, 18)), float(r(4, 16)), float(r(6, 10))
                centre = turn[0] * side * (half + gap + deep / 2) + turn[2] * (z + wide / 2) + [0, high / 2, 0]
                house = [facade(studio), studio.tile(plain=0.9), facade(studio)]
                canvas.box(centre, np.array([deep, high, wide]), turn, house, r(4, 8))
                z += wide + float(r(0, 8) * (rng.random() < 0.4))
    for _ in range(int(rng.integers(3, 16))):
        z = float(np.exp(r(np.log(4), np.log(60))))
        side, kind = float(rng.choice([-1, 1])), rng.random()
        if kind < 0.4:
            foot = turn[0] * side * half * r(0.3, 0.9) + turn[2] * z
            car(studio, canvas, foot, turn)
        elif kind < 0.7:
            stand(studio, canvas, turn[0] * side * (half + r(0.5, 4)) + turn[2] * z, float(r(3, 9)), "tree")
        elif kind < 0.85:
            stand(studio, canvas, turn[0] * side * (half * r(0.8, 1.3)) + turn[2] * z, float(r(1.5, 1.9)), "person")
        else:
            foot = turn[0] * side * (half + 0.4) + turn[2] * z
            radius = float(r(0.05, 0.15))
            canvas.quadric(foot, rotation(0.0), (radius, radius), float(r(2.5, 7)), studio.tile(plain=1.0), 1.0)
    return _finish(studio, canvas, haze=(0, 0.01))


def landscape(studio: Studio, size: tuple[int, int]) -> Scene:
    """Ground, hills behind hills, trees, people, animals, stones and a sky."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(np.exp(r(np.log(0.5), np.log(6)))), pitch=(-0.15, 0.25), focal=(0.6, 1.6))
    sky(studio, canvas)
    green = np.array([r(60, 150), r(80, 150), r(30, 80)]) if rng.random() < 0.6 else None
    ground(studio, canvas, r(1, 4), colour=green)
    spread = size[1] / canvas.focal_px
    for z in np.sort(np.exp(r(np.log(40), np.log(2000), int(rng.integers(0, 6)))))[::-1]:
        tall = float(z * r(0.04, 0.35))
        outline = (np.arange(64)[::-1, None] < 20 + 40 * unit(fractal((1, 128), rng, r(0.9, 1.6))[0])[None]).astype(
            np.uint8
        )
        colour = np.array([90, 110, 80]) * r(0.5, 1.3) + z / 2000 * np.array([40, 60, 110])
        left, tile = np.array([-1.5 * spread * z, 0, z]), studio.tile(plain=0.6, colour=colour)
        canvas.plane(left, np.eye(3)[0], np.eye(3)[1], tile, z / 3, extent=(3 * spread * z, tall), outline=outline)
    for z in np.sort(np.exp(r(np.log(3), np.log(150), int(rng.integers(1, 25)))))[::-1]:
        foot = np.array([r(-0.7, 0.7) * spread * z, 0, z])
        kind = str(rng.choice(["tree", "tree", "tree", "person", "animal", "stone", "plant", "car", "house"]))
        if kind == "house":
            foot, wide, high = foot + 12 * np.eye(3)[2], r(4, 12), r(3, 9)
            canvas.box(
                raised(foot, high / 2), np.array([wide, high, wide]), rotation(r(-0.8, 0.8)), [facade(studio)] * 3, 5.0
            )
        else:
            tall = {
                "tree": r(3, 14),
                "person": r(1.5, 1.9),
                "animal": r(0.4, 1.8),
                "stone": r(0.3, 3),
                "plant": r(0.3, 2),
                "car": 1.5,
            }
            stand(studio, canvas, foot, float(tall[kind]), kind)
    return _finish(studio, canvas, haze=(0, 0.003), blur=(0, 1.5))


def portrait(studio: Studio, size: tuple[int, int]) -> Scene:
    """One thing fills the picture before a background that is often out of focus."""
    rng, r = studio.rng, studio.rng.uniform
    standing = rng.random() < 0.5
    height = float(r(0.15, 0.6)) if standing else float(r(1.2, 1.8))
    canvas = studio.canvas(size, height=height, pitch=(0.0, 0.35) if standing else (-0.1, 0.1), focal=(0.9, 1.8))
    outside = rng.random() < 0.35 and not standing
    if outside:
        sky(studio, canvas)
    far = float(np.exp(r(np.log(1.5), np.log(12))))
    ground(studio, canvas, r(0.3, 2))
    if not outside:
        walls(studio, canvas, far)
    for _ in range(int(rng.integers(0, 8))):
        z = float(r(1.3, max(far, 1.5)))
        foot = np.array([r(-1, 1) * z * 0.6 / canvas.view.focal, 0.0, z])
        put(studio, canvas, foot, float(r(0.2, 0.5) * z))
    spread = size[1] / canvas.focal_px / 2
    z = float(r(0.75, 1.1))
    x = float(rng.normal(0, 0.2) * spread)
    half = size[0] / canvas.focal_px / 2
    if standing:
        foot = np.array([x, 0.0, z])
        put(
            studio,
            canvas,
            foot,
            float(r(0.7, 1.3) * half),
            ["animal", "plant", "flower", "lathe", "stone", "doll", "thing", "box", "cup"],
        )
    else:
        tall = float(r(1.1, 2.3) * half * (1.7 if rng.random() < 0.2 else 1))
        bottom = canvas.eye[1] - half * z * r(0.95, 1.4) - z * np.tan(canvas.view.pitch)
        kind = str(rng.choice(["bust", "bust", "bust", "animal", "flower"]))
        canvas.sprite(np.array([x, bottom, z]), tall * z, studio.sprite(kind), skins(studio), depth=float(r(0.5, 1.0)))
    return _finish(studio, canvas, blur=(0, 6))


SCENES: tuple[tuple[Callable[[Studio, tuple[int, int]], Scene], float], ...] = (
    (table, 0.30), (pile, 0.12), (boards, 0.13), (room, 0.15), (street, 0.10), (landscape, 0.08), (portrait, 0.12),
)  # fmt: skip


def _finish(
    studio: Studio, canvas: Canvas, *, blur: tuple[float, float] = (0, 0), haze: tuple[float, float] = (0, 0)
) -> Scene:
    rng = studio.rng
    width = float(rng.uniform(*blur)) * (rng.random() < 0.6)
    image = photograph(canvas, rng, haze=float(rng.uniform(*haze)), blur=width)
    inverse = canvas.inverse
    if rng.random() < 0.5:
        image, inverse = image[:, ::-1], inverse[:, ::-1]
    nearest = np.quantile(inverse, 0.998)
    return Scene(image, np.minimum(inverse / max(nearest, 1e-6), 1.0))


def draw(studio: Studio, size: tuple[int, int]) -> Scene:
    """A scene of a random kind; one that shows nothing but a plane or nothing at all is drawn again."""
    makers, weights = zip(*SCENES, strict=True)
    while True:
        scene = makers[studio.rng.choice(len(makers), p=np.array(weights) / sum(weights))](studio, size)
        low, high = np.quantile(scene.inverse, [0.02, 0.98])
        if not np.isfinite(scene.inverse).all() or high < 1.15 * low or scene.image.std() < 8:
            continue
        if studio.rng.random() < 0.1 or _unevenness(scene.inverse) > 0.15:
            return scene


def _unevenness(inverse: Floats) -> float:
    """Deviation from the best plane over the deviation from the mean."""
    small = cv2.resize(inverse, (24, 24), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[-1:1:24j, -1:1:24j]
    basis = np.stack([np.ones(576), x.ravel(), y.ravel()], 1)
    rest = small.ravel() - basis @ np.linalg.lstsq(basis, small.ravel(), rcond=None)[0]
    return float(rest.std() / (small.std() + 1e-9))
