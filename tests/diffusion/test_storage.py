"""Where the attention memory is kept changes nothing; what it takes is what is computed."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny
from tests.diffusion.sources import source
from torch import Tensor

from stereodiffusion.diffusion.backbone import stack_rows
from stereodiffusion.diffusion.denoise import Conditioning, Step
from stereodiffusion.diffusion.schedule import ddim_schedule
from stereodiffusion.diffusion.source import Target
from stereodiffusion.diffusion.storage import InMainMemory, LayerTokens, OnDisk, bytes_per_step, steps_within
from stereodiffusion.diffusion.trajectory import Trajectory, recorder, sample_source
from stereodiffusion.diffusion.views import view_beside
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion, StableDiffusionXL
from stereodiffusion.settings import Settings

STEPS = 8
GRID = (2, 4, 8, 16)


def normal(seed: int) -> Tensor:
    return torch.randn(*GRID, generator=torch.Generator().manual_seed(seed))


def prompted(backbone: StableDiffusion) -> Conditioning:
    embedding, nothing = backbone.embed(["a red ball", "a blue cube"]), backbone.embed(["", ""])
    return Conditioning(embedding=embedding, unconditional=nothing, guidance=3.0)


def steps_of(backbone: StableDiffusion, config: Settings, relief: Tensor) -> tuple[Trajectory, list[Step]]:
    given, schedule = prompted(backbone), ddim_schedule(backbone.alphas, STEPS)
    record = recorder(backbone, config, rows=4, grid=(8, 16))
    for _ in sample_source(backbone, normal(1), [given] * STEPS, schedule, record):
        pass
    left = record.trajectory()
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    recorded = source(backbone, left, given, schedule, config, normal(2))
    return left, list(view_beside(recorded, Target(cells=cells, given=recorded.given)))


def taken(tokens: Mapping[int, LayerTokens]) -> int:
    return sum(each.nbytes for layers in tokens.values() for each in layers.values())


@pytest.mark.parametrize("beyond", ["offload", "recompute"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_right_view_is_the_same_wherever_the_memory_is(
    backbone: StableDiffusion, relief: Tensor, beyond: Any, share: float
) -> None:
    base = tiny.settings({"sampling.steps": STEPS, "guidance.scale": 3.0, "views.tokens_mb": None})
    whole, kept = steps_of(backbone, base, relief)
    config = base.changed({"views.tokens_mb": share * taken(whole.tokens) / 1e6, "views.beyond": beyond})
    left, steps = steps_of(backbone, config, relief)
    torch.testing.assert_close(steps[-1].latents, kept[-1].latents, rtol=0, atol=1e-4)

    on_device = {index: layers for index, layers in left.tokens.items() if isinstance(layers, dict)}
    shared, fit = len(whole.tokens), int(share * len(whole.tokens))
    assert taken(on_device) * shared == taken(whole.tokens) * fit
    costs = [step.evaluations for step in steps]
    again = 0 if beyond == "offload" else 4
    assert costs == [0] + [4] * fit + [4 + again] * (shared - fit)


@pytest.mark.parametrize("build", [tiny.pipeline, tiny.xl_pipeline])
@pytest.mark.parametrize("grid", [(8, 16), (10, 6)])
def test_what_a_step_takes_is_computed_beforehand(build: Any, grid: tuple[int, int]) -> None:
    family = StableDiffusion if build is tiny.pipeline else StableDiffusionXL
    backbone = family.from_pipeline(build())
    seen: dict[int, Tensor] = {}

    def tap(layer: int, tokens: Tensor) -> Tensor:
        seen[layer] = tokens
        return tokens

    embedding = stack_rows(backbone.embed(["a red ball"]), backbone.embed(["a red ball"]))
    with backbone.attending(tap), torch.no_grad():
        backbone.predict(torch.zeros(2, 4, *grid), 500, embedding)
    sizes = backbone.attention_sizes(*grid)
    assert list(sizes) == [tuple(seen[layer].shape[1:]) for layer in sorted(seen)]
    layers = (0, 2)
    assert bytes_per_step(sizes, layers, 2, backbone.dtype) == sum(seen[layer].nbytes for layer in layers)


def test_stable_diffusion_takes_46_megabytes_a_step() -> None:
    """Sixteen layers: two, two, two down, one mid, three, three, three up, at 64 x 64 and its halves."""
    grids, channels = [64, 32, 16, 8, 16, 32, 64], [320, 640, 1280, 1280, 1280, 640, 320]
    counts = [2, 2, 2, 1, 3, 3, 3]
    sizes = [(grid**2, width) for grid, width, n in zip(grids, channels, counts, strict=True) for _ in range(n)]
    assert bytes_per_step(sizes, range(16), 2, torch.bfloat16) == pytest.approx(46e6, rel=0.02)


def test_as_many_steps_stay_as_fit() -> None:
    assert steps_within(None, 10**9, 40) == 40
    assert steps_within(2000, 93_000_000, 40) == 21
    assert steps_within(0, 93_000_000, 40) == 0
    assert steps_within(2000, 0, 40) == 40
    with pytest.raises(ConfigError, match=r"views\.tokens_mb must be at least 0, got -1"):
        tiny.settings({"views.tokens_mb": -1})


@pytest.fixture(params=[OnDisk, InMainMemory])
def store(request: pytest.FixtureRequest) -> LayerTokens:
    return request.param()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_stores_give_back_what_they_were_given(store: LayerTokens, dtype: torch.dtype) -> None:
    first, second = torch.randn(2, 3, 5, 7).to(dtype)
    store[4], store[2] = first, second
    assert torch.equal(store[4], first)
    assert torch.equal(store[2], second)
    store[4] = second
    assert torch.equal(store[4], second)
    assert sorted(store) == [2, 4]
    del store[2]
    assert list(store) == [4]
    assert store.get(2) is None


def test_files_go_with_their_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = OnDisk()
    store[0] = torch.randn(1, 4, 4)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    del store
    gc.collect()
    assert not list(tmp_path.iterdir())
