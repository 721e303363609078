"""Loads the parts of a model from a folder in diffusers' layout."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel

from stereodiffusion.models.backbones.locating import variant_of
from stereodiffusion.models.backbones.networks import load_network
from stereodiffusion.models.backbones.precision import Formats
from stereodiffusion.models.backbones.schedulers import load_flow_scheduler, load_scheduler
from stereodiffusion.models.backbones.words import load_t5_tokenizer, load_tokenizer
from stereodiffusion.models.origin import FLOWS, Family, family_in, index_of, parts_of


def load_folder(folder: Path, formats: Formats, *, depth: bool, variant: str | None) -> dict[str, Any]:
    """The parts that the method uses, by the names that the model's class takes them by.

    Args:
        folder: The model's.
        formats: In which precision.
        depth: Whether a sibling of the network that takes a depth map, `unet_depth`, is preferred.
        variant: Which of several copies of the weights; the full one, or else what there is, if None.

    Raises:
        ModelError: If a part is not what it should be.
    """

    def network(kind: Any, weights: str, dtype: torch.dtype) -> Any:
        return load_network(kind, folder, weights, variant_of(folder, weights, variant) or "", dtype)

    family = family_in(folder)
    predicts: dict[str, Any]
    if family in FLOWS:
        kind = SD3Transformer2DModel if family == "sd3" else FluxTransformer2DModel
        scheduler = load_flow_scheduler(folder / "scheduler", folder)
        predicts = {"transformer": network(kind, "transformer/diffusion_pytorch_model", formats.network)}
    else:
        unet = "unet_depth" if depth and (folder / "unet_depth").is_dir() else "unet"
        scheduler = load_scheduler(folder / "scheduler", folder)
        predicts = {"unet": network(UNet2DConditionModel, f"{unet}/diffusion_pytorch_model", formats.network)}
    return {
        "scheduler": scheduler,
        **_reading(folder, family, partial(network, dtype=formats.network)),
        "vae": network(AutoencoderKL, "vae/diffusion_pytorch_model", formats.autoencoder),
        **predicts,
        **({"zero_unconditional": _zeros(folder)} if family == "sdxl" else {}),
    }


def _reading(folder: Path, family: Family, network: Callable[..., Any]) -> dict[str, Any]:
    """The text encoders and their tokenizers."""
    parts: dict[str, Any] = {}
    for number, kind in _ENCODERS[family].items():
        encoder, tokenizer = f"text_encoder{number}", f"tokenizer{number}"
        if encoder not in parts_of(folder):
            continue
        parts[encoder] = network(kind, f"{encoder}/model")
        load = load_t5_tokenizer if kind is T5EncoderModel else load_tokenizer
        parts[tokenizer] = load(folder, tokenizer, rows=parts[encoder].config.vocab_size)
    return parts


_ENCODERS: dict[Family, dict[str, Any]] = {
    "sd": {"": CLIPTextModel},
    "sdxl": {"": CLIPTextModel, "_2": CLIPTextModelWithProjection},
    "sd3": {"": CLIPTextModelWithProjection, "_2": CLIPTextModelWithProjection, "_3": T5EncoderModel},
    "flux": {"": CLIPTextModel, "_2": T5EncoderModel},
}
"""The classes of the text encoders, by what their names end in."""


def _zeros(folder: Path) -> bool:
    """Whether an empty negative prompt is zeros."""
    return bool(index_of(folder).get("force_zeros_for_empty_prompt", True))
