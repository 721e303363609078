"""What a preset costs in a mode: seconds, evaluations, memory, and how near the network comes to the machine's ceiling.

Where a whole run would take hours, a stretch of a few steps is run, from the first to the last stage of the mode, and
each stage is extrapolated by its number of steps. What is done once (encoding, decoding, estimating depth) is not
extrapolated; the first evaluation, which sets up what the others use, is run before. Null-text inversion is stretched
as well: one iteration in each step is timed, ten are reported, the most that its authors allow, and one, the least.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch

from stereodiffusion.bench.ceiling import evaluation_flops, matmul_ceiling
from stereodiffusion.bench.cost import Seconds, measured
from stereodiffusion.bench.tools import CountingBackbone
from stereodiffusion.datasets.scenes import render, sample_scene
from stereodiffusion.diffusion.backbone import Backbone, Concat, Embedding
from stereodiffusion.diffusion.inversion import AUTHORS_NULL_TEXT, NullTextSettings
from stereodiffusion.diffusion.trajectory import recorder
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.settings import Mode, Settings
from stereodiffusion.settings.presets import PresetName, preset
from stereodiffusion.synthesis.conditioning import Prompted
from stereodiffusion.synthesis.depth import depth_source
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.retrace import retrace
from stereodiffusion.synthesis.run import Run, Stage, Synthesis
from stereodiffusion.synthesis.stereo import pair_beside
from stereodiffusion.synthesis.text import text_source
from stereodiffusion.types import Image, Latent

SpeedModel: TypeAlias = Literal["toybox", "sd1"]
"""The embedded model, or networks of Stable Diffusion's size with random weights."""

PROMPT = "a red ball on a wooden table, blue wall"
"""What is drawn, in words that the embedded model knows."""

