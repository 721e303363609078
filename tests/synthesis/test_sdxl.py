"""Text and photo mode on a tiny SDXL."""

from dataclasses import replace

import pytest
import torch
from tests import tiny
from torch import Tensor

from stereodiffusion.backbones import StableDiffusion, StableDiffusionXL
from stereodiffusion.config import StereoConfig, preset
from stereodiffusion.depth import MonocularDepth
from stereodiffusion.geometry import Disparity
from stereodiffusion.synthesis import photo_to_stereo, text_to_stereo
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
    config = replace(preset("paper" if name == "paper" else "fast", "text"), steps=STEPS)
    prompts = ["a red ball", "a blue cube"]
    run = Run(text_to_stereo(backbone, estimator, prompts, negative="a grey wall", config=config))
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
    [replace(preset("fast", "photo"), steps=STEPS), replace(preset("paper", "photo"), steps=4)],
    ids=["ddim", "null-text"],
)
def test_photo_makes_a_pair_of_the_photos_size(
    config: StereoConfig, backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    pair = Run(photo_to_stereo(backbone, photo, disparity, prompts=["a red ball"], config=config)).result
    assert pair.size == (96, 160)
    assert pair.right.isfinite().all()
    assert (pair.left - pair.right).abs().max() > 0.01
