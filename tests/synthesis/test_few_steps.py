"""`best` in few steps, on the topologies that are distilled for them, and on transformers: what it costs and keeps."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
import torch
from tests import tiny, tiny_flow
from tests.making import photo_pair, text_pair
from torch import Tensor

from stereodiffusion.bench.tools import CountingBackbone
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import Flux, StableDiffusion3, StableDiffusionXL
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.run import Run


def xl_consistency_model() -> LatentModel:
    """SDXL distilled to be a latent consistency model: its network is told the guidance scale."""
    pipe: Any = tiny.xl_pipeline()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipe.unet = cast(Any, type(pipe.unet)).from_config(pipe.unet.config, time_cond_proj_dim=16).eval()
    return StableDiffusionXL.from_pipeline(pipe, name="tiny-xl-lcm")


def built(name: str) -> LatentModel:
    if name == "lcm":
        return xl_consistency_model()
    if name == "turbo":
        return StableDiffusionXL.from_pipeline(tiny.xl_pipeline(), name="tiny-xl-turbo")
    if name == "sd3":
        return StableDiffusion3.from_pipeline(tiny_flow.sd3_pipeline(t5=False), name="tiny-sd3")
    return Flux.from_pipeline(tiny_flow.flux_pipeline(guidance=name == "dev"), name=f"tiny-{name}")


TURBO = {"guidance.scale": 1.0, "sampling.spacing": "trailing"}
"""As its card says; the others say the guidance alone."""


@pytest.mark.parametrize(
    ("name", "steps", "changes", "evaluations"),
    [
        # The left's steps, and one of the right's beside its known part; twice that with guidance.
        ("turbo", 4, TURBO, 4 + 1),
        ("lcm", 8, {"sampling.solver": "lcm"}, 8 + 1),
        ("schnell", 4, {"guidance.scale": 1.0}, 4 + 1),
        ("sd3", 4, {"guidance.scale": 4.0}, 2 * (4 + 1)),
    ],
)
def test_best_in_few_steps_costs_one_step_more(
    name: str, steps: int, changes: Mapping[str, object], evaluations: int, estimator: MonocularDepth
) -> None:
    counting = CountingBackbone(built(name))
    config = preset("best", "text").changed({"sampling.steps": steps, **changes})
    run = Run(text_pair(counting, estimator, ["a red ball"], settings=config))
    told = sum(progress.evaluations for progress in run)
    pair = run.result
    assert told == counting.evaluations == evaluations
    assert pair.size == (128, 128)
    assert 0 < pair.occlusion.float().mean() < 0.5
    assert pair.right.isfinite().all()
    assert (pair.left - pair.right).abs().max() > 0.01


@pytest.mark.parametrize("name", ["sd3", "dev"])
def test_a_photo_comes_back_whatever_the_model(name: str, photo: Tensor, disparity_px: Tensor) -> None:
    counting, disparity = CountingBackbone(built(name)), Disparity.from_pixels(disparity_px)
    config = preset("best", "photo").changed({"sampling.steps": 5})
    pair = Run(photo_pair(counting, photo, disparity, prompts=["a red ball"], settings=config)).result
    assert counting.evaluations == 5 + 1  # the inversion, and one of the right's
    assert torch.equal(pair.left, photo)
    if name == "dev":
        return
    decoded = config.changed({"picture": "decoded", "views.resync.how": "copy"})
    made = Run(photo_pair(counting, photo, disparity, prompts=["a red ball"], settings=decoded)).result
    assert cast(float, made.provenance["left_latent_mse"]) == 0  # retraced to the end, however few the steps


def test_null_text_wants_a_model_with_an_unconditional_prompt(photo: Tensor, disparity_px: Tensor) -> None:
    run = photo_pair(
        built("dev"), photo, Disparity.from_pixels(disparity_px), prompts=[""], settings=preset("paper", "photo")
    )
    with pytest.raises(ConfigError, match="tiny-dev has its guidance built in and takes none"):
        next(run)
