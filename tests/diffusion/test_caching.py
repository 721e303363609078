"""Reusing the deep half of the network: against a network whose deep half is replaced from outside, and its laws."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests import tiny
from torch import Tensor

from stereodiffusion.backbones import StableDiffusion, StableDiffusionXL
from stereodiffusion.config import StereoConfig
from stereodiffusion.diffusion.backbone import DeepFeatures, Embedding
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.schedule import ddim_schedule
from stereodiffusion.diffusion.trajectory import recorder, sample_left
from stereodiffusion.diffusion.views import both_views, right_beside, split_views
from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.geometry import Disparity

STEPS = 12


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["sd", "sdxl"])
def model(request: pytest.FixtureRequest) -> StableDiffusion:
    if request.param == "sd":
        return StableDiffusion.from_pipeline(tiny.pipeline())
    return StableDiffusionXL.from_pipeline(tiny.xl_pipeline())


@torch.no_grad()
def test_a_step_that_reuses_is_one_whose_deep_half_is_replaced(model: StableDiffusion) -> None:
    embedding: Embedding = model.embed(["a red ball"])
    first, second = normal(1, 1, 4, 8, 16), normal(2, 1, 4, 8, 16)
    features = DeepFeatures()
    plain = model.predict(first, 500, embedding)
    with model.caching(features, reuse=False):
        assert torch.equal(model.predict(first, 500, embedding), plain)
    seen: list[int] = []

    def tap(layer: int, tokens: Tensor) -> Tensor:
        seen.append(layer)
        return tokens

    with model.caching(features, reuse=True), model.attending(tap):
        reused = model.predict(second, 480, embedding)

    kept: list[Tensor] = []
    block: Any = model.unet.up_blocks[-2]
    recording = block.register_forward_hook(lambda _, __, output: kept.append(output))
    model.predict(first, 500, embedding)
    recording.remove()
    replacing = block.register_forward_hook(lambda _, __, output: kept[0])
    expected = model.predict(second, 480, embedding)
    replacing.remove()
    torch.testing.assert_close(reused, expected, rtol=1e-5, atol=1e-5)
    assert (reused - model.predict(second, 480, embedding)).abs().max() > 1e-4
    assert torch.equal(model.predict(first, 500, embedding), plain)  # and the network is what it was
    assert 0 < len(seen) < len(model.attention_places) or isinstance(model, StableDiffusionXL)


def test_an_error_leaves_the_network_as_it_was(model: StableDiffusion) -> None:
    features = DeepFeatures(value=normal(1, 1, 1, 1, 1))  # of no shape that fits
    with torch.no_grad(), pytest.raises(RuntimeError), model.caching(features, reuse=True):
        model.predict(normal(1, 1, 4, 8, 16), 500, model.embed(["a red ball"]))
    assert not any("forward" in vars(module) for module in model.unet.modules())
    with pytest.raises(ModelError, match="expected deep features"), model.caching(DeepFeatures(), reuse=True):
        pass


@pytest.mark.parametrize("cache_every", [2, 5])
def test_recorded_and_joint_give_the_same_right_view(
    backbone: StableDiffusion, relief: Tensor, cache_every: int
) -> None:
    config = StereoConfig(steps=STEPS, guidance=3.0, cache_every=cache_every)
    schedule = ddim_schedule(backbone.alphas, STEPS)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    prompts, nothing = backbone.embed(["a red ball", "a blue cube"]), backbone.embed(["", ""])
    given = [Conditioning(embedding=prompts, unconditional=nothing, guidance=3.0)] * STEPS
    x, fresh = normal(1, 2, 4, 8, 16), normal(2, 2, 4, 8, 16)

    def left_and_right(settings: StereoConfig) -> tuple[Tensor, Tensor]:
        record = recorder(backbone, settings)
        for _ in sample_left(backbone, x, given, schedule, record, cached=settings.cached_indices):
            pass
        left = record.trajectory()
        right = list(right_beside(backbone, left, given, schedule, cells, settings, fresh))
        return left.clean, right[-1].latents

    left, right = left_and_right(config)
    joint = replace(config, left="joint")
    together = list(both_views(backbone, x, given, given, schedule, cells, joint, fresh))[-1].latents
    torch.testing.assert_close(left, split_views(together)[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(right, split_views(together)[1], rtol=1e-4, atol=1e-4)
    plain, _ = left_and_right(replace(config, cache_every=1))
    assert (left - plain).abs().max() > 1e-4


def test_which_steps_reuse() -> None:
    config = StereoConfig(steps=12, cache_every=3)
    assert config.shift_index == 2
    assert config.cached_indices == {1, 2, 4, 5, 7, 8, 10, 11}
    assert StereoConfig().cached_indices == frozenset()
    assert config.shift_index + 1 not in replace(config, cache_every=4).cached_indices
    with pytest.raises(ConfigError, match="cache_every must be at least 1"):
        StereoConfig(cache_every=0)
    with pytest.raises(ConfigError, match="cannot be recomputed"):
        StereoConfig(cache_every=2, beyond_budget="recompute")
