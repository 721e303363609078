"""Networks for inpainting, held against diffusers' own pipeline and against the network they were grown from."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image
from tests import tiny
from tests.making import photo_pair, text_pair
from torch import Tensor

from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis import Run
from stereodiffusion.synthesis.holes import all_known, around_holes
from stereodiffusion.synthesis.noise import seeded_noise

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

BEST = preset("best", "photo").changed({"sampling.steps": 6, "shift.at": 0.0, "views.attention.start": 0.0})


def certain() -> StableDiffusionInpaintPipeline:
    """An inpainting pipeline whose autoencoder draws no noise: diffusers samples where the method takes means."""
    pipe = cast(StableDiffusionInpaintPipeline, tiny.pipeline("inpainting"))
    with torch.no_grad():
        pipe.vae.quant_conv.weight[4:] = 0
        pipe.vae.quant_conv.bias[4:] = -30
    return pipe


def grown(backbone: StableDiffusion) -> StableDiffusion:
    """The same model with a network for inpainting that does not care what it is told."""
    pipe = tiny.pipeline("inpainting")
    weights = backbone.unet.state_dict()
    first = torch.zeros_like(pipe.unet.conv_in.weight)
    first[:, :4] = weights["conv_in.weight"]
    pipe.unet.load_state_dict({**weights, "conv_in.weight": first})
    return StableDiffusion.from_pipeline(pipe, name="grown")


def drawn(tensor: Tensor) -> Image.Image:
    """One picture or mask in eight bits."""
    levels = (255 * tensor[0]).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(levels if levels.shape[2] == 3 else levels[..., 0])


def test_holes_and_what_is_around_them_are_what_diffusers_tells_its_networks() -> None:
    pipe = certain()
    backbone = StableDiffusion.from_pipeline(pipe)
    generator = torch.Generator().manual_seed(0)
    picture = (255 * torch.rand(1, 3, 64, 64, generator=generator)).round() / 255
    holes = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    holes[..., 16:40, 8:24] = True  # whole cells: diffusers looks at one pixel of each
    masked = torch.where(holes, 0, 2 * picture - 1)
    mask, around = cast(Any, pipe).prepare_mask_latents(
        holes.float(), masked, 1, 64, 64, torch.float32, torch.device("cpu"), generator, False
    )
    torch.testing.assert_close(around_holes(backbone, picture, holes), torch.cat([mask, around], 1), atol=1e-5, rtol=0)


def test_a_cell_with_one_hidden_pixel_is_in_a_hole() -> None:
    backbone = StableDiffusion.from_pipeline(certain())
    holes = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    holes[..., 17, 15] = True
    cells = around_holes(backbone, torch.rand(1, 3, 64, 64), holes)[0, 0]
    assert cells.nonzero().tolist() == [[2, 1]]


def test_what_lies_in_holes_is_not_told() -> None:
    backbone = StableDiffusion.from_pipeline(certain())
    holes = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    holes[..., 10:30, 20:50] = True
    picture = torch.rand(1, 3, 64, 64)
    other = torch.where(holes, torch.rand(1, 3, 64, 64), picture)
    assert torch.equal(around_holes(backbone, picture, holes), around_holes(backbone, other, holes))


def test_a_picture_from_text_is_what_diffusers_draws_where_all_is_hole(estimator: MonocularDepth) -> None:
    pipe = certain()
    backbone = StableDiffusion.from_pipeline(pipe)
    settings = preset("best", "text").changed({"sampling.steps": 5, "sampling.solver": "ddim"})
    pair = Run(text_pair(backbone, estimator, ["a red ball"], settings=settings, seed=3)).result
    start, _ = seeded_noise(backbone, 3, 1, (64, 64))
    expected: Any = cast(Any, pipe)(
        "a red ball",
        image=Image.new("RGB", (64, 64)),
        mask_image=Image.new("L", (64, 64), 255),
        strength=1.0,
        num_inference_steps=5,
        guidance_scale=settings.guidance.scale,
        latents=start,
        output_type="np",
    )
    np.testing.assert_allclose(pair.left[0].permute(1, 2, 0).numpy(), expected.images[0], atol=2e-4)


@pytest.mark.parametrize(
    "changes", [{}, {"picture.crops": 3}, {"guidance.scale": 4.0}], ids=["whole", "crops", "guided"]
)
def test_a_network_that_does_not_care_makes_what_it_was_grown_from_makes(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor, changes: dict[str, object]
) -> None:
    pairs: list[Tensor] = []
    for backbone in (text_backbone, grown(text_backbone)):
        run = photo_pair(
            backbone, photo, Disparity.from_pixels(disparity_px), prompts=["a box"], settings=BEST.changed(changes)
        )
        pairs.append(Run(run).result.right)
    torch.testing.assert_close(*pairs, atol=1e-5, rtol=0)


def test_the_view_is_told_of_its_holes_and_the_photo_that_it_has_none(photo: Tensor, disparity_px: Tensor) -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline("inpainting"), name="tiny-inpainting")
    seen: list[Tensor] = []
    handle = backbone.unet.register_forward_pre_hook(lambda _, args: seen.append(args[0][:, 4:]))
    run = Run(photo_pair(backbone, photo, Disparity.from_pixels(disparity_px), settings=BEST))
    occlusion = run.result.occlusion
    handle.remove()
    back, view = seen[:5], seen[-5:]
    assert all(torch.equal(each, back[0]) for each in back)
    assert all(torch.equal(each, view[0]) for each in view)
    assert torch.equal(all_known(back[0][:, 1:]), back[0])
    assert 0 < float(view[0][:, 0].mean()) < 0.5
    assert float(view[0][:, 0].mean()) >= float(occlusion.float().mean())
    torch.testing.assert_close(view[0][:, 1:, -1, 0], back[0][:, 1:, -1, 0], atol=0.5, rtol=0)


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_published_ways_of_moving_cells_work_with_them_or_say_why_not(
    name: Any, photo: Tensor, disparity_px: Tensor
) -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline("inpainting"), name="tiny-inpainting")
    settings: Settings = preset(name, "photo").changed({"sampling.steps": 4})
    made = photo_pair(backbone, photo, Disparity.from_pixels(disparity_px), settings=settings)
    if name == "paper":
        with pytest.raises(ConfigError, match="tiny-inpainting is one for inpainting: expected preset fast or best"):
            _ = Run(made).result
    else:
        assert bool(Run(made).result.right.isfinite().all())


def test_a_network_for_inpainting_refuses_to_work_in_the_dark() -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline("inpainting"), name="tiny-inpainting")
    with pytest.raises(ModelError, match=r"expected 5 channels \(holes, and what is around them\) beside the latents"):
        backbone.predict(torch.zeros(1, 4, 8, 8), 5, backbone.embed([""]))
