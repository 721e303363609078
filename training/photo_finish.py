"""From colours, shading and depth to a photograph: light, haze, lens blur, vignetting, exposure, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photo_canvas import GROUND, SKY, Canvas, Floats
from training.photo_textures import fractal


def photograph(canvas: Canvas, rng: np.random.Generator, *, haze: float = 0.0, blur: float = 0.0,
               focus: float | None = None) -> NDArray[np.uint8]:  # fmt: skip
    """An 8-bit picture.  ``haze`` per unit of distance; ``blur``: width of the lens blur at infinity in pixels."""
    h, w = canvas.view.size
    inverse, r = canvas.inverse, rng.uniform
    softness = float(np.exp(r(np.log(0.6), np.log(8))))
    shadow = np.where(canvas.kind == GROUND, cv2.GaussianBlur(canvas.shadow, (0, 0), softness), 1)
    light = canvas.shade * shadow * _occlusion(inverse, rng)
    low = cv2.resize(fractal((8, 8), rng, 1.5), (w, h), interpolation=cv2.INTER_CUBIC)
    light = light * np.exp(r(0, 0.2) * low)
    if rng.random() < 0.3:  # a flash, or a lamp near the camera
        light = light * (
            0.4 + 0.6 * np.minimum(inverse / max(float(np.quantile(inverse, 0.9)), 1e-3), 1.5) ** r(0.5, 1.5)
        )
    light = np.where(canvas.kind == SKY, 1, light)
    tint = 1 + r(-0.15, 0.15) * np.array([1, 0, -1], np.float32)
    picture = canvas.colour * light[..., None] * tint
    if haze > 0:
        clear = np.exp(-haze / np.maximum(inverse, 1e-3))
        clear = np.where(canvas.kind == SKY, 1, clear)[..., None]
        picture = picture * clear + (1 - clear) * (r(150, 240) * np.array([0.95, 1, 1.05], np.float32))
    picture = picture.astype(np.float32)
    if blur > 0:
        picture = _lens(picture, inverse, blur, float(np.quantile(inverse, 0.9)) if focus is None else focus)
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    picture *= (1 - r(0, 0.35) * (x**2 + y**2) / 2)[..., None]
    picture = cv2.GaussianBlur(picture, (0, 0), float(r(0.4, 0.9)))
    return _camera(picture, rng)


def _occlusion(inverse: Floats, rng: np.random.Generator) -> Floats:
    """Darker beside what is nearer."""
    around = cv2.GaussianBlur(inverse, (0, 0), float(rng.uniform(2, 8)))
    near = np.maximum(around / np.maximum(inverse, 1e-3) - 1, 0)
    return np.exp(-rng.uniform(0, 1.2) * np.minimum(near, 1)).astype(np.float32)


def _lens(picture: Floats, inverse: Floats, blur: float, focus: float) -> Floats:
    """Circle of confusion proportional to the difference of inverse depths."""
    width = blur * np.abs(inverse / max(focus, 1e-3) - 1)
    width = cv2.GaussianBlur(width.astype(np.float32), (0, 0), 1.5)
    levels = [picture] + [cv2.GaussianBlur(picture, (0, 0), s) for s in (1.0, 2.0, 4.0)]
    at = np.clip(np.log2(np.maximum(width, 0.5)) + 1, 0, 3)[..., None]
    result = levels[0] * np.maximum(1 - at, 0)
    for i, level in enumerate(levels[1:], 1):
        result = result + level * np.maximum(1 - np.abs(at - i), 0)
    return result.astype(np.float32)


def _camera(picture: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    r = rng.uniform
    bright = float(np.quantile(picture, 0.97))
    picture = np.maximum(picture, 0) / max(bright, 30) * r(0.65, 1.15)
    picture = np.clip(picture, 0, 1) ** r(0.65, 1.3)
    if rng.random() < 0.1:
        picture = picture.mean(-1, keepdims=True).repeat(3, -1)
    noisy = picture + r(0, 0.03) * rng.standard_normal(picture.shape).astype(np.float32)
    bits = np.clip(255 * noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, code = cv2.imencode(".jpg", bits, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
        bits = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return bits