_NONE = Seconds()
_ONE_ITERATION = NullTextSettings(iterations=1, tolerance=-1.0, tolerance_growth=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One line of the table.

    Attributes:
        model: Whose network.
        mode: What was made.
        preset: With which settings; or what else drew the picture.
        dtype: In which precision the network ran.
        steps: Sampling steps that the numbers stand for.
        stretch: Steps that were run; equal to `steps` where nothing is extrapolated.
        seconds: For one pair, by the clock.
        core_seconds: The same of processor cores, see `Seconds`.
        seconds_least: For one pair, if null-text inversion stopped after one iteration in every step.
        core_seconds_least: The same of processor cores.
        evaluations: Of the network, one latent each; a backward pass counts as one.
        peak_memory_mb: Most that the process held, in units of 10^6 bytes.
        network_gflops: 10^9 floating-point operations a core second of the network, forward, in this very run.
        ceiling_gflops: Of square matrix multiplications in the same precision, before and after it.
    """

    model: str
    mode: Mode
    preset: str
    dtype: str
    steps: int
    stretch: int
    seconds: float
    core_seconds: float
    seconds_least: float
    core_seconds_least: float
    evaluations: int
    peak_memory_mb: float
    network_gflops: float
    ceiling_gflops: float

    @property
    def share(self) -> float:
        """Of the ceiling that the network reaches."""
        return self.network_gflops / self.ceiling_gflops


class _Watched(CountingBackbone):
    """Knows besides how long the network took, with and without gradients, and how long the autoencoder."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.network, self.network_rows = _NONE, 0
        self.plain, self.once = _NONE, _NONE

    def predict(self, x_t: Latent, timestep: float, embedding: Embedding, concat: Concat | None = None) -> Latent:
        """As the model does, timed."""
        begun = Seconds.now(self.device)
        output = super().predict(x_t, timestep, embedding, concat)
        taken = Seconds.now(self.device) - begun
        self.network += taken
        self.plain += _NONE if output.requires_grad else taken
        self.network_rows += len(x_t)
        return output

    def encode(self, image: Image) -> Latent:
        """As the model does, timed."""
        begun = Seconds.now(self.device)
        latents = super().encode(image)
        self.once += Seconds.now(self.device) - begun
        return latents

    def decode(self, latents: Latent) -> Image:
        """As the model does, timed."""
        begun = Seconds.now(self.device)
        image = super().decode(latents)
        self.once += Seconds.now(self.device) - begun
        return image


@dataclass(slots=True)
class _StageCost:
    """What a stage took: seconds that grow with its steps, seconds that do not, steps that cost, evaluations.

    `plain` are those of the first kind that the network ran without gradients.
    """

    repeated: Seconds = _NONE
    plain: Seconds = _NONE
    once: Seconds = _NONE
    steps: int = 0
    evaluations: int = 0


def measure(
    model: SpeedModel,
    backbone: Backbone,
    estimator: DepthEstimator,
    mode: Mode,
    name: PresetName,
    *,
    stretch: int | None = None,
) -> Speed:
    """Make a pair, or a stretch of one, and say what it costs.

    Args:
        model: What the backbone is called in the table.
        backbone: Depth-conditioned for the depth mode.
        estimator: For the text mode.
        mode: What to make.
        name: The preset.
        stretch: Steps to run; all if None.
    """
    whole = preset(name, mode)
    steps = whole.sampling.steps if stretch is None else min(stretch, whole.sampling.steps)
    settings = whole.changed({"sampling.steps": steps})
    stretched = steps < whole.sampling.steps
    optimisation = _ONE_ITERATION if stretched else AUTHORS_NULL_TEXT
    flops = evaluation_flops(backbone)
    watched = _Watched(backbone)
    ceilings = [matmul_ceiling(backbone.device, backbone.dtype)]
    with measured(str(backbone.device)) as cost:
        stages = _stages(watched, _synthesis(watched, estimator, mode, settings, optimisation))
    ceilings.append(matmul_ceiling(backbone.device, backbone.dtype))

    seconds = least = sum((stage.once for stage in stages.values()), _NONE)
    evaluations = 0
    for stage, taken in stages.items():
        repeat = _steps_that_cost(stage, whole, mode) / taken.steps if taken.steps else 1.0
        most, fewest, counted = taken.repeated, taken.repeated, float(taken.evaluations)
        if stage == "null-text" and stretched:
            iterations = AUTHORS_NULL_TEXT.iterations
            most = taken.plain + iterations * (taken.repeated - taken.plain)
            counted = (2 + 2 * iterations) * taken.steps
        seconds, least, evaluations = seconds + repeat * most, least + repeat * fewest, evaluations + counted * repeat
    return Speed(
        model=model,
        mode=mode,
        preset=name,
        dtype=str(backbone.dtype).removeprefix("torch."),
        steps=whole.sampling.steps,
        stretch=steps,
        seconds=seconds.wall,
        core_seconds=seconds.core,
        seconds_least=least.wall,
        core_seconds_least=least.core,
        evaluations=round(evaluations),
        peak_memory_mb=cost.peak_memory_mb + _kept_mb(backbone, whole, mode) - _kept_mb(backbone, settings, mode),
        network_gflops=flops * watched.network_rows / watched.network.core / 1e9,
        ceiling_gflops=sum(ceilings) / len(ceilings) / 1e9,
    )


def _stages(watched: _Watched, synthesis: Synthesis) -> dict[Stage, _StageCost]:
    """Run to the end and book every second on the stage it was spent in."""
    stages: dict[Stage, _StageCost] = {}
    last, once, plain = Seconds.now(watched.device), watched.once, watched.plain
    for progress in Run(synthesis):
        stage = stages.setdefault(progress.stage, _StageCost())
        now = Seconds.now(watched.device)
        apart = watched.once - once
        stage.once += apart
        if progress.evaluations:
            stage.repeated += now - last - apart
            stage.plain += watched.plain - plain
            stage.steps += 1
        else:  # a shift, an estimate of depth: it happens once
            stage.once += now - last - apart
        stage.evaluations += progress.evaluations
        last, once, plain = now, watched.once, watched.plain
    return stages


def _steps_that_cost(stage: Stage, settings: Settings, mode: Mode) -> int:
    """Steps of a stage in which the network is evaluated."""
    sampling = settings.sampling
    if stage == "view":
        return len(settings.view_indices)
    if stage == "inversion" and mode == "photo" and sampling.offset == 0 and sampling.spacing == "leading":
        return sampling.steps - 1  # the last level is reached twice
    return sampling.steps


def _kept_mb(backbone: Backbone, settings: Settings, mode: Mode) -> float:
    """What is remembered of the left's attention on the device, in units of 10^6 bytes."""
    rows = 1 if mode == "photo" or settings.guidance.scale == 1 else 2
    kept = recorder(backbone, settings, rows=rows)
    return kept.step_bytes * (len(kept.indices) - len(kept.away)) / 1e6


def _synthesis(
    backbone: Backbone, estimator: DepthEstimator, mode: Mode, settings: Settings, optimisation: NullTextSettings
) -> Synthesis:
    """The mode's work, on a procedural scene of the model's own size."""
    drawn = Prompted(prompts=[PROMPT])
    if mode == "text":
        return pair_beside(text_source(backbone, estimator, drawn, settings))
    scene = render(sample_scene(0), backbone.native_size).left
    disparity = Disparity.from_pixels(torch.from_numpy(scene.disparity).float())
    if mode == "depth":
        return pair_beside(depth_source(backbone, disparity, drawn, settings))
    photo = torch.from_numpy(scene.image).float().permute(2, 0, 1)[None].contiguous()
    back = partial(retrace, optimisation=optimisation)
    return pair_beside(photo_source(backbone, photo, disparity, Prompted(prompts=[""]), settings, retrace=back))
