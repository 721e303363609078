"""The occlusions of a large photo made again at a finer scale, window by window.

Each window is a photo of its own: the source's is inverted, and the view's is made beside it from what the whole
picture gave there. Its windows lie on the same rows of both, but on the source farther right by the parallax of what
the view's window shows, so that the model sees the same things in both. As elsewhere, left is the source and right the
view that is made beside it, whichever eyes they are.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch.nn.functional import adaptive_max_pool2d

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.shift import KnownLatents, cell_map
from stereodiffusion.diffusion.source import Source, Target
from stereodiffusion.diffusion.views import view_beside
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.compose import change_at
from stereodiffusion.synthesis.crops import Window, blending, plan_crops
from stereodiffusion.synthesis.drawing import advance
from stereodiffusion.synthesis.holes import around_holes, told
from stereodiffusion.synthesis.noise import seeded_noise
from stereodiffusion.synthesis.run import Progress
from stereodiffusion.synthesis.sizes import grid_of
from stereodiffusion.types import Image, Latent

Inversion: TypeAlias = Callable[[Latent, Latent], Generator[Progress, None, Source]]
"""Of clean latents of a crop, with the noise for cells that come from nowhere."""

_ROWS_LOOKED_AT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CloserLook:
    """Looks at the occlusions of a pair again, crop by crop.

    Attributes:
        backbone: The model.
        invert: Makes a source of a crop.
        settings: Of the method; `picture.crops` is how many there may be.
        seed: For noise of cells that come from nowhere; the same for each crop, whichever others there are.
    """

    backbone: Backbone
    invert: Inversion
    settings: Settings
    seed: int

    def __call__(self, pair: StereoPair, position: float, change: Image) -> Generator[Progress, None, None]:
        """Add to what the model changed in a pair.

        Args:
            pair: As it came out at the model's size, at the photo's.
            position: Of its right view, in baselines to the right of its left; not 0.
            change: What the model changed in the right view, (b, 3, h, w); what it changes now is added.

        Yields:
            Progress once for every crop, with what it cost.
        """
        native, cell = self.backbone.native_size, self.backbone.pixels_per_latent * self.backbone.patch
        plan = plan_crops(pair.occlusion, native=native, cell=cell, at_most=self.settings.crops)
        for number, window in enumerate(plan.windows, start=1):
            found, evaluations = _to_the_end(self._change_in(pair, position, window, plan.working))
            weight = blending(window, plan.windows, pair.size).to(found.device)
            window.of(change).add_(weight * found)
            yield Progress(stage="crops", step=number, steps=len(plan.windows), evaluations=evaluations)

    def _change_in(
        self, pair: StereoPair, position: float, window: Window, size: tuple[int, int]
    ) -> Generator[Progress, None, Image]:
        """What the model changes in a window of the right view."""
        backbone = self.backbone
        beside = window_beside(window, pair.disparity, position)
        _, fresh = seeded_noise(backbone, self.seed, len(pair), size)
        source = yield from self.invert(backbone.encode(resize_image(beside.of(pair.left), *size)), fresh)

        cut = pair.disparity.crop(beside.top, beside.left, beside.height, beside.width)
        remaining = cut.converged_at((beside.left - window.left) / position).resize(*size)
        as_it_is = replace(self.settings.parallax, scale="metric", convergence=0.0)  # both have been taken account of
        settings = replace(self.settings, parallax=as_it_is)
        unseen = window.of(pair.occlusion).float()
        hole = adaptive_max_pool2d(unseen, grid_of(fresh))
        seen = resize_image(window.of(pair.right), *size)
        known = KnownLatents(clean=backbone.encode(seen), cells=hole == 0)
        given = source.given
        if backbone.inpainting:
            given = told(given, around_holes(backbone, seen, adaptive_max_pool2d(unseen, size) > 0))
        cells = cell_map(remaining, settings, grid_of(fresh), position)
        steps = view_beside(source, Target(cells=cells, given=given, known=known))
        view_0 = yield from advance(steps, "view", 1 + len(settings.view_indices))
        return change_at(window.height, window.width, backbone.decode(view_0), backbone.decode(known.clean))


def _to_the_end(run: Generator[Progress, None, Image]) -> tuple[Image, int]:
    """The result of a run, and how many evaluations it cost."""
    evaluations = 0
    while True:
        try:
            evaluations += next(run).evaluations
        except StopIteration as finished:
            return finished.value, evaluations


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
