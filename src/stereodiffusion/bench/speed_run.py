"""One run of `bench speed`: every model, mode and preset in turn.

Each network has a process of its own, one after the other: what an allocator keeps of the one before would be counted
as memory that the next one needs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from stereodiffusion.bench.one_picture import ONE_PICTURE, measure_one_picture
from stereodiffusion.bench.speed import Speed, SpeedModel, measure
from stereodiffusion.models.backbones import StableDiffusion, load_backbone
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
        rounds: How often everything is measured, in turns.
        size: Edge of the pictures of networks with random weights, in pixels; None is the published one's.
    """

    models: Sequence[SpeedModel]
    modes: Sequence[Mode]
    presets: Sequence[PresetName]
    device: str = "cpu"
    dtype: PrecisionChoice = "auto"
    stretch: int | None = None
    rounds: int = 1
    size: int | None = None


def run_speed(plan: SpeedPlan) -> Iterator[Speed]:
    """Measure line by line, round by round; lines that share a network follow each other.

    Beside text and photos stands what diffusers' own pipeline takes for one picture, measured right before them.

    Raises:
        ModelError: If a network cannot be loaded.
    """
    for _ in range(plan.rounds):
        for model in plan.models:
            for precision, presets in _by_precision(plan):
                yield from _lines(model, plan, precision, presets)


_Line = tuple[Mode, PresetName]


def _lines(
    model: SpeedModel, plan: SpeedPlan, precision: PrecisionChoice, presets: Sequence[PresetName]
) -> Iterator[Speed]:
    """What shares a precision; each network in a process of its own."""
    for depth in (False, True):
        lines: list[_Line] = [(mode, name) for mode in plan.modes if (mode == "depth") == depth for name in presets]
        if lines and not depth and "paper" not in presets:
            yield from in_processes(partial(_one_picture, model, plan, precision), [ONE_PICTURE], workers=1)
        yield from in_processes(partial(_measurer, model, plan, precision, depth=depth), lines, workers=1)


def _one_picture(model: SpeedModel, plan: SpeedPlan, precision: PrecisionChoice) -> Callable[[str], Iterator[Speed]]:
    """Loads a network, and lets diffusers draw with it."""
    backbone = _load(model, plan, precision, depth=False)

    def lines(_: str) -> Iterator[Speed]:
        yield measure_one_picture(model, backbone, stretch=plan.stretch)

    return lines


def _measurer(
    model: SpeedModel, plan: SpeedPlan, precision: PrecisionChoice, *, depth: bool
) -> Callable[[_Line], Iterator[Speed]]:
    """Loads a network, and measures lines with it."""
    estimator = load_depth_estimator("toybox-depth", device=plan.device)
    backbone = _load(model, plan, precision, depth=depth)

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


def _load(model: SpeedModel, plan: SpeedPlan, dtype: PrecisionChoice, *, depth: bool) -> StableDiffusion:
    if model == "toybox":
        return cast(StableDiffusion, load_backbone("toybox", device=plan.device, dtype=dtype, depth=depth))
    return random_backbone("sd2-depth" if depth else "sd1", device=plan.device, dtype=dtype, edge=plan.size)
