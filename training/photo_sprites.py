"""Silhouettes with inflated depth: people, animals, trees, plants, rings, stones, cars and things without a name."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photo_canvas import Floats, Sprite
from training.photo_textures import fractal

_SIDE = 128


class _Figure:
    """Draws parts one over the other; every part is inflated by the distance to its outline."""

    def __init__(self, height: int, width: int) -> None:
        self.labels = np.zeros((height, width), np.uint8)
        self.bulge = np.full((height, width), -1.0, np.float32)

    def add(self, shape: NDArray[np.uint8], label: int, offset: float | Floats = 0.0, fullness: float = 1.0) -> None:
        """Parts that come forward more hide the others; ``offset`` in heights."""
        if not shape.any():
            return
        inside = cv2.distanceTransform(shape, cv2.DIST_L2, 3)
        widest = float(inside.max())
        round_ = np.sqrt(np.maximum(2 * widest * inside - inside**2, 0)) * (fullness / self.labels.shape[0])
        bulge = (round_ + offset).astype(np.float32)
        nearer = (shape > 0) & (bulge > self.bulge)
        self.labels[nearer], self.bulge[nearer] = label, bulge[nearer]

    def ellipse(self, x: float, y: float, a: float, b: float, label: int, angle: float = 0.0, offset: float = 0.0,
                fullness: float = 1.0) -> None:  # fmt: skip
        """Centre and radii in fractions of the figure's height, y down."""
        shape, s = np.zeros_like(self.labels), self.labels.shape[0]
        centre = (int(x * s + self.labels.shape[1] / 2), int(y * s))
        cv2.ellipse(shape, centre, (max(1, int(a * s)), max(1, int(b * s))), angle, 0, 360, 1, -1)
        self.add(shape, label, offset, fullness)

    def polygon(
        self, points: NDArray[np.floating], label: int, offset: float | Floats = 0.0, fullness: float = 1.0
    ) -> None:
        """Points (n, 2) as in :meth:`ellipse`."""
        shape, s = np.zeros_like(self.labels), self.labels.shape[0]
        cv2.fillPoly(shape, [np.round(points * s + [self.labels.shape[1] / 2, 0]).astype(np.int32)], 1)
        self.add(shape, label, offset, fullness)

    def limb(self, points: NDArray[np.floating], width: float, label: int, offset: float = 0.0) -> None:
        """A stroke along points."""
        shape, s = np.zeros_like(self.labels), self.labels.shape[0]
        pixels = np.round(points * s + [self.labels.shape[1] / 2, 0]).astype(np.int32)
        cv2.polylines(shape, [pixels], False, 1, max(1, int(width * s)))
        self.add(shape, label, offset)

    def sprite(self) -> Sprite:
        """The finished silhouette."""
        return Sprite(self.labels, np.where(self.labels > 0, self.bulge, 0).astype(np.float32))


def person(rng: np.random.Generator) -> Sprite:
    """Standing or walking, from the front."""
    f, r = _Figure(2 * _SIDE, _SIDE), rng.uniform
    lean, step, broad = r(-0.02, 0.02), r(0.02, 0.1), r(0.09, 0.14)
    for side in (-1, 1):
        hip, knee = [side * 0.05, 0.5], [side * (0.05 + step / 2), 0.74]
        f.limb(np.array([hip, knee, [side * (0.05 + step * r(0, 1)), 0.97]]), 0.075, 3)
        hand = [side * (broad + r(0, 0.15)), r(0.2, 0.55)]
        f.limb(
            np.array([[side * broad * 0.85, 0.21], [side * (broad + r(0.02, 0.08)), 0.36], hand]), 0.05, 2, r(0, 0.06)
        )
        f.ellipse(*hand, 0.025, 0.025, 1, offset=0.02)
    f.polygon(np.array([[-broad, 0.19], [broad, 0.19], [broad * 0.75, 0.54], [-broad * 0.75, 0.54]]), 2)
    f.ellipse(lean, 0.085, 0.055, 0.075, 1, offset=0.03)
    f.ellipse(lean, 0.055, 0.062, 0.055, 4, offset=0.0)
    return f.sprite()


