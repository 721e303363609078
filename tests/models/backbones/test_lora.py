"""LoRAs that a pipeline carries are used, and gone when they are taken out; diffusers loads them through PEFT."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from tests import tiny
from torch import Tensor
from transformers import DPTImageProcessorPil

from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis import StereoDiffusion
from stereodiffusion.synthesis.noise import seeded_noise

pytest.importorskip("peft", reason="left out: peft is not installed")

CHANGES = {"sampling.steps": 6}
CONFIG = preset("fast", "text").changed(CHANGES)
PROMPT = "a red ball on a wooden table"
NETWORK, TEXT_ENCODER = ("attn1.to_q", "attn1.to_v", "attn2.to_k", "to_out.0"), ("q_proj", "v_proj")


@pytest.fixture
def pipe() -> Any:
    """A text pipeline that draws in the steps of the method."""
    pipe = tiny.pipeline()
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, steps_offset=1, set_alpha_to_one=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def model(pipe: Any, tmp_path: Path) -> StereoDiffusion:
    """The method around that pipeline, before any LoRA is in it."""
    tiny.depth_estimator().save_pretrained(tmp_path)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    made = StereoDiffusion(pipe, depth_estimator=tmp_path)
    assert made.backbone.attention_places
    return made


def lora(pipe: Any, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """A LoRA of rank 4 as they are published, for the layers of network and text encoder whose names end so."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, Tensor] = {}
    for part in ("unet", "text_encoder"):
        for name, layer in getattr(pipe, part).named_modules():
            if name.endswith(layers):
                rows, columns = layer.weight.shape
                found[f"{part}.{name}.lora_A.weight"] = torch.randn(4, columns, generator=generator)
                found[f"{part}.{name}.lora_B.weight"] = torch.randn(rows, 4, generator=generator) / 4
    return found


def eyes(model: StereoDiffusion) -> Tensor:
    pair = model.text(PROMPT, preset="fast", changes=CHANGES, seed=1)
    return torch.cat([pair.left, pair.right])


def by_diffusers(pipe: Any, model: StereoDiffusion) -> Tensor:
    """What the pipeline itself draws from the same noise."""
    start, _ = seeded_noise(model.backbone, 1, 1, model.backbone.native_size)
    return pipe(
        PROMPT,
        latents=start,
        num_inference_steps=CONFIG.sampling.steps,
        guidance_scale=CONFIG.guidance.scale,
        output_type="pt",
    ).images


@pytest.mark.parametrize("layers", [NETWORK, TEXT_ENCODER, NETWORK + TEXT_ENCODER])
def test_it_changes_both_eyes_and_unloading_restores_them(
    layers: tuple[str, ...], pipe: Any, model: StereoDiffusion
) -> None:
    plain = eyes(model)
    pipe.load_lora_weights(lora(pipe, layers), adapter_name="style")
    styled = eyes(model)
    assert ((styled - plain).abs().mean(dim=(1, 2, 3)) > 0.005).all()
    torch.testing.assert_close(styled[:1], by_diffusers(pipe, model), rtol=0, atol=1e-4)
    pipe.unload_lora_weights()
    assert torch.equal(eyes(model), plain)


def test_its_weight_counts_and_without_any_it_is_not_there(pipe: Any, model: StereoDiffusion) -> None:
    plain = eyes(model)
    pipe.load_lora_weights(lora(pipe, NETWORK), adapter_name="style")
    change: list[float] = []
    for weight in (0.0, 0.3, 1.0):
        pipe.set_adapters(["style"], [weight])
        change.append(float((eyes(model) - plain).abs().mean()))
    assert change[0] < 1e-6
    assert change[0] < change[1] < change[2]


def test_fused_it_draws_the_same(pipe: Any, model: StereoDiffusion) -> None:
    pipe.load_lora_weights(lora(pipe, NETWORK), adapter_name="style")
    beside = eyes(model)
    pipe.fuse_lora()
    torch.testing.assert_close(eyes(model), beside, rtol=0, atol=1e-3)
