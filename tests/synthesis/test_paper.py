"""The preset `paper`, whole: photo mode from pixels to the last latent, beside the authors' method written out."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from diffusers import DDIMScheduler
from tests import tiny
from tests.diffusion import literal
from tests.making import depth_pair, photo_pair
from torch.nn.functional import interpolate

from stereodiffusion.diffusion.denoise import Step
from stereodiffusion.diffusion.source import Source, Target
from stereodiffusion.diffusion.views import both_views, split_views
from stereodiffusion.geometry import Disparity, paper_disparity, splat
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis import stereo
from stereodiffusion.synthesis.run import Run

STEPS = 10
"""Of the preset's 50: each is like the others, and each costs twenty evaluations of the optimised embedding."""


@pytest.fixture
def joint(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a joint run was given, and the steps it took."""
    seen: dict[str, Any] = {"steps": []}

    def watched(source: Source, target: Target) -> Iterator[Step]:
        seen["start"], seen["given"], seen["cells"] = source.trajectory.latents[0], source.given, target.cells
        for step in both_views(source, target):
            seen["steps"].append(step)
            yield step

    monkeypatch.setattr(stereo, "both_views", watched)
    return seen


def test_photo_mode_is_the_authors_at_every_step(joint: dict[str, Any]) -> None:
    """In double precision: an inverted path through a random network makes much of rounding."""
    pipe: Any = tiny.pipeline("epsilon")
    for network in (pipe.unet, pipe.vae):
        network.to(torch.float64)
    backbone = StableDiffusion.from_pipeline(pipe, name="tiny")
    generator = torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, 32, 128, generator=generator).double()
    near = torch.linspace(1, 4, 32)[:, None].expand(32, 128).clone()
    near[8:24, 48:88] = 11
    config = preset("paper", "photo").changed({"sampling.steps": STEPS})
    made = Run(photo_pair(backbone, photo, Disparity.from_pixels(near), settings=config)).result

    # Stable Diffusion's scheduler as photo mode has it: t = 900 ... 0, and what follows is level 0, not 1.
    scheduler = cast(Any, DDIMScheduler).from_config(pipe.scheduler.config, steps_offset=0)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    scheduler.set_timesteps(STEPS)
    assert scheduler.timesteps.tolist() == list(range(900, -1, -100))
    empty = backbone.embed([""]).tokens.double()
    with torch.no_grad():
        z = z_0 = pipe.vae.encode(2 * photo - 1).latent_dist.mean * 0.18215
        levels = scheduler.alphas_cumprod
        for t in range(0, 1000, 100):  # Eq. 9 from the level below, with the conditional embedding and w = 1
            below, here = levels[max(t - 100, 0)], levels[t]
            noise = pipe.unet(z, t, encoder_hidden_states=empty).sample
            z = here.sqrt() * (z - (1 - below).sqrt() * noise) / below.sqrt() + (1 - here).sqrt() * noise
    torch.testing.assert_close(joint["start"], z, rtol=1e-8, atol=1e-8)

    # Their embeddings are optimised by Adam, which turns rounding into whole steps: ours are handed over.
    found = [given.unconditional.tokens.double() for given in joint["given"]]
    assert len({tuple(tokens.flatten().tolist()) for tokens in found}) > 1
    near = near[None, None]
    start = joint["start"]
    theirs = literal.run(pipe.unet, scheduler, start, found, empty, near, offset=0, guidance=7.5, steps=STEPS)
    assert len(joint["steps"]) == len(theirs) == STEPS
    for step, (left, right) in zip(joint["steps"], theirs, strict=True):
        our_left, our_right = split_views(step.latents)
        torch.testing.assert_close(our_left, left, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(our_right, right, rtol=1e-8, atol=1e-8)

    # The left is the reconstruction, not the photo; the last step is the identity.
    reconstruction = theirs[-1][0]
    torch.testing.assert_close(made.left, backbone.decode(reconstruction), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(theirs[-1][0], theirs[-2][0], rtol=1e-10, atol=1e-10)
    assert made.provenance["left_latent_mse"] == pytest.approx(float((reconstruction - z_0).square().mean()), rel=1e-2)


@pytest.mark.parametrize("map_size", [(50, 70), (64, 96), (200, 301)])
def test_a_map_of_another_size_comes_to_the_latents_at_once(joint: dict[str, Any], map_size: tuple[int, int]) -> None:
    """The authors resize the map itself, not a copy that was brought to the picture's size first."""
    backbone = StableDiffusion.from_pipeline(tiny.pipeline("depth"), name="tiny")
    relief = torch.rand(map_size, generator=torch.Generator().manual_seed(1)).square()
    config = preset("paper", "depth").changed({"sampling.steps": 3})
    made = Run(depth_pair(backbone, Disparity.from_pixels(relief), ["a red ball"], settings=config)).result
    grid = made.size[0] // 8, made.size[1] // 8
    moved = paper_disparity(Disparity.from_pixels(relief), max_disparity=0.08, height=grid[0], width=grid[1])
    expected = splat(torch.zeros_like(moved.pixels), moved, mode="paper").source
    assert torch.equal(joint["cells"].source, expected)
    direct = interpolate(relief[None, None], size=grid, mode="bicubic", align_corners=False)
    unit = (direct - direct.min()) / (direct.max() - direct.min())
    torch.testing.assert_close(joint["given"][0].concat[:1], 2 * unit - 1, atol=1e-5, rtol=0)