def bust(rng: np.random.Generator) -> Sprite:
    """Head and shoulders."""
    f, r = _Figure(_SIDE, int(1.3 * _SIDE)), rng.uniform
    turn = r(-0.05, 0.05)
    f.ellipse(0, 1.05, r(0.42, 0.6), r(0.34, 0.45), 2)
    f.limb(np.array([[turn, 0.45], [0, 0.75]]), r(0.16, 0.24), 1, 0.08)
    f.ellipse(turn, r(0.3, 0.4), r(0.24, 0.32), r(0.3, 0.4), 3, offset=-0.06, fullness=0.7)
    f.ellipse(turn * 1.3, 0.36, r(0.18, 0.22), r(0.24, 0.28), 1, offset=0.08)
    f.ellipse(turn * 2, 0.4, 0.035, 0.06, 1, offset=0.27)
    if rng.random() < 0.4:
        f.ellipse(turn, 0.14, r(0.22, 0.34), r(0.08, 0.14), 4, offset=0.1)
    if rng.random() < 0.3:
        f.limb(np.array([[0.45, 1.0], [0.4, 0.75], [r(0.1, 0.3), r(0.5, 0.65)]]), 0.12, 2, 0.25)
    return f.sprite()


def animal(rng: np.random.Generator) -> Sprite:
    """Four legs, or a face from the front."""
    r = rng.uniform
    if rng.random() < 0.4:
        f = _Figure(_SIDE, int(1.3 * _SIDE))
        f.ellipse(r(-0.1, 0.1), 0.95, r(0.35, 0.5), r(0.35, 0.5), 1, offset=-0.2)
        f.ellipse(0, 0.42, r(0.26, 0.34), r(0.25, 0.32), 1, offset=0.05)
        f.ellipse(0, 0.52, 0.12, 0.1, 2, offset=0.27)
        for side in (-1, 1):
            ear = np.array([[side * 0.08, 0.22], [side * r(0.2, 0.34), r(0, 0.12)], [side * 0.3, 0.34]])
            f.polygon(ear, 1, 0.05, 0.4)
            f.ellipse(side * 0.13, 0.38, 0.04, 0.035, 3, offset=0.24)
        return f.sprite()
    f, leg = _Figure(_SIDE, int(1.6 * _SIDE)), r(0.25, 0.5)
    body = 0.95 - leg
    f.ellipse(0, body, r(0.38, 0.5), r(0.16, 0.26), 1)
    for x in (-0.36, -0.25, 0.25, 0.34):
        f.limb(np.array([[x, body], [x + r(-0.06, 0.06), 0.97]]), r(0.06, 0.11), 1, float(rng.choice([-0.1, 0.08])))
    f.limb(np.array([[0.35, body], [0.52, r(0.1, 0.3)]]), r(0.12, 0.2), 1)
    f.ellipse(0.56, r(0.12, 0.3), r(0.1, 0.16), r(0.08, 0.13), 1, offset=0.03)
    f.limb(np.array([[-0.4, body - 0.05], [-0.6, r(0.1, 0.8)]]), 0.04, 1)
    return f.sprite()


def tree(rng: np.random.Generator) -> Sprite:
    """A trunk below a ragged crown, or a fir."""
    f, r = _Figure(_SIDE, int(_SIDE * r_width(rng))), rng.uniform
    f.limb(np.array([[0, 0.5], [r(-0.03, 0.03), 1]]), r(0.03, 0.09), 2)
    y, x = np.mgrid[: f.labels.shape[0], : f.labels.shape[1]].astype(np.float32) / _SIDE
    x = x - f.labels.shape[1] / _SIDE / 2
    ragged = 0.12 * fractal(f.labels.shape, rng, 1.1)
    if rng.random() < 0.3:
        crown = (np.abs(x) < (y - 0.02) * r(0.2, 0.45) + 0.3 * ragged) & (y < r(0.8, 0.95))
    else:
        crown = np.hypot(x / r(0.25, 0.45), (y - 0.36) / r(0.25, 0.36)) < 1 + 2 * ragged
    f.add(crown.astype(np.uint8), 1, 0.3 * ragged, 0.8)
    return f.sprite()


