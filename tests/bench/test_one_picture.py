"""One picture by diffusers' own pipeline: that it is theirs, and what it costs beside a pair; on tiny real networks."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from tests import tiny, tiny_flow
from torch import nn
from transformers import CLIPTextModel, DPTImageProcessorPil

from stereodiffusion.bench.one_picture import ONE_PICTURE, calls_of, measure_one_picture
from stereodiffusion.bench.speed import Speed
from stereodiffusion.bench.speed_report import fastest, markdown
from stereodiffusion.models.backbones import StableDiffusion, StableDiffusion3, StableDiffusionXL, random_weights
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.models.backbones.own_pipeline import draw_picture, own_pipeline
from stereodiffusion.models.backbones.streamlining import streamline
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.conditioning import Prompted
from stereodiffusion.synthesis.run import Progress
from stereodiffusion.synthesis.stereo import pair_beside
from stereodiffusion.synthesis.text import text_source

pytestmark = pytest.mark.long


def test_it_is_diffusers_own_network_with_the_same_weights() -> None:
    pipe: Any = tiny.pipeline("epsilon")
    generator = torch.Generator().manual_seed(3)
    expected = pipe("a red ball", num_inference_steps=4, guidance_scale=7.5, generator=generator).images[0]
    backbone = StableDiffusion.from_pipeline(pipe, name="tiny")
    streamline(backbone.network)
    own, told = own_pipeline(backbone), list[int]()
    picture = draw_picture(own, "a red ball", steps=4, guidance=7.5, seed=3, after=told.append)
    assert picture.tobytes() == expected.tobytes()
    assert told == [0, 1, 2, 3]
    assert {type(module) for module in own.unet.modules() if isinstance(module, nn.Conv2d)} == {nn.Conv2d}


FAMILIES: dict[str, tuple[Any, type[LatentModel]]] = {
    "sd": (lambda: tiny.pipeline("epsilon"), StableDiffusion),
    "sdxl": (tiny.xl_pipeline, StableDiffusionXL),
    "sd3": (lambda: tiny_flow.sd3_pipeline(t5=False), StableDiffusion3),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_takes_six_evaluations_more_than_one_picture(family: str) -> None:
    """Counted by hooks on the network, whoever calls it: 100 and 106, fifty steps with guidance."""
    make, kind = FAMILIES[family]
    pipe = make()
    pipe.set_progress_bar_config(disable=True)
    with calls_of(getattr(pipe, "unet", None) or pipe.transformer) as theirs:
        pipe("a red ball", num_inference_steps=50, guidance_scale=7.5, output_type="latent")
    backbone = kind.from_pipeline(pipe, name="tiny")
    processor: Any = DPTImageProcessorPil(size={"height": 32, "width": 32})
    estimator = MonocularDepth(
        name="tiny-dpt", model=tiny.depth_estimator(), processor=processor, predicts="inverse-depth"
    )
    settings = preset("best", "text").changed({"guidance.scale": 7.5})
    with calls_of(backbone.network) as ours:
        made = pair_beside(text_source(backbone, estimator, Prompted(prompts=["a red ball"]), settings))
        said = sum(step.evaluations for step in made if isinstance(step, Progress))
    assert (theirs.rows, ours.rows, said) == (100, 106, 106)


def test_a_stretch_stands_for_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stereodiffusion.bench.ceiling._EDGES", (256,))
    monkeypatch.setattr("stereodiffusion.bench.ceiling._SECONDS", 0.05)
    backbone = StableDiffusion.from_pipeline(tiny.pipeline("epsilon"), name="tiny")
    one = measure_one_picture("toybox", backbone, stretch=3)
    assert (one.preset, one.evaluations, one.steps, one.stretch) == (ONE_PICTURE, 100, 50, 3)
    assert 0 < one.share < 1
    table = markdown([one, replace(one, preset="best", core_seconds=2 * one.core_seconds, seconds=one.seconds / 2)])
    assert "| 2.00 (0.50) |" in table


def test_of_several_rounds_the_fastest_counts() -> None:
    def line(preset: str, seconds: float) -> Speed:
        return Speed(
            model="toybox",
            mode="text",
            preset=preset,
            dtype="float32",
            steps=50,
            stretch=50,
            seconds=seconds,
            core_seconds=seconds,
            seconds_least=seconds,
            core_seconds_least=seconds,
            evaluations=100,
            peak_memory_mb=1.0,
            network_gflops=1.0,
            ceiling_gflops=2.0,
        )

    lines = [line(ONE_PICTURE, 3.0), line("best", 2.0), line(ONE_PICTURE, 2.5), line("best", 4.0)]
    assert [(each.preset, each.seconds) for each in fastest(lines)] == [(ONE_PICTURE, 2.5), ("best", 2.0)]


def test_random_weights_leave_the_numbering_of_tokens_alone() -> None:
    config = tiny.text_encoder(tiny.tokenizer()).config
    with init_empty_weights(include_buffers=False):
        encoder = CLIPTextModel(config)
    random_weights._fill(encoder, "cpu", torch.float32, 0)  # pyright: ignore[reportPrivateUsage]
    (numbering,) = encoder.buffers()
    assert numbering.tolist() == [list(range(tiny.TOKENS))]
