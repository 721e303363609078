"""Draws the figures of method.md: for every idea what the right eye sees without it, with it, and in truth.

python docs/figures.py
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL.Image import Resampling

from stereodiffusion.bench.drawing import EDGE, Cell, grid
from stereodiffusion.datasets.scenes import render, sample_scene
from stereodiffusion.formats import to_pil
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.estimators import load_depth_estimator
from stereodiffusion.occlusion import snap_to_edges
from stereodiffusion.occlusion.strands import attach_strands
from stereodiffusion.settings.presets import PresetName, preset
from stereodiffusion.synthesis import StereoDiffusion, load
from stereodiffusion.synthesis.compose import known_view
from stereodiffusion.types import Image

IMAGES = Path(__file__).parent / "images"
BEST = preset("best", "photo")
WITHOUT: dict[str, tuple[str, PresetName, Mapping[str, object]]] = {
    "pixels": ("in whole cells (fast)", "fast", {}),
    "resync": ("cells copied", "best", {"views.resync.how": "copy", "views.resync.every": 0.2}),
    "composition": ("as decoded", "best", {"picture": "decoded"}),
    "borders": ("hard borders", "best", {"warp.borders": "hard"}),
}
WHERE = {  # scene, left and top of a square, its edge
    "pixels": (4, 150, 290, 120),
    "resync": (4, 300, 290, 120),
    "composition": (4, 150, 290, 120),
    "borders": (7, 180, 260, 120),
    "background": (6, 380, 280, 132),
    "snapping": (4, 140, 280, 160),
}


class Example(NamedTuple):
    """What both eyes see, and the disparity of the left."""

    left: Image
    right: Image
    disparity: Disparity


def scene(number: int) -> Example:
    """A drawn scene of 512 x 512 pixels."""
    pair = render(sample_scene(number), (512, 512))
    left, right = (torch.from_numpy(eye.image).permute(2, 0, 1)[None].contiguous() for eye in (pair.left, pair.right))
    return Example(left, right, Disparity.from_pixels(torch.from_numpy(pair.left.disparity)))


def pole(edge: int = 120, near: int = 36, far: int = 4) -> Example:
    """A post before a striped wall; the left eye sees four columns of it, then comes the frame."""

    def seen(post: int, moved: int) -> Image:
        column = torch.arange(edge)
        wall = torch.where((column + moved) // 12 % 2 == 0, 0.75, 0.55)
        shown = torch.where(column >= post, 0.2, wall).expand(1, 3, edge, edge).clone()
        shown[:, 2] += 0.2 * (column >= post)
        return shown

    disparity = torch.where(torch.arange(edge) >= edge - 4, float(near), float(far)).expand(edge, edge)
    return Example(seen(edge - 4, 0), seen(edge - 4 - near, far), Disparity.from_pixels(disparity.clone()))


def hairy(edge: int = 160, near: int = 14, far: int = 4, fine: int = 4) -> Example:
    """A head before a wall that a lamp lights from the right; the map knows the head, as an estimator would."""
    random, middle = np.random.default_rng(0), fine * edge // 2
    drawn = np.zeros((fine * edge, fine * edge), np.uint8)
    cv2.circle(drawn, (middle, middle), 30 * fine, 255, -1)
    head = cv2.resize(drawn, (edge, edge), interpolation=cv2.INTER_AREA)
    for angle in random.uniform(0, 2 * np.pi, 40):
        ends = [(28, angle), (random.uniform(36, 56), angle + random.normal(0, 0.15))]
        start, end = ([round(middle + fine * r * f(a)) for f in (np.cos, np.sin)] for r, a in ends)
        cv2.line(drawn, start, end, 255, round(fine * random.uniform(0.8, 2)), cv2.LINE_AA)
    share = torch.from_numpy(cv2.resize(drawn, (edge, edge), interpolation=cv2.INTER_AREA))[None, None] / 255
    light = torch.linspace(0.5, 0.9, edge + far).expand(1, 3, edge, edge + far) * torch.tensor([1, 0.9, 0.7]).view(
        1, 3, 1, 1
    )
    colour = torch.tensor([0.3, 0.15, 0.1]).view(1, 3, 1, 1).expand(1, 3, edge, edge)
    left = torch.lerp(light[..., :edge], colour, share)
    right = torch.lerp(light[..., far:], colour, share.roll(-near, -1))
    blurred = cv2.GaussianBlur(head.astype(np.float32) / 255, (0, 0), 2)
    return Example(left, right, Disparity.from_pixels(torch.from_numpy(far + (near - far) * blurred)))


def close_up(picture: Image, where: tuple[int, int, int, int]) -> Cell:
    """A square of a picture, enlarged without smoothing."""
    _, left, top, edge = where
    part = to_pil(picture.expand(-1, 3, -1, -1)[..., top : top + edge, left : left + edge])
    return Cell(part.resize((EDGE, EDGE), Resampling.NEAREST))


def save(name: str, headings: Sequence[str], cells: Sequence[Cell]) -> None:
    """One row of close-ups."""
    grid([cells], title="", headings=headings, sides=[""]).save(IMAGES / f"method-{name}.png", optimize=True)


def right(model: StereoDiffusion, sample: Example, name: PresetName, changes: Mapping[str, object]) -> Image:
    """What the right eye sees."""
    return model.photo(sample.left, disparity=sample.disparity, preset=name, changes=changes).right


def main() -> None:
    """Draw them all."""
    model = load("toybox", dtype="float32")
    for name, (said, chosen, changes) in WITHOUT.items():
        where = WHERE[name]
        sample = scene(where[0])
        views = [sample.left, right(model, sample, chosen, changes), right(model, sample, "best", {}), sample.right]
        save(name, ["left eye", said, "best", "truth"], [close_up(view, where) for view in views])

    where = WHERE["background"]
    sample = scene(where[0])
    known = known_view(sample.left, sample.disparity, BEST.changed({"warp.fill": "smooth"}).warp)
    views = [sample.left, known.view * known.visible, known.view, sample.right]
    save("background", ["left eye", "moved", "continued", "truth"], [close_up(view, where) for view in views])

    sample = pole()
    warps = BEST.changed({"warp.frame": "ends"}).warp, BEST.warp
    ends, best = (known_view(sample.left, sample.disparity, warp).view for warp in warps)
    views = [sample.left, ends, best, sample.right]
    headings = ["left eye", "the frame ends", "best", "truth"]
    save("frame", headings, [close_up(view, (0, 0, 0, view.shape[3])) for view in views])

    where = WHERE["snapping"]
    sample = scene(where[0])
    near = load_depth_estimator("toybox-depth")(sample.left)
    raw = Disparity.from_relative(near, BEST.parallax.max_disparity * sample.left.shape[3])
    snapped = snap_to_edges(raw, sample.left)
    maps = [each.pixels / raw.pixels.max() for each in (raw, snapped)]
    views = [sample.left, *maps, *(known_view(sample.left, each, BEST.warp).view for each in (raw, snapped))]
    headings = ["left eye", "estimated", "snapped", "right eye, estimated", "right eye, snapped"]
    save("snapping", headings, [close_up(view, where) for view in views])

    sample = hairy()
    snapped = snap_to_edges(sample.disparity, sample.left)
    maps = snapped, attach_strands(snapped, sample.left)
    alone, attached = (known_view(sample.left, each, BEST.warp).view for each in maps)
    views = [sample.left, maps[1].pixels / maps[1].pixels.max(), alone, attached, sample.right]
    headings = ["left eye", "hair in the map", "without it", "best", "truth"]
    save("hair", headings, [close_up(view, (0, 12, 20, 120)) for view in views])


if __name__ == "__main__":
    main()
