"""diffusers' own pipeline around a model's parts: one picture, drawn as everybody else draws it, to compare with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn

from stereodiffusion.models.backbones.quiet import quiet
from stereodiffusion.models.backbones.sd import StableDiffusion

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

AfterStep: TypeAlias = Callable[[int], None]
"""Is told the number of each step that was taken, from 0."""


def own_pipeline(model: StableDiffusion) -> "StableDiffusionPipeline":
    """The same weights in diffusers' own network, whose layers and memory layout are as diffusers loads them.

    Nothing of the model is changed. There is no safety checker, and the autoencoder runs in the network's precision.

    Args:
        model: Conditioned on text alone.
    """
    with quiet():  # of its picture processors, which are not used, it tells what they lack
        from diffusers import StableDiffusionPipeline

    unet = _plain(UNet2DConditionModel, model.network, model.dtype)
    vae = _plain(AutoencoderKL, cast(nn.Module, model.vae), model.dtype)
    alphas = model.alphas.cpu()
    betas = 1 - alphas / torch.cat([alphas.new_ones(1), alphas[:-1]])
    scheduler = DDIMScheduler(
        num_train_timesteps=len(betas),
        trained_betas=betas.tolist(),
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=cast(Any, model.prediction),
    )
    pipe = StableDiffusionPipeline(
        vae=cast(Any, vae),
        text_encoder=model.text_encoder,
        tokenizer=model.tokenizer,
        unet=cast(Any, unet),
        scheduler=cast(Any, scheduler),
        safety_checker=cast(Any, None),
        feature_extractor=cast(Any, None),
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _plain(kind: Any, network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The weights of a network in the layers that diffusers makes of its configuration."""
    with torch.device("meta"):
        plain: nn.Module = kind.from_config(cast(Any, network).config)
    plain.load_state_dict(network.state_dict(), assign=True)
    nn.Module.to(plain, dtype)  # diffusers' own warns about formats it would rather be asked for on loading
    cast(Any, plain).to(memory_format=torch.contiguous_format)
    return plain.requires_grad_(False).eval()


def draw_picture(
    pipe: "StableDiffusionPipeline", prompt: str, *, steps: int, guidance: float, seed: int = 0, after: AfterStep
) -> Any:
    """One picture of the network's own size, as PIL has it, drawn by the pipeline alone.

    Args:
        pipe: Of `own_pipeline`.
        prompt: What is drawn.
        steps: Of DDIM.
        guidance: Scale of classifier-free guidance.
        seed: Of the noise.
        after: Is called after each step.
    """

    def told(_pipe: object, step: int, _timestep: object, values: dict[str, Any]) -> dict[str, Any]:
        after(step)
        return values

    return cast(Any, pipe)(
        prompt,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(seed),
        callback_on_step_end=told,
    ).images[0]