def r_width(rng: np.random.Generator) -> float:
    """Width of a tree's picture over its height."""
    return float(rng.uniform(0.7, 1.1))


def plant(rng: np.random.Generator) -> Sprite:
    """Leaves that bend out of a root, some towards the eye and some away, with or without a pot."""
    f, r = _Figure(2 * _SIDE, int(2.4 * _SIDE)), rng.uniform
    pot, thin = rng.random() < 0.6, r(0.02, 0.08)
    root = np.array([0, 0.78 if pot else 0.97])
    y, x = np.mgrid[: f.labels.shape[0], : f.labels.shape[1]].astype(np.float32) / f.labels.shape[0]
    x = x - f.labels.shape[1] / f.labels.shape[0] / 2
    for _ in range(int(rng.integers(5, 22))):
        angle, long_, bend = r(-1.5, 1.5), r(0.3, 0.85), r(-0.5, 0.5)
        t = np.linspace(0, 1, 12)
        course = angle + bend * t
        spine = root + np.cumsum(np.stack([np.sin(course), -np.cos(course)], 1) * (long_ / 12), 0)
        side = (
            np.stack([np.cos(course), np.sin(course)], 1) * (thin * np.sin(np.pi * (0.15 + 0.85 * t)) ** 0.7)[:, None]
        )
        away = np.hypot(x - root[0], y - root[1])
        f.polygon(
            np.concatenate([spine + side, (spine - side)[::-1]]), int(rng.integers(1, 4)), r(-0.35, 0.45) * away, 0.5
        )
    if pot:
        w = r(0.1, 0.2)
        f.polygon(np.array([[-w, 0.74], [w, 0.74], [0.7 * w, 0.99], [-0.7 * w, 0.99]]), 4)
    return f.sprite()


def flower(rng: np.random.Generator) -> Sprite:
    """Petals around a middle, on a stem, from the front or from the side."""
    f, r = _Figure(2 * _SIDE, 2 * _SIDE), rng.uniform
    radius, count, thick = r(0.2, 0.34), int(rng.integers(4, 20)), r(0.04, 0.12)
    flat = r(0.4, 1.0)
    f.limb(np.array([[0, 0.36], [r(-0.1, 0.1), 0.7], [r(-0.2, 0.2), 1]]), r(0.01, 0.04), 3, -0.1)
    for _ in range(int(rng.integers(0, 4))):
        f.ellipse(r(-0.2, 0.2), r(0.65, 0.95), r(0.1, 0.2), r(0.02, 0.06), 3, r(0, 180), r(-0.2, 0.1), 0.5)
    for k in range(count):
        angle = 2 * np.pi * (k + r(-0.2, 0.2)) / count
        x, y = radius * 0.6 * np.cos(angle), 0.36 + radius * 0.6 * flat * np.sin(angle)
        tilt = float(np.degrees(np.arctan2(flat * np.sin(angle), np.cos(angle))))
        f.ellipse(x, y, radius * 0.5, thick, 1, tilt, r(0, 0.05) + 0.12 * (1 - flat) * np.sin(angle), 0.4)
    f.ellipse(0, 0.36, radius * 0.25, radius * 0.25 * flat, 2, offset=r(0, 0.1))
    return f.sprite()


def ring(rng: np.random.Generator) -> Sprite:
    """Rings and sticks."""
    f, r = _Figure(_SIDE, _SIDE), rng.uniform
    for _ in range(int(rng.integers(1, 4))):
        shape = np.zeros_like(f.labels)
        radius = r(0.15, 0.42)
        centre = tuple(int(v * _SIDE) for v in (r(0.4, 0.6), 1 - radius - 0.06 if rng.random() < 0.5 else r(0.4, 0.6)))
        if rng.random() < 0.5:
            cv2.circle(shape, centre, int(radius * _SIDE), 1, int(r(3, 16)))
            f.add(shape, int(rng.integers(1, 4)), r(-0.1, 0.1))
        else:
            f.limb(
                np.array([[r(-0.4, 0.4), 0.02], [r(-0.3, 0.3), 1]]),
                r(0.015, 0.05),
                int(rng.integers(1, 4)),
                r(-0.1, 0.1),
            )
    return f.sprite()


