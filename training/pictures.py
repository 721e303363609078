"""What the autoencoder sees: renders, photographs, dead leaves, fractal noise and gradients, as 8-bit pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray

from stereodiffusion.datasets.scenes import render_image, sample_scene

WORK = Path(__file__).parents[1] / ".training"
HELD_OUT_SEED = 9_000_000  # scenes from here on are never trained on

_BUNDLED = ("rocket.jpg", "hubble_deep_field.jpg", "ihc.png", "retina.jpg", "brick.png", "grass.png", "gravel.png",
            "camera.png", "coins.png")  # fmt: skip

Bytes = NDArray[np.uint8]


def scene_pictures(count: int, size: int, first_seed: int) -> Bytes:
    """``count`` renders, (count, size, size, 3); every second one is a right view."""
    pictures = np.empty((count, size, size, 3), np.uint8)
    for i in range(count):
        eye = "right" if i % 2 else "left"
        pictures[i] = np.round(255 * render_image(sample_scene(first_seed + i), (size, size), eye=eye))
    return pictures


def photographs() -> list[Bytes]:
    """scikit-image's bundled pictures and whatever lies in ``.training/photos`` (see photos.sh)."""
    bundled = [Path(skimage.__file__).parent / "data" / name for name in _BUNDLED]
    pictures = []
    for path in [*bundled, *sorted((WORK / "photos").glob("*.jpg"))]:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            continue
        scale = 1000 / max(picture.shape[:2])
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if picture.std() > 10:
            pictures.append(np.ascontiguousarray(picture[..., ::-1]))
    return pictures


def synthetic_pictures(count: int, size: int, rng: np.random.Generator) -> Bytes:
    """Dead leaves, fractal noise and gradients in turn, (count, size, size, 3)."""
    makers = (_dead_leaves, _fractal_noise, _gradient)
    return np.stack([np.clip(makers[i % 3](size, rng), 0, 255).astype(np.uint8) for i in range(count)])


def _dead_leaves(size: int, rng: np.random.Generator) -> NDArray[np.floating]:
    picture = np.full((size, size, 3), rng.uniform(0, 255, 3), np.float32)
    for _ in range(int(rng.integers(60, 300))):
        centre = tuple(int(v) for v in rng.uniform(0, size, 2))
        axes = tuple(int(v) for v in 3 + rng.pareto(2.0, 2) * size / 20)
        colour = tuple(float(v) for v in rng.uniform(0, 255, 3))
        if rng.random() < 0.5:
            cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints((centre, (2 * axes[0], 2 * axes[1]), float(rng.uniform(0, 90))))
            cv2.fillPoly(picture, [np.round(corners).astype(np.int32)], colour, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.2)))


def _fractal_noise(size: int, rng: np.random.Generator) -> NDArray[np.floating]:
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1
    falloff = frequency ** -rng.uniform(1.0, 1.9)
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * falloff, (size, size)) for _ in range(3)]
    noise = np.stack([plane / plane.std() for plane in planes], -1) @ rng.normal(0, 1, (3, 3))
    return noise / noise.std() * rng.uniform(20, 60) + rng.uniform(60, 200, 3)


def _gradient(size: int, rng: np.random.Generator) -> NDArray[np.floating]:
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    return cv2.resize(corners, (size, size), interpolation=cv2.INTER_CUBIC)


class Crops:
    """Draws random crops: 60 % scenes, 28 % photographs at random scales, 12 % synthetic."""

    def __init__(self, scenes: Bytes, photos: list[Bytes], synthetic: Bytes, rng: np.random.Generator) -> None:
        self._scenes, self._photos, self._synthetic, self._rng = scenes, photos, synthetic, rng

    def draw(self, count: int, size: int) -> NDArray[np.float32]:
        """Crops in [-1, 1], (count, 3, size, size)."""
        batch = np.stack([self._one(size) for _ in range(count)]).astype(np.float32)
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) / 127.5 - 1

    def _one(self, size: int) -> Bytes:
        rng, kind = self._rng, self._rng.random()
        if kind < 0.60:
            crop = _window(self._scenes[rng.integers(len(self._scenes))], size, rng)
        elif kind < 0.88:
            photo = self._photos[rng.integers(len(self._photos))]
            least = size / min(photo.shape[:2])
            scale = max(least, float(np.exp(rng.uniform(np.log(0.22), np.log(0.9)))))
            window = _window(photo, max(size, int(size / scale)) if scale < 1 else min(photo.shape[:2]), rng)
            crop = cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA)
        else:
            crop = _window(self._synthetic[rng.integers(len(self._synthetic))], size, rng)
        return crop[:, ::-1] if rng.random() < 0.5 else crop


def _window(picture: Bytes, size: int, rng: np.random.Generator) -> Bytes:
    size = min(size, *picture.shape[:2])
    y, x = (int(rng.integers(0, n - size + 1)) for n in picture.shape[:2])
    return picture[y : y + size, x : x + size]
