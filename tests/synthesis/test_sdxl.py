"""Text and photo mode on a tiny SDXL."""

import pytest
import torch
from tests import tiny
from tests.making import photo_pair, text_pair
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion, StableDiffusionXL
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.run import Run

STEPS = 6


@pytest.fixture(scope="module")
def backbone() -> StableDiffusion:
    return StableDiffusionXL.from_pipeline(tiny.xl_pipeline(), name="tiny-xl")


@pytest.mark.parametrize("name", ["paper", "fast"])
def test_text_makes_pairs_at_the_models_size_and_leaves_it_as_it_was(
    name: str, backbone: StableDiffusion, estimator: MonocularDepth
) -> None:
    before = {key: tensor.clone() for key, tensor in backbone.unet.state_dict().items()}
    config = preset("paper" if name == "paper" else "fast", "text").changed({"sampling.steps": STEPS})
    prompts = ["a red ball", "a blue cube"]
    run = Run(text_pair(backbone, estimator, prompts, negative="a grey wall", settings=config))
    evaluations = sum(progress.evaluations for progress in run)
    pair = run.result
    assert pair.left.shape == pair.right.shape == (2, 3, 128, 128)
    assert pair.right.isfinite().all()
    assert (pair.left - pair.right).abs().max() > 0.01
    # Two pictures with guidance: the left, then both views again, or the right alone after step index 1.
    assert evaluations == 2 * (2 * STEPS + (4 * STEPS if name == "paper" else 2 * (STEPS - 2)))
    assert not tiny.patched(backbone.unet)
    assert all(torch.equal(before[key], tensor) for key, tensor in backbone.unet.state_dict().items())


@pytest.mark.parametrize(
    "config",
    [
        preset("fast", "photo").changed({"sampling.steps": STEPS}),
        preset("paper", "photo").changed({"sampling.steps": 4}),
    ],
    ids=["ddim", "null-text"],
)
def test_photo_makes_a_pair_of_the_photos_size(
    config: Settings, backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    pair = Run(photo_pair(backbone, photo, disparity, prompts=["a red ball"], settings=config)).result
    assert pair.size == (96, 160)
    assert pair.right.isfinite().all()
    assert (pair.left - pair.right).abs().max() > 0.01
