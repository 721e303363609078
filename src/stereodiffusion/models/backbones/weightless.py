"""Networks of published sizes that hold no weights at all: what they take of memory can be counted.

Under PyTorch's `FakeTensorMode` tensors have a shape and a format and no content. A call of a network then computes
nothing, yet makes and drops the same tensors.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from stereodiffusion.models.backbones.random_weights import settings_in
from stereodiffusion.models.backbones.single_file import SETTINGS
from stereodiffusion.models.backbones.tiling import save_memory

Family: TypeAlias = Literal["sd1", "sd2", "sdxl"]

_POOLED, _SIZES, _TOKENS = 1280, 6, 77  # of SDXL's second encoder; numbers that it is told; of a prompt


@dataclass(frozen=True, slots=True)
class Weightless:
    """The parts of a model as `auto` loads them for CUDA: float16, the autoencoder in float32.

    Attributes:
        parts: The networks by name.
        calls: What a pair asks of them, by the part that works: a prediction with guidance, one picture decoded and
            encoded, a prompt read.
    """

    parts: Mapping[str, nn.Module]
    calls: Mapping[str, Callable[[], object]]


@contextmanager
def weightless(family: Family, edge: int, *, tiles: bool = False) -> Generator[Weightless]:
    """A model without weights, and tensors without content while it is in use.

    Args:
        family: Stable Diffusion 1.x, 2.x or XL.
        edge: Of its square pictures, in pixels.
        tiles: Whether the autoencoder works in tiles.
    """
    with FakeTensorMode(), torch.no_grad():
        parts = _parts(family)
        if tiles:
            save_memory(cast(AutoencoderKL, parts["vae"]))
        yield Weightless(parts, _calls(cast(Any, parts), edge))


def _parts(family: Family) -> dict[str, nn.Module]:
    folder = SETTINGS / family

    def made(part: str, dtype: torch.dtype, make: Callable[[dict[str, Any]], Any]) -> nn.Module:
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            return make(settings_in(folder / part)).eval()
        finally:
            torch.set_default_dtype(before)

    parts = {
        "unet": made("unet", torch.float16, cast(Any, UNet2DConditionModel).from_config),
        "vae": made("vae", torch.float32, cast(Any, AutoencoderKL).from_config),
        "text_encoder": made("text_encoder", torch.float16, lambda known: CLIPTextModel(CLIPTextConfig(**known))),
    }
    if family == "sdxl":
        parts["text_encoder_2"] = made(
            "text_encoder_2", torch.float16, lambda known: CLIPTextModelWithProjection(CLIPTextConfig(**known))
        )
    return parts


def _calls(parts: Mapping[str, Any], edge: int) -> dict[str, Callable[[], object]]:
    unet, vae, cells = parts["unet"], parts["vae"], edge // 8
    half = torch.float16
    told = {"text_embeds": torch.zeros(2, _POOLED, dtype=half), "time_ids": torch.zeros(2, _SIZES, dtype=half)}
    latents = torch.zeros(2, unet.config.in_channels, cells, cells, dtype=half)
    tokens = torch.zeros(2, _TOKENS, unet.config.cross_attention_dim, dtype=half)
    read = {
        name: lambda part=part: part(torch.zeros(2, _TOKENS, dtype=torch.long), output_hidden_states=True)
        for name, part in parts.items()
        if name.startswith("text_encoder")
    }
    return {
        "unet": lambda: unet(latents, torch.tensor(500), tokens, added_cond_kwargs=told),
        "vae": lambda: (vae.decode(torch.zeros(1, 4, cells, cells)), vae.encode(torch.zeros(1, 3, edge, edge))),
        **read,
    }
