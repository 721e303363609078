"""Procedural photographs with exact inverse depth: tables, piles, slanted boards, rooms, streets, landscapes, portraits.

    python -m training.photo_scenes --first 0 --chunks 1000     # chunks of 400 scenes, the oldest make room
    python -m training.photo_scenes --show sheet.png

A chunk holds ``images`` (n, h, w, 3) uint8 and ``inverse`` (n, h, w) uint16, inverse depth over the nearest one's; its shape is one of
``SIZES``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training import photo_sprites as sprites
from training.photo_canvas import GROUND, Canvas, Floats, Sprite, View, rotation
from training.photo_finish import photograph
from training.photo_textures import Textures, Tile, fractal, random_colour, unchanged
from training.pictures import WORK

FOLDER = WORK / "photo_scenes"
CHUNK = 400
SIZES = ((192, 256), (192, 256), (192, 256), (224, 224), (256, 192), (128, 320))
_KEPT = 60  # chunks on disk
_MAKERS = (sprites.person, sprites.bust, sprites.animal, sprites.tree, sprites.plant, sprites.ring, sprites.stone,
           sprites.doll, sprites.car, sprites.thing)  # fmt: skip


class Studio:
    """Textures and silhouettes to draw from, and the random numbers."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([11, seed])
        self.textures = Textures(self.rng)
        self._sprites = {maker.__name__: [maker(self.rng) for _ in range(40)] for maker in _MAKERS}

    def sprite(self, *names: str) -> Sprite:
        """A silhouette of one of these kinds, at random mirrored."""
        kind = self._sprites[names[self.rng.integers(len(names))]]
        chosen = kind[self.rng.integers(len(kind))]
        if self.rng.random() < 0.5:
            return Sprite(np.ascontiguousarray(chosen.labels[:, ::-1]), np.ascontiguousarray(chosen.bulge[:, ::-1]))
        return chosen

    def tile(self, *, plain: float = 0.35, colour: NDArray[np.floating] | None = None) -> Tile:
        """A texture."""
        return self.textures.draw(self.rng, plain=plain, colour=colour)

    def tiles(self, count: int, plain: float = 0.5) -> list[Tile]:
        """Several textures."""
        return [self.tile(plain=plain) for _ in range(count)]

    def canvas(self, size: tuple[int, int], *, height: float, pitch: tuple[float, float], focal: tuple[float, float]) -> Canvas:
        """A canvas behind a random lens."""
        r = self.rng.uniform
        long_ = np.exp(r(np.log(focal[0]), np.log(focal[1]))) * max(1.0, size[0] / size[1])
        view = View(size, float(long_), r(*pitch), float(np.clip(self.rng.normal(0, 0.03), -0.12, 0.12)), height)
        light = np.array([r(-1, 1), r(0.3, 1.5), r(-1.2, 0.4)])
        return Canvas(view, light, float(r(0.35, 0.9)))


class Scene(NamedTuple):
    """A picture (h, w, 3) and its inverse depth (h, w), the nearest 1."""

    image: NDArray[np.uint8]
    inverse: Floats


def table(studio: Studio, size: tuple[int, int]) -> Scene:
    """Things on a table before walls, seen from a little above."""
    rng, r = studio.rng, studio.rng.uniform
    focal, pitch = float(np.exp(r(np.log(0.8), np.log(2.2)))), float(r(0.02, 0.45))
    tall = 0.5 / focal  # half of what the picture shows at distance 1
    lowest = pitch + np.arctan(tall * r(0.35, 0.95))  # where the table at distance 1 is seen
    canvas = studio.canvas(size, height=float(np.tan(lowest)), pitch=(pitch, pitch), focal=(focal, focal))
    far = float(r(1.3, 3.0))
    _ground(studio, canvas, r(0.2, 1.5))
    _walls(studio, canvas, far)
    spread = size[1] / canvas.focal_px / 2
    for _ in range(int(rng.integers(2, 18))):
        z = float(np.exp(r(np.log(0.9), np.log(far))))
        foot = np.array([r(-1.1, 1.1) * spread * z, 0.0, z])
        _object(studio, canvas, foot, float(2 * tall * r(0.15, 0.8) * z ** r(0, 1)))
    return _finish(studio, canvas, blur=(0, 2.5))


