"""What procedural scenes are made from: textures, silhouettes, lenses, and random numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training import photo_sprites as sprites
from training.photo_canvas import Canvas, Sprite, View
from training.photo_textures import Textures, Tile

_MAKERS = (sprites.person, sprites.bust, sprites.animal, sprites.tree, sprites.plant, sprites.ring, sprites.stone,
           sprites.doll, sprites.car, sprites.thing, sprites.flower)  # fmt: skip


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

    def canvas(
        self, size: tuple[int, int], *, height: float, pitch: tuple[float, float], focal: tuple[float, float]
    ) -> Canvas:
        """A canvas behind a random lens."""
        r = self.rng.uniform
        long_ = np.exp(r(np.log(focal[0]), np.log(focal[1]))) * max(1.0, size[0] / size[1])
        view = View(size, float(long_), r(*pitch), float(np.clip(self.rng.normal(0, 0.03), -0.12, 0.12)), height)
        light = np.array([r(-1, 1), r(0.3, 1.5), r(-1.2, 0.4)])
        return Canvas(view, light, float(r(0.35, 0.9)))
