"""A depth-buffered canvas for planes, quadrics and silhouettes, cheap enough for thousands of scenes an hour.

World axes: x right, y up, z forward; the camera is at (0, height, 0).  The inverse depth of a plane is affine in pixel
coordinates, and every primitive is only looked at inside its bounds, so that a scene takes some hundredths of a second.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photo_textures import SIDE, Tile

Floats = NDArray[np.float32]
Vector = NDArray[np.floating]
GROUND, OTHER, SKY = 1, 2, 0


class View(NamedTuple):
    """Size in pixels, focal length in widths, pitch (down) and roll in radians, height above y = 0."""

    size: tuple[int, int]
    focal: float
    pitch: float
    roll: float
    height: float


class Sprite(NamedTuple):
    """A silhouette: label of every cell (0 outside), how far it comes forward as a fraction of its height; (h, w)."""

    labels: NDArray[np.uint8]
    bulge: Floats


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Vector:
    """Rows are the turned axes."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    turn = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    tilt = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    lean = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return lean @ tilt @ turn


def raised(point: Vector, height: float) -> Vector:
    """A point so much higher."""
    return point + np.array([0.0, height, 0.0])


class Canvas:
    """Colour (0...255), inverse depth (along the optical axis; 0: sky), shading and kind of every pixel."""

    def __init__(self, view: View, light: Vector, ambient: float) -> None:
        h, w = view.size
        self.view, self.light, self.ambient = view, light / np.linalg.norm(light), ambient
        self.axes = rotation(0.0, view.pitch, view.roll)
        self.eye = np.array([0.0, view.height, 0.0])
        self.focal_px = view.focal * w
        x = (np.arange(w) + 0.5 - w / 2) / self.focal_px
        y = -(np.arange(h) + 0.5 - h / 2) / self.focal_px
        rays = x[None, :, None] * self.axes[0] + y[:, None, None] * self.axes[1] + self.axes[2]
        self.rays: Floats = rays.astype(np.float32)
        self.colour = np.zeros((h, w, 3), np.float32)
        self.inverse = np.zeros((h, w), np.float32)
        self.shade = np.ones((h, w), np.float32)
        self.kind = np.zeros((h, w), np.uint8)
        self.shadow = np.ones((h, w), np.float32)

    def project(self, points: Vector) -> tuple[Vector, Vector]:
        """Pixel coordinates (n, 2) and depths (n,) of points (n, 3)."""
        seen = (points - self.eye) @ self.axes.T
        depth = seen[:, 2]
        h, w = self.view.size
        safe = np.maximum(depth, 1e-3)
        return np.stack(
            [w / 2 + self.focal_px * seen[:, 0] / safe, h / 2 - self.focal_px * seen[:, 1] / safe], 1
        ), depth

    def bounds(self, points: Vector) -> tuple[slice, slice] | None:
        """Rows and columns that can show the hull of some points; None: none."""
        pixels, depth = self.project(points)
        h, w = self.view.size
        if depth.max() < 0.05:
            return None
        if depth.min() < 0.05:
            return slice(0, h), slice(0, w)
        low, high = np.floor(pixels.min(0)).astype(int) - 1, np.ceil(pixels.max(0)).astype(int) + 2
        rows, columns = slice(max(low[1], 0), min(high[1], h)), slice(max(low[0], 0), min(high[0], w))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def _write(self, area: tuple[slice, slice], shown: NDArray[np.bool_], inverse: Floats, u: Floats, v: Floats,
               normal: tuple[Floats, Floats, Floats] | Vector, tile: Tile, kind: int = OTHER) -> None:  # fmt: skip
        """Paint what is nearer than before; u and v count tiles."""
        shown &= inverse > self.inverse[area]
        if not shown.any():
            return
        step = (
            np.median(np.hypot(np.gradient(u, axis=1), np.gradient(v, axis=1))[shown]) * SIDE if min(u.shape) > 1 else 1
        )
        texture = tile.levels[int(np.clip(np.log2(max(step, 1)), 0, len(tile.levels) - 1))]
        u, v = u.astype(np.float32), v.astype(np.float32)
        at = [2 * np.abs(c / 2 - np.round(c / 2)) * (texture.shape[0] - 1) for c in (u, v)]  # mirrored at tile edges
        colours = (
            cv2.remap(texture, at[0], at[1], cv2.INTER_LINEAR)[shown].astype(np.float32) @ tile.mixing + tile.offset
        )
        lit = normal[0] * self.light[0] + normal[1] * self.light[1] + normal[2] * self.light[2]
        shade = self.ambient + (1 - self.ambient) * np.maximum(lit, 0)
        self.colour[area][shown] = np.clip(colours, 0, 255)
        self.inverse[area][shown] = inverse[shown]
        self.shade[area][shown] = shade[shown] if np.ndim(shade) else shade
        self.kind[area][shown] = kind

    def plane(self, origin: Vector, across: Vector, up: Vector, tile: Tile, scale: float, *, kind: int = OTHER,
              extent: tuple[float, float] | None = None, outline: NDArray[np.uint8] | None = None,
              relief: Floats | None = None) -> None:  # fmt: skip
        """A plane through ``origin`` along two unit vectors, endless or ``extent`` wide and high from ``origin``.

        ``scale``: length of a tile.  ``outline``: what of the extent is there, as a picture.  ``relief`` (h, w): factor
        of the inverse depth less one.
        """
        h, w = self.view.size
        area = (slice(0, h), slice(0, w))
        if extent is not None:
            corners = origin + np.array([[0, 0], [extent[0], 0], [0, extent[1]], extent]) @ np.stack([across, up])
            found = self.bounds(corners)
            if found is None:
                return
            area = found
        normal = np.cross(across, up)
        offset = float(normal @ (origin - self.eye))
        if abs(offset) < 1e-6:
            return
        rays = self.rays[area]
        inverse = rays @ (normal / offset).astype(np.float32)
        shown = inverse > 1e-4
        if relief is not None:
            inverse = inverse * (1 + relief[area])
        depth = 1 / np.maximum(inverse, 1e-4)
        start = self.eye - origin
        u = (rays @ across.astype(np.float32)) * depth + np.float32(start @ across)
        v = (rays @ up.astype(np.float32)) * depth + np.float32(start @ up)
        if extent is not None:
            shown &= (u > 0) & (u < extent[0]) & (v > 0) & (v < extent[1])
            if outline is not None and shown.any():
                rows = np.clip((1 - v / extent[1]) * outline.shape[0], 0, outline.shape[0] - 1).astype(int)
                columns = np.clip(u / extent[0] * outline.shape[1], 0, outline.shape[1] - 1).astype(int)
                shown &= outline[rows, columns] > 0
        facing = normal * (-np.sign(offset))
        self._write(area, shown, inverse, u / scale, v / scale, facing, tile, kind)

    def box(self, centre: Vector, size: Vector, axes: Vector, tiles: list[Tile], scale: float) -> None:
        """A box of full ``size`` along ``axes`` (rows)."""
        for axis in range(3):
            side = np.sign(axes[axis] @ (self.eye - centre)) or 1.0
            across, up = axes[(axis + 1) % 3], axes[(axis + 2) % 3]
            width, height = size[(axis + 1) % 3], size[(axis + 2) % 3]
            origin = centre + side * axes[axis] * size[axis] / 2 - across * width / 2 - up * height / 2
            self.plane(origin, across, up, tiles[axis % len(tiles)], scale, extent=(float(width), float(height)))

    def quadric(self, base: Vector, axes: Vector, radii: tuple[float, float], height: float, tile: Tile, scale: float,
                *, round_: bool = False, squash: float = 1.0) -> None:  # fmt: skip
        """A frustum from ``base`` along ``axes[1]`` with a radius at either end, or (``round_``) an ellipsoid.

        ``squash``: thickness along ``axes[2]`` over that along ``axes[0]``.
        """
        widest = max(radii)
        spread = np.array([[x, y, z] for x in (-widest, widest) for y in (0, height) for z in (-widest, widest)])
        area = self.bounds(base + spread @ axes)
        if area is None:
            return
        local = axes.copy()
        local[2] = local[2] / squash
        o = (local @ (self.eye - base)).astype(np.float32)
        d = self.rays[area] @ local.T.astype(np.float32)
        if round_:
            k = np.float32(widest / (height / 2))
            o, d = o * np.array([1, k, 1], np.float32), d * np.array([1, k, 1], np.float32)
            o[1] -= widest
            a, b, c = (d * d).sum(-1), d @ o, float(o @ o) - widest**2
        else:
            slope = np.float32((radii[1] - radii[0]) / height)
            r_o, r_d = radii[0] + slope * o[1], slope * d[..., 1]
            a = d[..., 0] ** 2 + d[..., 2] ** 2 - r_d**2
            b = d[..., 0] * o[0] + d[..., 2] * o[2] - r_d * r_o
            c = o[0] ** 2 + o[2] ** 2 - r_o**2
        root = b * b - a * c
        shown = root > 0
        if not shown.any():
            return
        root = np.sqrt(np.maximum(root, 0))
        a = np.where(np.abs(a) < 1e-9, 1e-9, a)
        near, far = (-b - root) / a, (-b + root) / a
        near, far = np.minimum(near, far), np.maximum(near, far)
        if not round_:
            inside = [(t > 0.02) & (o[1] + t * d[..., 1] > 0) & (o[1] + t * d[..., 1] < height) for t in (near, far)]
            near = np.where(inside[0], near, far)
            shown &= inside[0] | inside[1]
        shown &= near > 0.02
        p = [o[i] + near * d[..., i] for i in range(3)]
        n = p if round_ else [p[0], np.full_like(p[0], -radii[0] * (radii[1] - radii[0]) / height), p[2]]
        n = [n[0] * local[0, i] + n[1] * local[1, i] + n[2] * local[2, i] for i in range(3)]
        length = np.sqrt(n[0] ** 2 + n[1] ** 2 + n[2] ** 2) + 1e-9
        rays = self.rays[area]
        towards = -np.sign(n[0] * rays[..., 0] + n[1] * rays[..., 1] + n[2] * rays[..., 2])
        normal = tuple(towards * c / length for c in n)
        angle = np.arctan2(p[0], -p[2])
        inverse, around = (1 / np.maximum(near, 0.02)).astype(np.float32), angle * widest / scale
        self._write(area, shown, inverse, around, p[1] / scale, normal, tile)

    def disc(self, centre: Vector, axes: Vector, radius: float, tile: Tile, scale: float) -> None:
        """A round lid across ``axes[1]``."""
        outline = np.zeros((64, 64), np.uint8)
        cv2.circle(outline, (32, 32), 31, 1, -1)
        origin = centre - radius * (axes[0] + axes[2])
        self.plane(origin, axes[0], axes[2], tile, scale, extent=(2 * radius, 2 * radius), outline=outline)

    def sprite(self, foot: Vector, height: float, sprite: Sprite, tiles: list[Tile], *, depth: float = 1.0) -> None:
        """A silhouette that stands on ``foot`` and faces the eye; ``depth`` scales its bulge."""
        (pixel,), (z,) = self.project(foot[None])
        top, _ = self.project((raised(foot, height))[None])
        if z < 0.05:
            return
        tall = float(np.hypot(*(top[0] - pixel)))
        rows, columns = sprite.labels.shape
        factor = tall / rows
        if factor * rows < 3 or factor > 40:
            return
        h, w = self.view.size
        left, upper = pixel[0] - factor * columns / 2, pixel[1] - tall
        y0, y1 = max(0, int(upper)), min(h, int(pixel[1]) + 1)
        x0, x1 = max(0, int(left)), min(w, int(left + factor * columns) + 1)
        if y0 >= y1 or x0 >= x1:
            return
        moved = np.array([[1 / factor, 0, (x0 - left) / factor], [0, 1 / factor, (y0 - upper) / factor]])
        size, flags = (x1 - x0, y1 - y0), cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        labels = cv2.warpAffine(sprite.labels, moved, size, flags=flags)
        bulge = cv2.warpAffine(sprite.bulge, moved, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        bulge = bulge * (height * depth)
        area = (slice(y0, y1), slice(x0, x1))
        toward = np.array([0, 0, 1.0])
        inverse = self.rays[area] @ (toward / max(foot[2], 0.05)).astype(np.float32)
        distance = np.maximum(1 / np.maximum(inverse, 1e-4) - bulge, 0.04)
        per_pixel = z / self.focal_px
        gx, gy = cv2.Sobel(bulge, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(bulge, cv2.CV_32F, 0, 1, scale=0.125)
        nx, ny = -gx / per_pixel, gy / per_pixel
        length = np.sqrt(nx**2 + ny**2 + 1)
        normal = (nx / length, ny / length, -1 / length)
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        for label in np.unique(labels):
            if label:
                u, v = (x - left + 7 * label) / tall, (y - upper) / tall
                self._write(
                    area, labels == label, (1 / distance).astype(np.float32), u, v, normal, tiles[label % len(tiles)]
                )

    def cast(self, foot: Vector, radius: float, length: float, darkness: float) -> None:
        """Darken the ground behind something that stands in the light."""
        away = -self.light * np.array([1, 0, 1])
        away = away / (np.linalg.norm(away) + 1e-9)
        side = np.array([away[2], 0, -away[0]])
        turn = np.linspace(0, 2 * np.pi, 24)[:, None]
        ring = foot + away * length / 2 + np.cos(turn) * side * radius + np.sin(turn) * away * (radius + length / 2)
        pixels, depth = self.project(ring)
        if depth.min() < 0.05:
            return
        drawn = np.zeros(self.view.size, np.float32)
        cv2.fillConvexPoly(drawn, np.clip(np.round(pixels), -4000, 4000).astype(np.int32), darkness)
        self.shadow *= 1 - drawn
