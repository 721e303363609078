"""What a procedural scene consists of, and how one is drawn from an integer seed.

World axes: X to the right, Y up, Z away from the camera, all in metres; the floor is Y = 0.  The cameras look along +Z
without rotation (a rectified pair); the left one stands at X = 0 and the right one at X = ``baseline_m``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

Shape = Literal["ball", "cube", "cylinder", "cone"]
Colour = Literal["red", "green", "blue", "yellow", "orange", "purple", "pink", "white"]
Pattern = Literal["plain", "striped", "checkered", "dotted"]
Floor = Literal["wooden table", "checkered floor", "grey floor", "grass"]
Background = Literal["grey wall", "blue wall", "pink wall", "green wall", "yellow wall", "white wall", "blue sky"]

SHAPES: tuple[Shape, ...] = get_args(Shape)
COLOURS: tuple[Colour, ...] = get_args(Colour)
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
FLOORS: tuple[Floor, ...] = get_args(Floor)
BACKGROUNDS: tuple[Background, ...] = get_args(Background)

_MARGIN = 0.05  # fraction of the width that stays free at the left and right border of the left view
_LEAST_VISIBLE = 0.6  # fraction of an object's width that a nearer one must leave uncovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """The parallel stereo camera.

    Attributes:
        focal: Focal length as a fraction of the image width (pixels = fraction * width).
        baseline_m: Distance between the two eyes.
        height_m: Height of both eyes above the floor.
        horizon: Row of the horizon, as a fraction of the image height from the top (a vertical lens shift).
    """

    focal: float = 1.2
    baseline_m: float = 0.065
    height_m: float = 0.85
    horizon: float = 0.36

    def focal_px(self, width: int) -> float:
        """Focal length in pixels of an image ``width`` pixels wide."""
        return self.focal * width


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """One object standing on the floor.

    Attributes:
        shape: The solid.
        colour: Its main colour; the second colour of a pattern is white (dark grey on white objects).
        pattern: The surface pattern.
        x_m: Position of its centre on the floor, to the right.
        z_m: Position of its centre on the floor, away from the camera.
        radius_m: Radius of its footprint; half the edge of a cube.
        height_m: Height; twice the radius for balls and cubes.
        yaw: Rotation about the vertical, radians.
    """

    shape: Shape
    colour: Colour
    pattern: Pattern
    x_m: float
    z_m: float
    radius_m: float
    height_m: float
    yaw: float

    @property
    def reach_m(self) -> float:
        """Radius of the vertical cylinder around the object's centre that contains it."""
        return self.radius_m * (1.4143 if self.shape == "cube" else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that determines the two pictures, apart from their size.

    Attributes:
        seed: The integer from which the scene was drawn; also seeds textures and captions.
        toys: The objects, nearest first.
        floor: What they stand on.
        background: What is behind them.
        wall_z_m: Distance of the wall (unused under a sky).
        shadow: Where the tip of a one metre pole throws its shadow, (X, Z) in metres relative to its foot.
        rig: The cameras.
        origin_m: Where the left camera stands on the floor, (X, Z): it moves the floor's pattern, nothing else.
    """

    seed: int
    toys: tuple[Toy, ...]
    floor: Floor
    background: Background
    wall_z_m: float = 4.5
    shadow: tuple[float, float] = (0.5, 0.3)
    rig: Rig = field(default_factory=Rig)
    origin_m: tuple[float, float] = (0.0, 0.0)

    def mirrored(self) -> Scene:
        """The scene seen in a mirror: left and right are exchanged, and so are they in its captions."""
        toys = tuple(replace(toy, x_m=-toy.x_m, yaw=-toy.yaw) for toy in self.toys)
        return replace(self, toys=toys, shadow=(-self.shadow[0], self.shadow[1]))


def sample_scene(seed: int, *, count: int | None = None, rig: Rig | None = None) -> Scene:
    """Draw a scene; the same seed gives the same scene on every machine.

    Args:
        seed: Any non-negative integer.
        count: Number of objects, 1 to 3; drawn (mostly one or two) when None.
        rig: The cameras; the default rig when None.

    Returns:
        A scene whose objects stand apart, are inside the left view, and are mostly visible.

    Raises:
        ValueError: If ``count`` is not 1, 2 or 3, or the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed}")
    if count is not None and count not in (1, 2, 3):
        raise ValueError(f"count must be 1, 2 or 3, got {count}")
    rng = np.random.default_rng(seed)
    drawn = int(rng.choice([1, 2, 3], p=[0.45, 0.45, 0.10]))
    count = drawn if count is None else count
    rig = Rig() if rig is None else rig
    floor = FLOORS[rng.choice(4, p=[0.3, 0.2, 0.25, 0.25])]
    if floor == "grass":
        background: Background = "blue sky"
    elif floor == "grey floor" and rng.random() < 0.3:
        background = "blue sky"
    else:
        background = BACKGROUNDS[rng.integers(6)]
    return Scene(
        seed=seed,
        toys=_arrange(rng, count, rig),
        floor=floor,
        background=background,
        wall_z_m=float(rng.uniform(4.2, 5.0)),
        shadow=(float(rng.uniform(0.3, 0.7) * rng.choice([-1.0, 1.0])), float(rng.uniform(0.2, 0.45))),
        rig=rig,
    )


