"""Pairs straight from the parts of the method: a mode's source, and what is missing beside it."""

from collections.abc import Sequence

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.conditioning import Prompted
from stereodiffusion.synthesis.depth import depth_source, two_step_source
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.retrace import Retrace, retrace
from stereodiffusion.synthesis.run import Synthesis
from stereodiffusion.synthesis.stereo import pair_beside
from stereodiffusion.synthesis.text import text_source
from stereodiffusion.types import Image
from stereodiffusion.viewpoint import SourceEye


def text_pair(
    backbone: Backbone,
    estimator: DepthEstimator,
    prompts: Sequence[str],
    *,
    negative: str = "",
    settings: Settings,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    source: SourceEye = "left",
) -> Synthesis:
    """Pairs from prompts."""
    asked = Prompted(prompts=prompts, negative=negative, seed=seed)
    return pair_beside(text_source(backbone, estimator, asked, settings, size=size), source)


def depth_pair(
    backbone: Backbone,
    disparity: Disparity,
    prompts: Sequence[str],
    *,
    negative: str = "",
    settings: Settings,
    seed: int = 0,
    source: SourceEye = "left",
) -> Synthesis:
    """Pairs that have a disparity."""
    asked = Prompted(prompts=prompts, negative=negative, seed=seed)
    return pair_beside(depth_source(backbone, disparity, asked, settings), source)


def two_step_pair(
    depth_backbone: Backbone,
    photo_backbone: Backbone,
    disparity: Disparity,
    prompts: Sequence[str],
    *,
    negative: str = "",
    settings: Settings,
    photo_settings: Settings,
    seed: int = 0,
    source: SourceEye = "left",
) -> Synthesis:
    """Pairs that have a disparity, their sources treated as photos."""
    asked = Prompted(prompts=prompts, negative=negative, seed=seed)
    recording = two_step_source(depth_backbone, photo_backbone, disparity, asked, settings, photo_settings)
    return pair_beside(recording, source)


def photo_pair(
    backbone: Backbone,
    photo: Image,
    disparity: Disparity | DepthEstimator,
    *,
    prompts: Sequence[str] | None = None,
    settings: Settings,
    seed: int = 0,
    source: SourceEye = "left",
    retrace: Retrace = retrace,
) -> Synthesis:
    """Pairs from photos; nothing is said of what they show if there are no prompts."""
    asked = Prompted(prompts=[""] * len(photo) if prompts is None else prompts, seed=seed)
    return pair_beside(photo_source(backbone, photo, disparity, asked, settings, retrace=retrace), source)
