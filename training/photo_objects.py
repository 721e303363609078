"""Things that stand in procedural scenes: boxes, pots, books, boards, silhouettes, furniture, cars and houses."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photo_canvas import Canvas, raised, rotation
from training.photo_studio import Studio
from training.photo_textures import Tile, fractal, random_colour, unchanged, unit

_OFTEN = (
    ["box"] * 3 + ["lathe"] * 3 + ["thing"] * 2
    + ["ball", "books", "cup", "plant", "stone", "doll", "ring", "board", "animal", "bust"]
)  # fmt: skip


def put(
    studio: Studio, canvas: Canvas, foot: NDArray[np.floating], tall: float, kinds: list[str] | None = None
) -> None:
    """Something ``tall`` at ``foot``, with its shadow."""
    rng, r = studio.rng, studio.rng.uniform
    kind = str(rng.choice(kinds or _OFTEN))
    turn = rotation(float(r(-np.pi, np.pi)))
    if foot[1] == 0:
        canvas.cast(foot, tall * r(0.2, 0.4), tall * r(0.2, 1.5), float(r(0.1, 0.6)))
    if kind == "box":
        size = tall * np.array([r(0.3, 1.8), 1, r(0.3, 1.2)])
        tilt = rotation(float(r(-0.9, 0.9)), 0.0, float(r(-0.4, 0.4) if rng.random() < 0.15 else 0))
        canvas.box(raised(foot, size[1] / 2), size, tilt, studio.tiles(3), tall * r(0.5, 2))
    elif kind in ("lathe", "cup"):
        lathe(studio, canvas, foot, tall, open_=kind == "cup" or rng.random() < 0.4)
    elif kind == "ball":
        squash = r(0.6, 1)
        high, tile = tall * (r(0.6, 1) if rng.random() < 0.5 else 1), studio.tile(plain=0.5)
        canvas.quadric(foot, turn, (tall / 2, tall / 2), high, tile, tall, round_=True, squash=squash)
    elif kind == "books":
        axes, x = rotation(float(r(-0.7, 0.7))), 0.0
        for _ in range(int(rng.integers(2, 9))):
            size = tall * np.array([r(0.08, 0.25), r(0.7, 1.0), r(0.5, 0.8)])
            canvas.box(foot + axes[0] * (x + size[0] / 2) + [0, size[1] / 2, 0], size, axes, studio.tiles(2, 0.5), tall)
            x += size[0]
    elif kind == "board":
        axes = rotation(float(rng.normal(0, 0.5)), float(r(-0.1, 0.7)))
        wide = tall * r(0.4, 1.6)
        corner, tile, scale = foot - axes[0] * wide / 2, studio.tile(plain=0.2), r(0.5, 2) * tall
        outline = cut_edge(rng) if rng.random() < 0.15 else None
        canvas.plane(corner, axes[0], axes[1], tile, scale, extent=(wide, tall * 1.2), outline=outline)
    else:
        canvas.sprite(foot, tall * 1.2, studio.sprite(kind), skins(studio), depth=float(r(0.5, 1.1)))


def skins(studio: Studio) -> list[Tile]:
    """Five textures for the labels of a silhouette; the first is often of the colour of skin."""
    rng, r = studio.rng, studio.rng.uniform
    skin = np.array([r(90, 235), 0, 0])
    skin[1], skin[2] = skin[0] * r(0.65, 0.85), skin[0] * r(0.5, 0.75)
    first = studio.tile(plain=0.8, colour=skin) if rng.random() < 0.4 else studio.tile(plain=0.5)
    return [studio.tile(), first, studio.tile(plain=0.5), studio.tile(plain=0.8), studio.tile(plain=0.8)]


def stand(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], tall: float, kind: str) -> None:
    """A silhouette ``tall`` at ``foot`` in the colours of its kind, with its shadow."""
    r = studio.rng.uniform
    tiles = skins(studio)
    if kind in ("tree", "plant"):
        green = np.array([r(30, 130), r(60, 150), r(15, 70)])
        tiles[1] = tiles[3] = studio.tile(plain=0.2, colour=green)
        tiles[2] = studio.tile(colour=np.array([90, 70, 50]) * r(0.5, 1.3))
    canvas.cast(foot, tall * 0.2, tall * r(0.2, 1.2), float(r(0.1, 0.6)))
    canvas.sprite(foot, tall, studio.sprite(kind), tiles, depth=float(r(0.4, 1)))


def lathe(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], tall: float, *, open_: bool) -> None:
    """Pots, bottles, cups, cones and pins: frusta on top of each other, upright or lying."""
    rng, r = studio.rng, studio.rng.uniform
    axes = rotation(0.0)
    base = foot
    radii = tall * np.exp(rng.normal(-1.1, 0.35)) * np.exp(rng.normal(0, 0.3, int(rng.integers(2, 6))))
    if rng.random() < 0.12:
        radii = np.array([radii[0] * 1.3, 0.001])  # a cone
    if rng.random() < 0.1:  # lying
        axes = rotation(float(r(0, 6)))[[1, 0, 2]]
        base = raised(foot, radii.max())
    cuts = np.concatenate([[0], np.sort(r(0.15, 0.9, len(radii) - 2)), [1]]) * tall
    one, tile = rng.random() < 0.6, studio.tile(plain=0.6)
    for i in range(len(radii) - 1):
        skin = tile if one else studio.tile(plain=0.6)
        if cuts[i + 1] - cuts[i] > 1e-3 * tall:
            ends, high = (float(radii[i]), float(radii[i + 1])), float(cuts[i + 1] - cuts[i])
            canvas.quadric(base + axes[1] * cuts[i], axes, ends, high, skin, tall * r(0.5, 1.5))
    if not open_:
        canvas.disc(base + axes[1] * tall, axes, float(radii[-1]), tile, tall)


def furniture(
    studio: Studio, canvas: Canvas, foot: NDArray[np.floating], size: NDArray[np.floating], axes: NDArray[np.floating]
) -> None:
    """A cupboard, a table with legs, a shelf with things, or a seat."""
    rng, r = studio.rng, studio.rng.uniform
    kind, tiles = rng.random(), studio.tiles(3, 0.8)
    if kind < 0.45:
        canvas.box(raised(foot, size[1] / 2), size, axes, tiles, 1.0)
        if size[1] < 1.3:
            put(studio, canvas, raised(foot, size[1]), float(r(0.1, 0.5)))
    elif kind < 0.7:
        high = min(float(size[1]), 1.0)
        canvas.box(raised(foot, high), np.array([size[0], 0.05, size[2]]), axes, tiles, 1.0)
        for x in (-0.45, 0.45):
            for z in (-0.45, 0.45):
                leg = foot + axes[0] * x * size[0] + axes[2] * z * size[2] + [0, high / 2, 0]
                canvas.box(leg, np.array([0.05, high, 0.05]), axes, tiles, 1.0)
        for _ in range(int(rng.integers(0, 4))):
            put(studio, canvas, foot + axes[0] * r(-0.4, 0.4) * size[0] + [0, high + 0.02, 0], float(r(0.1, 0.4)))
    elif kind < 0.85:
        for level in np.arange(0.1, size[1], 0.4):
            canvas.box(raised(foot, level), np.array([size[0], 0.04, 0.35]), axes, tiles, 1.0)
            for _ in range(2):
                put(studio, canvas, foot + axes[0] * r(-0.4, 0.4) * size[0] + [0, level + 0.02, 0], 0.25)
        canvas.box(foot + axes[2] * 0.2 + [0, size[1] / 2, 0], np.array([size[0], size[1], 0.03]), axes, tiles, 1.0)
    else:
        canvas.box(raised(foot, 0.22), np.array([size[0], 0.44, 0.8]), axes, tiles, 1.0)
        canvas.box(foot + axes[2] * 0.4 + [0, 0.5, 0], np.array([size[0], 0.9, 0.2]), axes, tiles, 1.0)


def facade(studio: Studio) -> Tile:
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


def car(studio: Studio, canvas: Canvas, foot: NDArray[np.floating], turn: NDArray[np.floating]) -> None:
    """A car at ``foot`` along the street."""
    rng, r = studio.rng, studio.rng.uniform
    canvas.cast(foot, 1.0, float(r(0.2, 1.5)), float(r(0.3, 0.7)))
    if rng.random() < 0.4:
        stand(studio, canvas, foot, float(r(1.4, 2.2)), "car")
        return
    axes = rotation(float(rng.normal(0, 0.08) + (np.pi / 2 if rng.random() < 0.1 else 0))) @ turn
    paint, glass, black = (
        studio.tile(plain=1.0),
        studio.tile(plain=0.8, colour=np.array([40, 45, 50])),
        studio.tile(plain=1, colour=np.full(3, 25.0)),
    )
    wide, long_, high = r(1.6, 1.9), r(3.6, 4.8), r(0.6, 0.9)
    canvas.box(raised(foot, 0.25 + high / 2), np.array([wide, high, long_]), axes, [paint] * 3, 2.0)
    canvas.box(
        raised(foot, 0.25 + high + 0.28) - axes[2] * 0.2,
        np.array([wide * 0.85, 0.56, long_ * 0.5]),
        axes,
        [glass, paint, glass],
        1.0,
    )
    for x in (-0.5, 0.5):
        for z in (-0.3, 0.3):
            wheel = foot + axes[0] * x * (wide + 0.02) + axes[2] * z * long_ + [0, 0.32, 0]
            canvas.disc(wheel, axes[[1, 0, 2]], 0.33, black, 1.0)


def cut_edge(rng: np.random.Generator) -> NDArray[np.uint8]:
    """The upper edge of a board cut into teeth, waves or steps."""
    x = np.linspace(0, rng.uniform(1, 7), 256)
    edge = [
        np.abs(x % 1 - 0.5) * 2,
        0.5 + 0.5 * np.sin(6.28 * x),
        (x.astype(int) % 2).astype(float),
        unit(fractal((1, 256), rng)[0]),
    ]
    height = 0.35 + 0.6 * edge[rng.integers(4)]
    return (np.arange(256)[::-1, None] / 256 < height[None]).astype(np.uint8)
