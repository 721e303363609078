"""What diffusers' own pipeline takes for one picture, with the same network: what a pair is compared with."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stereodiffusion.bench.ceiling import evaluation_flops, matmul_ceiling
from stereodiffusion.bench.cost import Seconds, measured
from stereodiffusion.bench.speed import PROMPT, Speed, SpeedModel
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.backbones.own_pipeline import draw_picture, own_pipeline
from stereodiffusion.settings.presets import preset

ONE_PICTURE = "diffusers, one picture"
"""What its line is called where others have a preset."""


@dataclass(slots=True)
class Calls:
    """What a network was called for.

    Attributes:
        rows: Latents that it has evaluated, each batch counted by its rows.
        seconds: That it took.
        begun: When the latest call began; None before the first.
        first: When the first began.
    """

    rows: int = 0
    seconds: Seconds = Seconds()
    begun: Seconds | None = None
    first: Seconds | None = None


@contextmanager
def calls_of(network: nn.Module) -> Generator[Calls]:
    """Count and time the calls of a network by hooks on it, whoever calls."""
    calls, device = Calls(), next(network.parameters()).device

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        latents: Tensor = args[0] if args else kwargs["sample" if "sample" in kwargs else "hidden_states"]
        calls.rows += len(latents)
        calls.begun = Seconds.now(device)
        calls.first = calls.first or calls.begun

    def after(*_: object) -> None:
        if calls.begun is not None:
            calls.seconds += Seconds.now(device) - calls.begun

    hooks = network.register_forward_pre_hook(before, with_kwargs=True), network.register_forward_hook(after)
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def measure_one_picture(model: SpeedModel, backbone: StableDiffusion, *, stretch: int | None = None) -> Speed:
    """Let diffusers' own pipeline draw a picture, or a stretch of one, and say what it costs.

    Steps, guidance and prompt are those of the text mode's preset `best`.

    Args:
        model: What the backbone is called in the table.
        backbone: Conditioned on text alone; diffusers' own network gets its weights.
        stretch: Steps to run; all if None.
    """
    settings = preset("best", "text")
    whole = settings.sampling.steps
    steps = whole if stretch is None else min(stretch, whole)
    flops, pipe = evaluation_flops(backbone), own_pipeline(backbone)
    device, dtype, network = backbone.device, backbone.dtype, pipe.components["unet"]
    ends: list[Seconds] = []

    def draw(some: int) -> None:
        scale = settings.guidance.scale
        draw_picture(pipe, PROMPT, steps=some, guidance=scale, after=lambda _: ends.append(Seconds.now(device)))

    draw(1)  # the first evaluation sets up what the others use
    ceilings, ends = [matmul_ceiling(device, dtype)], []
    with measured(str(device)) as cost, calls_of(network) as calls:
        begun = Seconds.now(device)
        draw(steps)
        ended = Seconds.now(device)
    ceilings.append(matmul_ceiling(device, dtype))
    repeated = ends[-1] - (calls.first or begun)
    seconds = (ended - begun - repeated) + whole / steps * repeated
    return Speed(
        model=model,
        mode="text",
        preset=ONE_PICTURE,
        dtype=str(dtype).removeprefix("torch."),
        steps=whole,
        stretch=steps,
        seconds=seconds.wall,
        core_seconds=seconds.core,
        seconds_least=seconds.wall,
        core_seconds_least=seconds.core,
        evaluations=calls.rows * whole // steps,
        peak_memory_mb=cost.peak_memory_mb,
        network_gflops=flops * calls.rows / calls.seconds.core / 1e9,
        ceiling_gflops=sum(ceilings) / len(ceilings) / 1e9,
    )
