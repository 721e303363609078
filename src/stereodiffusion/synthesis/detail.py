"""The occlusions of a large photo made again at a finer scale, window by window.

Each window is a photo of its own: the left's is inverted, and the right's is made beside it from what the whole picture
gave there. Its windows lie on the same rows of both views, but on the left farther right by the parallax of what the
right window shows, so that the model sees the same things in both. As elsewhere, left is the source and right the view
that is made beside it, whichever eyes they are.
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeAlias

import torch
from torch.nn.functional import adaptive_max_pool2d

from stereodiffusion.config import StereoConfig
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.shift import KnownRight, cell_map
from stereodiffusion.diffusion.views import right_beside
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.compose import change_at
from stereodiffusion.synthesis.crops import Window, blending, plan_crops
from stereodiffusion.synthesis.parts import advance, grid_of, seeded_noise
from stereodiffusion.synthesis.run import Progress
from stereodiffusion.synthesis.stereo import Left
from stereodiffusion.types import Image, Latent

Inversion: TypeAlias = Callable[[Latent, Latent], Generator[Progress, None, Left]]
"""Of clean latents of a left view, with the noise for cells that come from nowhere."""

_ROWS_LOOKED_AT = 64


def in_crops(
    backbone: Backbone,
    invert: Inversion,
    schedule: Schedule,
    config: StereoConfig,
    seed: int,
    pair: StereoPair,
    position: float,
    change: Image,
) -> Generator[Progress, None, None]:
    """Look at the occlusions of a pair again.

    Args:
        backbone: The model.
        invert: Makes a left view of a crop.
        schedule: The noise levels.
        config: The settings; `crops` is how many there may be.
        seed: For noise of cells that come from nowhere; the same for each crop, whichever others there are.
        pair: As it came out at the model's size, at the photo's.
        position: Of its right view, in baselines to the right of its left; not 0.
        change: What the model changed in the right view, (b, 3, h, w); what it changes now is added.

    Yields:
        Progress once for every crop, with what it cost.
    """
    plan = plan_crops(
        pair.occlusion, native=backbone.native_size, cell=backbone.pixels_per_latent, at_most=config.crops
    )
    for number, window in enumerate(plan.windows, start=1):
        run = _change_in(backbone, invert, schedule, config, seed, pair, position, window, plan.working)
        found, evaluations = _to_the_end(run)
        weight = blending(window, plan.windows, pair.size).to(found.device)
        window.of(change).add_(weight * found)
        yield Progress(stage="crops", step=number, steps=len(plan.windows), evaluations=evaluations)


def _to_the_end(run: Generator[Progress, None, Image]) -> tuple[Image, int]:
    """The result of a run, and how many evaluations it cost."""
    evaluations = 0
    while True:
        try:
            evaluations += next(run).evaluations
        except StopIteration as finished:
            return finished.value, evaluations


def _change_in(
    backbone: Backbone,
    invert: Inversion,
    schedule: Schedule,
    config: StereoConfig,
    seed: int,
    pair: StereoPair,
    position: float,
    window: Window,
    size: tuple[int, int],
) -> Generator[Progress, None, Image]:
    """What the model changes in a window of the right view."""
    beside = window_beside(window, pair.disparity, position)
    _, fresh = seeded_noise(backbone, seed, len(pair), size)
    left = yield from invert(backbone.encode(resize_image(beside.of(pair.left), *size)), fresh)

    cut = pair.disparity.crop(beside.top, beside.left, beside.height, beside.width)
    remaining = cut.converged_at((beside.left - window.left) / position).resize(*size)
    as_it_is = replace(config, parallax="metric", convergence=0.0)  # both have been taken account of
    cells = cell_map(remaining, as_it_is, grid_of(fresh), position)
    hole = adaptive_max_pool2d(window.of(pair.occlusion).float(), grid_of(fresh))
    known = KnownRight(clean=backbone.encode(resize_image(window.of(pair.right), *size)), cells=hole == 0)
    steps = right_beside(
        backbone,
        left.trajectory,
        left.given_at(position),
        schedule,
        cells,
        config,
        fresh,
        known,
        given_left=left.given,
    )
    right_0 = yield from advance(steps, "right view", 1 + len(config.right_indices))
    return change_at(window.height, window.width, backbone.decode(right_0), backbone.decode(known.clean))


def window_beside(window: Window, disparity: Disparity, position: float = 1.0) -> Window:
    """Where the left view shows most of what a window of the right one does.

    Args:
        window: Of the right view.
        disparity: Of the left view, (b, 1, h, w), dense.
        position: Of the right view, in baselines to the right of the left one.
    """
    rows = slice(window.top, window.top + window.height, -(-window.height // _ROWS_LOOKED_AT))
    pixels = disparity.pixels[:, :, rows] * position
    lands = torch.arange(disparity.width, device=pixels.device) - pixels
    inside = pixels[(lands >= window.left) & (lands < window.left + window.width)]
    offset = round(float(inside.median())) if len(inside) else 0
    left = min(max(0, window.left + offset), disparity.width - window.width)
    return replace(window, left=left)