def pile(studio: Studio, size: tuple[int, int]) -> Scene:
    """A heap or a shelf of similar things, higher means farther."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(r(0.2, 0.8)), pitch=(0.0, 0.35), focal=(0.9, 2.0))
    far = float(r(1.6, 2.6))
    _ground(studio, canvas, r(0.2, 1.0))
    _walls(studio, canvas, far + 0.2)
    kinds = [str(k) for k in rng.choice(["doll", "stone", "thing", "animal", "lathe", "box", "plant", "bust"], 2)]
    spread = size[1] / canvas.focal_px / 2
    slope, count = r(0.1, 1.0), int(rng.integers(10, 40))
    for z in np.sort(r(0.85, far, count))[::-1]:
        foot = np.array([r(-1.1, 1.1) * spread * z, max(0, (z - 1) * slope + r(-0.1, 0.1)), float(z)])
        _object(studio, canvas, foot, float(r(0.25, 0.75) * size[0] / canvas.focal_px), kinds)
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
            centre = centre + canvas.axes[0] * r(-0.5, 0.5) * spread * z * 0.7 - canvas.axes[1] * r(-0.35, 0.6) * spread * z * 0.7
        origin = centre - axes[0] * wide / 2 - axes[1] * tall / 2
        outline = _zigzag(rng) if layer and rng.random() < 0.35 else None
        relief = _folds(canvas, rng) if layer == 0 and rng.random() < 0.35 else None
        canvas.plane(origin, axes[0], axes[1], studio.tile(), r(0.4, 2.5), extent=(wide, tall), outline=outline, relief=relief)
        z *= float(r(0.72, 0.97))
    if (canvas.inverse <= 0).any():
        _walls(studio, canvas, float(r(3, 5)))
    return _finish(studio, canvas, blur=(0, 1.0))


def room(studio: Studio, size: tuple[int, int]) -> Scene:
    """Floor, walls, ceiling, furniture along the walls, people."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(r(1.0, 1.8)), pitch=(-0.05, 0.3), focal=(0.55, 1.2))
    far, left, right = float(r(2.5, 8)), float(r(-4, -0.8)), float(r(0.8, 4))
    _ground(studio, canvas, r(0.5, 3))
    turn = rotation(float(rng.normal(0, 0.4)))
    paint = studio.tile(plain=0.85)
    tall = float(r(2.2, 3.2))
    canvas.plane(np.array([0, tall, 0]), turn[0], turn[2], studio.tile(plain=0.95, colour=rng.uniform(170, 245) * np.ones(3)), 2)
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
            _furniture(studio, canvas, foot, np.array([wide, high, deep]), axes)
        elif rng.random() < 0.5:
            _stand(studio, canvas, foot, float(r(1.4, 1.9)), "person")
        else:
            _object(studio, canvas, foot, float(r(0.3, 1.2)))
    return _finish(studio, canvas, blur=(0, 1.0))


