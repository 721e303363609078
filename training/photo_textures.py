"""Textures for procedural photographs: pieces of photographs, dead leaves, noise, wood, bricks, prints, paint."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pictures import photographs, synthetic_pictures

SIDE = 256


class Tile(NamedTuple):
    """A square texture and its reductions by 2, 4, 8 and 16; what is seen is ``texture @ mixing + offset``."""

    levels: list[NDArray[np.uint8]]
    mixing: NDArray[np.float32]
    offset: NDArray[np.float32]


class Textures:
    """A pool of tiles, made once; a drawn tile has its colours changed at random."""

    def __init__(self, rng: np.random.Generator, count: int = 300) -> None:
        photos = photographs()
        fifth = count // 5
        pictures = [_piece(photos, rng) for _ in range(count - 3 * fifth)]
        pictures += [*synthetic_pictures(fifth, SIDE, rng), *(_pattern(rng) for _ in range(fifth))]
        pictures += [_print(rng) for _ in range(fifth)]
        self._tiles = [reductions(np.ascontiguousarray(picture)) for picture in pictures]

    def draw(
        self, rng: np.random.Generator, *, plain: float = 0.35, colour: NDArray[np.floating] | None = None
    ) -> Tile:
        """A tile; with probability ``plain`` of little contrast, and around ``colour`` if one is given."""
        levels = self._tiles[rng.integers(len(self._tiles))]
        contrast = rng.uniform(0.02, 0.25) if rng.random() < plain else rng.uniform(0.4, 1.2)
        mean = levels[-1].mean((0, 1))
        target = random_colour(rng) if colour is None else colour
        keep = rng.random() * (rng.random() < 0.6) if colour is None else 0.0
        mixing = contrast * (np.eye(3) + rng.normal(0, 0.08, (3, 3)))
        offset = keep * mean + (1 - keep) * target - mean @ mixing
        return Tile(levels, mixing.astype(np.float32), offset.astype(np.float32))


def unchanged(picture: NDArray[np.uint8]) -> Tile:
    """A picture as a tile in its own colours."""
    return Tile(reductions(picture), np.eye(3, dtype=np.float32), np.zeros(3, np.float32))


def random_colour(rng: np.random.Generator) -> NDArray[np.floating]:
    """RGB in 0...255: greys, browns and whites more often than bright colours."""
    level, kind = rng.uniform(20, 245), rng.random()
    if kind < 0.35:
        return np.clip(level + rng.normal(0, 8, 3), 0, 255)
    if kind < 0.6:
        return np.clip(level * np.array([1.0, rng.uniform(0.7, 0.95), rng.uniform(0.4, 0.85)]), 0, 255)
    return np.clip(level * rng.dirichlet([1.2, 1.2, 1.2]) * rng.uniform(1.5, 2.8), 0, 255)


def fractal(shape: tuple[int, int], rng: np.random.Generator, roughness: float = 1.5) -> NDArray[np.float32]:
    """Fractal noise of mean 0 and deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None] * shape[0], np.fft.rfftfreq(shape[1])[None] * shape[1])
    frequency[0, 0] = np.inf
    spectrum = (rng.standard_normal(frequency.shape) + 1j * rng.standard_normal(frequency.shape)) / frequency**roughness
    noise = np.fft.irfft2(spectrum, shape)
    return (noise / noise.std()).astype(np.float32)


def unit(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Values brought to 0...1."""
    return (values - values.min()) / (np.ptp(values) + 1e-9)


def reductions(tile: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The picture and four that are half as wide each."""
    tiles = [tile]
    for _ in range(4):
        tiles.append(cv2.resize(tiles[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return tiles


def _piece(photos: list[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.uint8]:
    photo = photos[rng.integers(len(photos))]
    side = int(min(*photo.shape[:2], np.exp(rng.uniform(np.log(90), np.log(900)))))
    y, x = (int(rng.integers(0, n - side + 1)) for n in photo.shape[:2])
    piece = np.rot90(photo[y : y + side, x : x + side], int(rng.integers(4)))
    return cv2.resize(np.ascontiguousarray(piece), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Stripes, checks, bricks, planks, speckles or lines of writing, of two colours and a little noise."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    period, kind = float(rng.choice([16, 32, 64])), rng.integers(6)
    if kind == 0:
        amount = (np.sin(2 * np.pi * x / period) > rng.uniform(-0.8, 0.8)).astype(np.float32)
    elif kind == 1:
        amount = ((x // period + y // period) % 2).astype(np.float32)
    elif kind == 2:
        row = y // (period / 2)
        amount = ((y % (period / 2) < 2) | ((x + row % 2 * period / 2) % period < 2)).astype(np.float32)
    elif kind == 3:
        grain = fractal((SIDE, SIDE // 16), rng, 1.0).repeat(16, 1)
        amount = 0.5 + 0.15 * grain.T + 0.2 * (y % period < 1.5) + 0.1 * np.sin(y // period * 12.9)
    elif kind == 4:
        amount = cv2.GaussianBlur((rng.random((SIDE, SIDE)) < 0.03).astype(np.float32), (0, 0), 1.5) * 8
    else:
        letters = cv2.resize((rng.random((SIDE, SIDE // 3)) < 0.5).astype(np.float32), (SIDE, SIDE))
        amount = letters * (y % (period / 2) < period / 4) * (x > 20) * (x < SIDE - 20)
    colours = np.stack([random_colour(rng), random_colour(rng)])
    mixed = colours[0] + np.clip(amount, 0, 1)[..., None] * (colours[1] - colours[0])
    return np.clip(mixed + 6 * fractal((SIDE, SIDE), rng)[..., None], 0, 255).astype(np.uint8)


def _print(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A small motif of leaves and blossoms, repeated."""
    side = int(rng.choice([32, 64, 128]))
    motif = np.full((side, side, 3), random_colour(rng), np.float32)
    for _ in range(int(rng.integers(4, 14))):
        axes = tuple(int(v) for v in rng.uniform(1, side / 5, 2) + 1)
        centre = tuple(int(v) for v in rng.uniform(0, side, 2))
        colour = tuple(float(v) for v in random_colour(rng))
        cv2.ellipse(motif, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return np.tile(motif, (SIDE // side, SIDE // side, 1)).astype(np.uint8)