def _arrange(rng: np.random.Generator, count: int, rig: Rig) -> tuple[Toy, ...]:
    """Place objects until they fit; the objects' looks are drawn once, so that placing does not bias them."""
    looks: list[tuple[Shape, Colour, Pattern]] = []
    while len(looks) < count:
        pattern = PATTERNS[rng.choice(4, p=[0.34, 0.22, 0.22, 0.22])]
        look = (SHAPES[rng.integers(4)], COLOURS[rng.integers(8)], pattern)
        if look not in looks:
            looks.append(look)
    in_depth = count > 1 and rng.random() < 0.5  # one behind the other rather than side by side
    while True:
        toys = tuple(sorted((_place(rng, look, i, count, in_depth) for i, look in enumerate(looks)), key=_nearness))
        if _stand_apart(toys) and _are_seen(toys, rig):
            return toys


def _nearness(toy: Toy) -> float:
    return toy.z_m


def _place(
    rng: np.random.Generator, look: tuple[Shape, Colour, Pattern], index: int, count: int, in_depth: bool
) -> Toy:
    shape, colour, pattern = look
    shrink = {1: 1.0, 2: 0.86, 3: 0.72}[count]
    if in_depth:
        z_m = float(rng.uniform(1.8, 2.0) + index * rng.uniform(0.75, 1.0))
        radius = float(rng.uniform(0.24, 0.30) * shrink * (1.0 + 0.3 * index))
    else:
        z_m = float(rng.uniform(1.9, 2.5))
        radius = float(rng.uniform(0.25, 0.36) * shrink)
    if shape == "cube":
        radius *= 0.82
    tall = {"ball": 2.0, "cube": 2.0, "cylinder": rng.uniform(2.2, 2.7), "cone": rng.uniform(2.3, 2.8)}[shape]
    return Toy(
        shape=shape,
        colour=colour,
        pattern=pattern,
        x_m=float(rng.uniform(-0.42, 0.42) * z_m / 1.2),
        z_m=z_m,
        radius_m=radius,
        height_m=float(radius * tall),
        yaw=float(rng.uniform(-np.pi, np.pi)) if shape != "cube" else float(rng.uniform(-0.75, 0.75)),
    )


def _stand_apart(toys: tuple[Toy, ...]) -> bool:
    for i, near in enumerate(toys):
        for far in toys[i + 1 :]:
            if np.hypot(near.x_m - far.x_m, near.z_m - far.z_m) < near.reach_m + far.reach_m + 0.05:
                return False
    return True


def _extent(toy: Toy, rig: Rig, eye_x_m: float) -> tuple[float, float]:
    """First and last column that the object reaches, as fractions of the width."""
    centre = rig.focal * (toy.x_m - eye_x_m) / toy.z_m
    half = rig.focal * toy.reach_m / toy.z_m
    return 0.5 + centre - half, 0.5 + centre + half


def _are_seen(toys: tuple[Toy, ...], rig: Rig) -> bool:
    for i, toy in enumerate(toys):
        first, last = _extent(toy, rig, 0.0)
        if first < _MARGIN or last > 1 - _MARGIN or _extent(toy, rig, rig.baseline_m)[0] < 0.0:
            return False
        covered = 0.0
        for near in toys[:i]:
            other_first, other_last = _extent(near, rig, 0.0)
            covered += max(0.0, min(last, other_last) - max(first, other_first))
        if covered > (1 - _LEAST_VISIBLE) * (last - first):
            return False
    return True