def street(studio: Studio, size: tuple[int, int]) -> Scene:
    """A road with houses, cars, trees and people."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(r(1.2, 2.5)), pitch=(-0.12, 0.1), focal=(0.5, 1.1))
    _sky(studio, canvas)
    _ground(studio, canvas, r(2, 6), colour=rng.uniform(60, 150) * np.ones(3))
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
                house = [_facade(studio), studio.tile(plain=0.9), _facade(studio)]
                canvas.box(centre, np.array([deep, high, wide]), turn, house, r(4, 8))
                z += wide + float(r(0, 8) * (rng.random() < 0.4))
    for _ in range(int(rng.integers(3, 16))):
        z = float(np.exp(r(np.log(4), np.log(60))))
        side, kind = float(rng.choice([-1, 1])), rng.random()
        if kind < 0.4:
            foot = turn[0] * side * half * r(0.3, 0.9) + turn[2] * z
            _car(studio, canvas, foot, turn)
        elif kind < 0.7:
            _stand(studio, canvas, turn[0] * side * (half + r(0.5, 4)) + turn[2] * z, float(r(3, 9)), "tree")
        elif kind < 0.85:
            _stand(studio, canvas, turn[0] * side * (half * r(0.8, 1.3)) + turn[2] * z, float(r(1.5, 1.9)), "person")
        else:
            foot = turn[0] * side * (half + 0.4) + turn[2] * z
            radius = float(r(0.05, 0.15))
            canvas.quadric(foot, rotation(0.0), (radius, radius), float(r(2.5, 7)), studio.tile(plain=1.0), 1.0)
    return _finish(studio, canvas, haze=(0, 0.01))


def landscape(studio: Studio, size: tuple[int, int]) -> Scene:
    """Ground, hills behind hills, trees, people, animals, stones and a sky."""
    rng, r = studio.rng, studio.rng.uniform
    canvas = studio.canvas(size, height=float(np.exp(r(np.log(0.5), np.log(6)))), pitch=(-0.15, 0.25), focal=(0.6, 1.6))
    _sky(studio, canvas)
    green = np.array([r(60, 150), r(80, 150), r(30, 80)]) if rng.random() < 0.6 else None
    _ground(studio, canvas, r(1, 4), colour=green)
    spread = size[1] / canvas.focal_px
    for z in np.sort(np.exp(r(np.log(40), np.log(2000), int(rng.integers(0, 6)))))[::-1]:
        tall = float(z * r(0.04, 0.35))
        outline = (np.arange(64)[::-1, None] < 20 + 40 * _unit(fractal((1, 128), rng, r(0.9, 1.6))[0])[None]).astype(np.uint8)
        colour = np.array([90, 110, 80]) * r(0.5, 1.3) + z / 2000 * np.array([40, 60, 110])
        canvas.plane(np.array([-1.5 * spread * z, 0, z]), np.array([1, 0, 0]), np.array([0, 1, 0]), studio.tile(plain=0.6, colour=colour),
                     z / 3, extent=(3 * spread * z, tall), outline=outline)  # fmt: skip
    for z in np.sort(np.exp(r(np.log(3), np.log(150), int(rng.integers(1, 25)))))[::-1]:
        foot = np.array([r(-0.7, 0.7) * spread * z, 0, z])
        kind = str(rng.choice(["tree", "tree", "tree", "person", "animal", "stone", "plant", "car", "house"]))
        if kind == "house":
            foot, wide, high = foot + [0, 0, 12], r(4, 12), r(3, 9)
            canvas.box(foot + [0, high / 2, 0], np.array([wide, high, wide]), rotation(r(-0.8, 0.8)), [_facade(studio)] * 3, 5.0)
        else:
            tall = {"tree": r(3, 14), "person": r(1.5, 1.9), "animal": r(0.4, 1.8), "stone": r(0.3, 3), "plant": r(0.3, 2), "car": 1.5}
            _stand(studio, canvas, foot, float(tall[kind]), kind)
    return _finish(studio, canvas, haze=(0, 0.003), blur=(0, 1.5))


def portrait(studio: Studio, size: tuple[int, int]) -> Scene:
    """One thing fills the picture before a background that is often out of focus."""
    rng, r = studio.rng, studio.rng.uniform
    standing = rng.random() < 0.5
    height = float(r(0.15, 0.6)) if standing else float(r(1.2, 1.8))
    canvas = studio.canvas(size, height=height, pitch=(0.0, 0.35) if standing else (-0.1, 0.1), focal=(0.9, 1.8))
    outside = rng.random() < 0.35 and not standing
    if outside:
        _sky(studio, canvas)
    far = float(np.exp(r(np.log(1.5), np.log(12))))
    _ground(studio, canvas, r(0.3, 2))
    if not outside:
        _walls(studio, canvas, far)
    for _ in range(int(rng.integers(0, 8))):
        z = float(r(1.3, max(far, 1.5)))
        foot = np.array([r(-1, 1) * z * 0.6 / canvas.view.focal, 0.0, z])
        _object(studio, canvas, foot, float(r(0.2, 0.5) * z))
    spread = size[1] / canvas.focal_px / 2
    z = float(r(0.75, 1.1))
    x = float(rng.normal(0, 0.2) * spread)
    half = size[0] / canvas.focal_px / 2
    if standing:
        foot = np.array([x, 0.0, z])
        _object(studio, canvas, foot, float(r(0.7, 1.3) * half), ["animal", "plant", "lathe", "stone", "doll", "thing", "box", "cup"])
    else:
        tall = float(r(1.1, 2.3) * half)
        bottom = canvas.eye[1] - half * z * r(0.95, 1.4) - z * np.tan(canvas.view.pitch)
        kind = str(rng.choice(["bust", "bust", "bust", "animal", "plant"]))
        canvas.sprite(np.array([x, bottom, z]), tall * z, studio.sprite(kind), _skins(studio), depth=float(r(0.5, 1.0)))
    return _finish(studio, canvas, blur=(0, 6))


SCENES: tuple[tuple[Callable[[Studio, tuple[int, int]], Scene], float], ...] = (
    (table, 0.30), (pile, 0.12), (boards, 0.13), (room, 0.15), (street, 0.10), (landscape, 0.08), (portrait, 0.12),
)  # fmt: skip


def _ground(studio: Studio, canvas: Canvas, scale: float, colour: NDArray[np.floating] | None = None) -> None:
    axes = rotation(float(studio.rng.uniform(-0.8, 0.8)))
    canvas.plane(np.zeros(3), axes[0], axes[2], studio.tile(colour=colour), scale, kind=GROUND)


def _walls(studio: Studio, canvas: Canvas, far: float) -> None:
    """A wall, at random with a corner, and with folds or a picture on it."""
    rng, r = studio.rng, studio.rng.uniform
    turn = rotation(float(rng.normal(0, 0.3)))
    relief = _folds(canvas, rng) if rng.random() < 0.2 else None
    origin = np.array([0, 0, far])
    canvas.plane(origin, turn[0], turn[1], studio.tile(plain=0.5), r(0.3, 1.5) * far, relief=relief)
    if rng.random() < 0.35:
        corner = origin + turn[0] * r(-0.5, 0.5) * far
        canvas.plane(corner, -turn[2], turn[1], studio.tile(plain=0.6), r(0.3, 1.5) * far, extent=(far * 3, far * 3))
    for _ in range(int(rng.integers(0, 3))):
        wide, high = r(0.2, 1.0) * far, r(0.2, 0.8) * far
        start = origin + turn[0] * r(-0.8, 0.4) * far + [0, r(0, 0.4) * far, 0] - turn[2] * r(0.005, 0.15) * far
        canvas.plane(start, turn[0], turn[1], studio.tile(plain=0.2), r(0.2, 1) * far, extent=(wide, high))


def _sky(studio: Studio, canvas: Canvas) -> None:
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


def _object(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], tall: float, kinds: list[str] | None = None) -> None:
    """Something ``tall`` at ``foot``, with its shadow."""
    rng, r = studio.rng, studio.rng.uniform
    kind = str(rng.choice(kinds or ["box", "box", "box", "lathe", "lathe", "lathe", "ball", "books", "cup", "plant", "stone", "doll", "ring",
                                    "thing", "thing", "board", "animal", "bust"]))  # fmt: skip
    turn = rotation(float(r(-np.pi, np.pi)))
    if foot[1] == 0:
        canvas.cast(foot, tall * r(0.2, 0.4), tall * r(0.2, 1.5), float(r(0.1, 0.6)))
    if kind == "box":
        size = tall * np.array([r(0.3, 1.8), 1, r(0.3, 1.2)])
        tilt = rotation(float(r(-0.9, 0.9)), 0.0, float(r(-0.4, 0.4) if rng.random() < 0.15 else 0))
        canvas.box(foot + [0, size[1] / 2, 0], size, tilt, studio.tiles(3), tall * r(0.5, 2))
    elif kind in ("lathe", "cup"):
        _lathe(studio, canvas, foot, tall, open_=kind == "cup" or rng.random() < 0.4)
    elif kind == "ball":
        squash = r(0.6, 1)
        canvas.quadric(foot, turn, (tall / 2, tall / 2), tall * (r(0.6, 1) if rng.random() < 0.5 else 1), studio.tile(plain=0.5), tall,
                       round_=True, squash=squash)  # fmt: skip
    elif kind == "books":
        axes, x = rotation(float(r(-0.7, 0.7))), 0.0
        for _ in range(int(rng.integers(2, 9))):
            size = tall * np.array([r(0.08, 0.25), r(0.7, 1.0), r(0.5, 0.8)])
            canvas.box(foot + axes[0] * (x + size[0] / 2) + [0, size[1] / 2, 0], size, axes, studio.tiles(2, 0.5), tall)
            x += size[0]
    elif kind == "board":
        axes = rotation(float(rng.normal(0, 0.5)), float(r(-0.1, 0.7)))
        wide = tall * r(0.4, 1.6)
        canvas.plane(foot - axes[0] * wide / 2, axes[0], axes[1], studio.tile(plain=0.2), r(0.5, 2) * tall, extent=(wide, tall * 1.2),
                     outline=_zigzag(rng) if rng.random() < 0.15 else None)  # fmt: skip
    else:
        canvas.sprite(foot, tall * 1.2, studio.sprite(kind), _skins(studio), depth=float(r(0.5, 1.1)))


def _skins(studio: Studio) -> list[Tile]:
    rng, r = studio.rng, studio.rng.uniform
    skin = np.array([r(90, 235), 0, 0])
    skin[1], skin[2] = skin[0] * r(0.65, 0.85), skin[0] * r(0.5, 0.75)
    first = studio.tile(plain=0.8, colour=skin) if rng.random() < 0.4 else studio.tile(plain=0.5)
    return [studio.tile(), first, studio.tile(plain=0.5), studio.tile(plain=0.8), studio.tile(plain=0.8)]


def _stand(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], tall: float, kind: str) -> None:
    rng, r = studio.rng, studio.rng.uniform
    skins = _skins(studio)
    if kind in ("tree", "plant"):
        green = np.array([r(30, 130), r(60, 150), r(15, 70)])
        skins[1] = skins[3] = studio.tile(plain=0.2, colour=green)
        skins[2] = studio.tile(colour=np.array([90, 70, 50]) * r(0.5, 1.3))
    canvas.cast(foot, tall * 0.2, tall * r(0.2, 1.2), float(r(0.1, 0.6)))
    canvas.sprite(foot, tall, studio.sprite(kind), skins, depth=float(r(0.4, 1)))


def _lathe(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], tall: float, *, open_: bool) -> None:
    """Pots, bottles, cups, cones and pins: frusta on top of each other, upright or lying."""
    rng, r = studio.rng, studio.rng.uniform
    axes = rotation(0.0)
    base = foot
    radii = tall * np.exp(rng.normal(-1.1, 0.35)) * np.exp(rng.normal(0, 0.3, int(rng.integers(2, 6))))
    if rng.random() < 0.12:
        radii = np.array([radii[0] * 1.3, 0.001])  # a cone
    if rng.random() < 0.1:  # lying
        axes = rotation(float(r(0, 6)))[[1, 0, 2]]
        base = foot + [0, radii.max(), 0]
    cuts = np.concatenate([[0], np.sort(r(0.15, 0.9, len(radii) - 2)), [1]]) * tall
    one, tile = rng.random() < 0.6, studio.tile(plain=0.6)
    for i in range(len(radii) - 1):
        skin = tile if one else studio.tile(plain=0.6)
        if cuts[i + 1] - cuts[i] > 1e-3 * tall:
            canvas.quadric(base + axes[1] * cuts[i], axes, (float(radii[i]), float(radii[i + 1])), float(cuts[i + 1] - cuts[i]), skin,
                           tall * r(0.5, 1.5))  # fmt: skip
    if not open_:
        canvas.disc(base + axes[1] * tall, axes, float(radii[-1]), tile, tall)


def _furniture(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], size: NDArray[np.floating], axes: NDArray[np.floating]) -> None:
    """A cupboard, a table with legs, a shelf with things, or a seat."""
    rng, r = studio.rng, studio.rng.uniform
    kind, tiles = rng.random(), studio.tiles(3, 0.8)
    if kind < 0.45:
        canvas.box(foot + [0, size[1] / 2, 0], size, axes, tiles, 1.0)
        if size[1] < 1.3:
            _object(studio, canvas, foot + [0, size[1], 0], float(r(0.1, 0.5)))
    elif kind < 0.7:
        high = min(float(size[1]), 1.0)
        canvas.box(foot + [0, high, 0], np.array([size[0], 0.05, size[2]]), axes, tiles, 1.0)
        for x in (-0.45, 0.45):
            for z in (-0.45, 0.45):
                leg = foot + axes[0] * x * size[0] + axes[2] * z * size[2] + [0, high / 2, 0]
                canvas.box(leg, np.array([0.05, high, 0.05]), axes, tiles, 1.0)
        for _ in range(int(rng.integers(0, 4))):
            _object(studio, canvas, foot + axes[0] * r(-0.4, 0.4) * size[0] + [0, high + 0.02, 0], float(r(0.1, 0.4)))
    elif kind < 0.85:
        for level in np.arange(0.1, size[1], 0.4):
            canvas.box(foot + [0, level, 0], np.array([size[0], 0.04, 0.35]), axes, tiles, 1.0)
            for _ in range(2):
                _object(studio, canvas, foot + axes[0] * r(-0.4, 0.4) * size[0] + [0, level + 0.02, 0], 0.25)
        canvas.box(foot + axes[2] * 0.2 + [0, size[1] / 2, 0], np.array([size[0], size[1], 0.03]), axes, tiles, 1.0)
    else:
        canvas.box(foot + [0, 0.22, 0], np.array([size[0], 0.44, 0.8]), axes, tiles, 1.0)
        canvas.box(foot + axes[2] * 0.4 + [0, 0.5, 0], np.array([size[0], 0.9, 0.2]), axes, tiles, 1.0)


def _facade(studio: Studio) -> Tile:
    """A wall with rows of windows."""
    rng, r = studio.rng, studio.rng.uniform
    paint = studio.tile(plain=0.8)
    wall = np.clip(paint.levels[0] @ paint.mixing + paint.offset, 0, 255).astype(np.uint8)
    rows, columns = int(rng.integers(2, 6)), int(rng.integers(2, 6))
    glass, frame = random_colour(rng) * 0.5, random_colour(rng)
    for i in range(rows):
        for j in range(columns):
            y, x = (i + 0.25) * 256 / rows, (j + 0.25) * 256 / columns
            low = (int(x), int(y)), (int(x + 128 / columns), int(y + 128 / rows))
            cv2.rectangle(wall, *low, [float(v) for v in glass * r(0.7, 1.4)], -1)
            cv2.rectangle(wall, *low, [float(v) for v in frame], 2)
    return unchanged(wall)


def _car(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], turn: NDArray[np.floating]) -> None:
    rng, r = studio.rng, studio.rng.uniform
    canvas.cast(foot, 1.0, float(r(0.2, 1.5)), float(r(0.3, 0.7)))
    if rng.random() < 0.4:
        _stand(studio, canvas, foot, float(r(1.4, 2.2)), "car")
        return
    axes = rotation(float(rng.normal(0, 0.08) + (np.pi / 2 if rng.random() < 0.1 else 0))) @ turn
    paint, glass, black = studio.tile(plain=1.0), studio.tile(plain=0.8, colour=np.array([40, 45, 50])), studio.tile(plain=1, colour=np.full(3, 25.0))
    wide, long_, high = r(1.6, 1.9), r(3.6, 4.8), r(0.6, 0.9)
    canvas.box(foot + [0, 0.25 + high / 2, 0], np.array([wide, high, long_]), axes, [paint] * 3, 2.0)
    canvas.box(foot + [0, 0.25 + high + 0.28, 0] - axes[2] * 0.2, np.array([wide * 0.85, 0.56, long_ * 0.5]), axes, [glass, paint, glass], 1.0)
    for x in (-0.5, 0.5):
        for z in (-0.3, 0.3):
            wheel = foot + axes[0] * x * (wide + 0.02) + axes[2] * z * long_ + [0, 0.32, 0]
            canvas.disc(wheel, axes[[1, 0, 2]], 0.33, black, 1.0)


def _zigzag(rng: np.random.Generator) -> NDArray[np.uint8]:
    """The upper edge of a board cut into teeth, waves or steps."""
    x = np.linspace(0, rng.uniform(1, 7), 256)
    edge = [np.abs(x % 1 - 0.5) * 2, 0.5 + 0.5 * np.sin(6.28 * x), (x.astype(int) % 2).astype(float), _unit(fractal((1, 256), rng)[0])]
    height = 0.35 + 0.6 * edge[rng.integers(4)]
    return (np.arange(256)[::-1, None] / 256 < height[None]).astype(np.uint8)


def _folds(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Smooth relief of a draped cloth, factor of the inverse depth less one."""
    h, w = canvas.view.size
    coarse = fractal((16, 16), rng, float(rng.uniform(1.2, 2.2)))
    if rng.random() < 0.5:
        coarse = coarse * 0.4 + fractal((1, 16), rng, 1.0)
    return (rng.uniform(0.02, 0.2) * cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)).astype(np.float32)


