"""Networks of published sizes with random weights: what they cost can be measured without downloading them.

They are built from the configuration files of the families. What they draw is noise.
"""

import json
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from stereodiffusion.models.backbones.precision import formats_for
from stereodiffusion.models.backbones.schedulers import stable_diffusion_scheduler
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.single_file import SETTINGS, clip_tokenizer
from stereodiffusion.models.backbones.streamlining import streamline, streamline_autoencoder
from stereodiffusion.settings import PrecisionChoice

Size: TypeAlias = Literal["sd1", "sd2-depth"]
"""Stable Diffusion 1.x; or 2.x with a depth map as the network's fifth channel, as SD2-depth has it."""

_PIXELS_PER_LATENT = 8
_BLOCK = 2**20
"""So many numbers are drawn and repeated: drawing a billion takes minutes, and costs do not depend on them."""


def random_backbone(
    size: Size,
    *,
    device: torch.device | str = "cpu",
    dtype: PrecisionChoice = "float32",
    seed: int = 0,
    edge: int | None = None,
) -> StableDiffusion:
    """A network of a published size that was never trained.

    Args:
        size: Which.
        device: Where it runs.
        dtype: In which precision.
        seed: Of the weights.
        edge: Of its pictures in pixels; None is the published one's.
    """
    settings = SETTINGS / ("sd1" if size == "sd1" else "sd2")
    formats = formats_for(dtype, device)
    changed: dict[str, int] = {"in_channels": 4 if size == "sd1" else 5}
    if edge is not None:
        changed["sample_size"] = edge // _PIXELS_PER_LATENT
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(settings_in(settings / "unet") | changed)
        vae = AutoencoderKL.from_config(settings_in(settings / "vae"))
    with init_empty_weights(include_buffers=False):  # its numbering of the tokens is no weight
        text_encoder = CLIPTextModel(CLIPTextConfig(**settings_in(settings / "text_encoder")))
    networks = ((unet, formats.network), (vae, formats.autoencoder), (text_encoder, formats.network))
    for network, precision in networks:
        _fill(cast(nn.Module, network), device, precision, seed)
    if torch.device(device).type == "cpu":
        streamline(cast(nn.Module, unet))
        streamline_autoencoder(cast(nn.Module, vae))
    return StableDiffusion(
        vae=cast(Any, vae),
        unet=cast(Any, unet),
        text_encoder=text_encoder,
        tokenizer=clip_tokenizer(pad_token="<|endoftext|>"),
        scheduler=stable_diffusion_scheduler("epsilon"),
        name=f"{size}-sized, random weights",
    )


def settings_in(folder: Path) -> dict[str, Any]:
    """What a configuration file says."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _fill(network: nn.Module, device: torch.device | str, dtype: torch.dtype, seed: int) -> None:
    """Weights that keep the scale of what goes through, norms that do nothing, biases of zero."""
    if any(parameter.is_meta for parameter in network.parameters()):
        kept = {name: buffer for name, buffer in network.named_buffers() if not buffer.is_meta}
        network.to_empty(device=device)  # buffers, too: what they hold is lost
        for name, buffer in network.named_buffers():
            if name in kept:
                buffer.copy_(kept[name])
    nn.Module.to(network, device, dtype)  # diffusers' own warns about formats it would rather be asked for on loading
    network.requires_grad_(False).eval()
    drawn = torch.randn(_BLOCK, generator=torch.Generator().manual_seed(seed)).to(device, dtype)
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)
            continue
        flat, scale = weight.view(-1), weight[0].numel() ** -0.5
        for start in range(0, flat.numel(), _BLOCK):
            part = flat[start : start + _BLOCK]
            part.copy_(drawn[: part.numel()] * scale)
    if dtype != torch.float32:
        cast(Any, network).to(memory_format=torch.channels_last)