def stone(rng: np.random.Generator) -> Sprite:
    """A lump of irregular outline and rough surface."""
    wide = rng.uniform(0.6, 2.0)
    f = _Figure(_SIDE, int(_SIDE * wide))
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = np.full(40, 0.42)
    for k in range(2, 7):
        radius += rng.normal(0, 0.10 / k) * np.cos(k * angle + rng.uniform(0, 6))
    flat = rng.uniform(0.5, 1)
    points = np.stack([radius * np.cos(angle) * wide, 0.97 - np.clip(radius * np.sin(angle) + 0.42 * flat, 0, 1)], 1)
    f.polygon(points, 1, (0.03 * rng.random() * fractal(f.labels.shape, rng, 1.4)), rng.uniform(0.3, 1))
    return f.sprite()


def doll(rng: np.random.Generator) -> Sprite:
    """Head, hair, body and limbs in any posture."""
    f, r = _Figure(_SIDE, int(1.2 * _SIDE)), rng.uniform
    f.ellipse(0, 0.7, r(0.15, 0.28), r(0.2, 0.28), 2)
    for side in (-1, 1):
        f.limb(
            np.array([[side * 0.15, 0.55], [side * r(0.25, 0.45), r(0.2, 0.8)]]),
            r(0.08, 0.14),
            int(rng.integers(1, 3)),
            0.05,
        )
        f.limb(
            np.array([[side * 0.12, 0.85], [side * r(0.1, 0.4), r(0.85, 0.96)]]),
            r(0.1, 0.16),
            int(rng.integers(1, 4)),
            0.1,
        )
    f.ellipse(r(-0.05, 0.05), 0.3, r(0.2, 0.28), r(0.22, 0.3), 3, offset=-0.03)
    f.ellipse(r(-0.05, 0.05), 0.32, r(0.16, 0.22), r(0.17, 0.23), 1, offset=0.05)
    if rng.random() < 0.3:
        f.ellipse(0, 0.1, r(0.15, 0.35), 0.08, 4, offset=0.1)
    return f.sprite()


def car(rng: np.random.Generator) -> Sprite:
    """From behind or in front."""
    f, r = _Figure(_SIDE, int(1.4 * _SIDE)), rng.uniform
    wide = r(0.5, 0.62)
    f.polygon(np.array([[-wide, 0.45], [wide, 0.45], [wide, 0.88], [-wide, 0.88]]), 1, 0.1, 0.4)
    top = r(0.35, 0.5)
    f.polygon(np.array([[-top, 0.03], [top, 0.03], [wide * 0.95, 0.5], [-wide * 0.95, 0.5]]), 1, 0.0, 0.4)
    f.polygon(np.array([[-top * 0.9, 0.1], [top * 0.9, 0.1], [wide * 0.8, 0.42], [-wide * 0.8, 0.42]]), 2, 0.03, 0.4)
    for side in (-1, 1):
        f.ellipse(side * wide * 0.75, 0.88, 0.09, 0.11, 3, offset=0.02, fullness=0.3)
        f.ellipse(side * wide * 0.8, 0.58, 0.08, 0.05, 4, offset=0.25, fullness=0.3)
    return f.sprite()


def thing(rng: np.random.Generator) -> Sprite:
    """Some ellipses, bars and polygons that overlap."""
    f, r = _Figure(_SIDE, _SIDE), rng.uniform
    for _ in range(int(rng.integers(2, 7))):
        label, offset, kind = int(rng.integers(1, 5)), r(-0.1, 0.15), rng.random()
        x, y = r(-0.25, 0.25), r(0.2, 0.9)
        if kind < 0.5:
            f.ellipse(x, y, r(0.05, 0.3), r(0.05, 0.3), label, r(0, 180), offset, r(0.3, 1))
        elif kind < 0.75:
            f.limb(np.array([[x, y], [r(-0.4, 0.4), r(0.1, 0.95)]]), r(0.03, 0.15), label, offset)
        else:
            f.polygon(np.array([[x, y]]) + rng.uniform(-0.3, 0.3, (4, 2)), label, offset, r(0.1, 0.6))
    f.ellipse(0, 0.85, r(0.1, 0.4), 0.14, 1)
    return f.sprite()