def _unit(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return (values - values.min()) / (np.ptp(values) + 1e-9)


def _finish(studio: Studio, canvas: Canvas, *, blur: tuple[float, float] = (0, 0), haze: tuple[float, float] = (0, 0)) -> Scene:
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
        if np.isfinite(scene.inverse).all() and high > 1.15 * low and scene.image.std() > 8:
            return scene


def write_chunk(index: int) -> Path:
    """Draw and store a chunk; its seed is its index."""
    studio = Studio(index)
    size = SIZES[index % len(SIZES)]
    images = np.empty((CHUNK, *size, 3), np.uint8)
    inverse = np.empty((CHUNK, *size), np.uint16)
    for i in range(CHUNK):
        scene = draw(studio, size)
        images[i], inverse[i] = scene.image, np.round(65535 * scene.inverse)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, array in (("inverse", inverse), ("images", images)):
        path = FOLDER / f"{index:06d}_{name}.npy"
        np.save(path.with_suffix(".new.npy"), array)
        path.with_suffix(".new.npy").replace(path)
    return FOLDER / f"{index:06d}_images.npy"


def _show(path: Path, seed: int) -> None:
    """A sheet of every kind, pictures beside inverse depth."""
    studio, rows = Studio(seed), []
    for maker, _ in SCENES:
        row = []
        for _ in range(7):
            scene = maker(studio, (192, 256))
            row += [scene.image[..., ::-1], cv2.applyColorMap(np.uint8(255 * scene.inverse), cv2.COLORMAP_TURBO)]
        rows.append(np.hstack(row))
    cv2.imwrite(str(path), np.vstack(rows))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=1000, help="to add")
    parser.add_argument("--show", type=Path, help="write a sheet of pictures instead")
    parser.add_argument("--seed", type=int, default=10_000_000)
    options = parser.parse_args()
    os.nice(19 - os.nice(0))
    cv2.setNumThreads(1)
    if options.show:
        _show(options.show, options.seed)
        return
    stored = sorted(FOLDER.glob("*_images.npy"))
    first = int(stored[-1].name[:6]) + 1 if stored else 0
    for index in range(first, first + options.chunks):
        print(f"{write_chunk(index)} written", flush=True)
        for old in sorted(FOLDER.glob("*_images.npy"))[:-_KEPT]:
            old.with_name(old.name.replace("images", "inverse")).unlink(missing_ok=True)
            old.unlink()


if __name__ == "__main__":
    main()
