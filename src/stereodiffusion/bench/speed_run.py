"""One run of `bench speed`: every model, mode and preset in turn, each network loaded when needed and let go after."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stereodiffusion.bench.speed import Speed, SpeedModel, measure
from stereodiffusion.config import Mode, PrecisionChoice, PresetName
from stereodiffusion.depth import load_depth_estimator
from stereodiffusion.diffusion.backbone import Backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPlan:
    """What is to be measured.

    Attributes:
        models: Whose networks.
        modes: What is made.
        presets: With which settings; `paper` runs in float32, as its authors do.
        device: Where.
        dtype: In which precision the other presets run.
        stretch: Steps that are run of each, extrapolated to the preset's; None runs all.
    """

    models: Sequence[SpeedModel]
    modes: Sequence[Mode]
    presets: Sequence[PresetName]
    device: str = "cpu"
    dtype: PrecisionChoice = "auto"
    stretch: int | None = None


def run_speed(plan: SpeedPlan) -> Iterator[Speed]:
    """Measure line by line; lines that share a network follow each other.

    Raises:
        ModelError: If a network cannot be loaded.
    """
    estimator = load_depth_estimator("toybox-depth", device=plan.device)
    for model in plan.models:
        for precision, presets in _by_precision(plan):
            for depth in (False, True):
                modes: list[Mode] = [mode for mode in plan.modes if (mode == "depth") == depth]
                if not modes:
                    continue
                backbone = _load(model, plan.device, precision, depth=depth)
                for mode in modes:
                    for name in presets:
                        yield measure(model, backbone, estimator, mode, name, stretch=plan.stretch)
                del backbone
                gc.collect()


def _by_precision(plan: SpeedPlan) -> Iterator[tuple[PrecisionChoice, list[PresetName]]]:
    paper: list[PresetName] = [name for name in plan.presets if name == "paper"]
    others: list[PresetName] = [name for name in plan.presets if name != "paper"]
    if paper:
        yield "float32", paper
    if others:
        yield plan.dtype, others


def _load(model: SpeedModel, device: str, dtype: PrecisionChoice, *, depth: bool) -> Backbone:
    if model == "toybox":
        from stereodiffusion.backbones import load_backbone

        return load_backbone("toybox", device=device, dtype=dtype, depth=depth)
    from stereodiffusion.backbones.random_weights import random_backbone

    return random_backbone("sd2-depth" if depth else "sd1", device=device, dtype=dtype)
