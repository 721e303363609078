"""One run of `bench speed`: every model, mode and preset in turn.

Each network has a process of its own, one after the other: what an allocator keeps of the one before would be counted
as memory that the next one needs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from stereodiffusion.bench.speed import Speed, SpeedModel, measure
from stereodiffusion.models.backbones import load_backbone
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.models.backbones.random_weights import random_backbone
from stereodiffusion.models.estimators import load_depth_estimator
from stereodiffusion.processes import in_processes
from stereodiffusion.settings import Mode, PrecisionChoice
from stereodiffusion.settings.presets import PresetName


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
    for model in plan.models:
        for precision, presets in _by_precision(plan):
            for depth in (False, True):
                lines: list[_Line] = [
                    (mode, name) for mode in plan.modes if (mode == "depth") == depth for name in presets
                ]
                measurer = partial(_measurer, model, plan, precision, depth=depth)
                yield from in_processes(measurer, lines, workers=1)


_Line = tuple[Mode, PresetName]


def _measurer(
    model: SpeedModel, plan: SpeedPlan, precision: PrecisionChoice, *, depth: bool
) -> Callable[[_Line], Iterator[Speed]]:
    """Loads a network, and measures lines with it."""
    estimator = load_depth_estimator("toybox-depth", device=plan.device)
    backbone = _load(model, plan.device, precision, depth=depth)

    def lines(line: _Line) -> Iterator[Speed]:
        yield measure(model, backbone, estimator, *line, stretch=plan.stretch)

    return lines


def _by_precision(plan: SpeedPlan) -> Iterator[tuple[PrecisionChoice, list[PresetName]]]:
    paper: list[PresetName] = [name for name in plan.presets if name == "paper"]
    others: list[PresetName] = [name for name in plan.presets if name != "paper"]
    if paper:
        yield "float32", paper
    if others:
        yield plan.dtype, others


def _load(model: SpeedModel, device: str, dtype: PrecisionChoice, *, depth: bool) -> LatentModel:
    if model == "toybox":
        return load_backbone("toybox", device=device, dtype=dtype, depth=depth)
    return random_backbone("sd2-depth" if depth else "sd1", device=device, dtype=dtype)
