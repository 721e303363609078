"""Loads a diffusion model: the embedded one, by name, from a folder, from a file, or around a pipeline.

Only safetensors are read: a pickle can run code while it is loaded. Of a model only the parts that the method uses
are loaded; a safety checker or a depth estimator beside them stays where it is.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from stereodiffusion.devices import check_device
from stereodiffusion.diffusion.backbone import empty_concat
from stereodiffusion.errors import ModelError, StereoDiffusionError, first_line
from stereodiffusion.models.alone import LOADING
from stereodiffusion.models.backbones.families import family_of
from stereodiffusion.models.backbones.folders import load_folder
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.models.backbones.locating import locate
from stereodiffusion.models.backbones.offloading import place
from stereodiffusion.models.backbones.precision import Formats, formats_for
from stereodiffusion.models.backbones.quiet import quiet
from stereodiffusion.models.backbones.single_file import load_single_file
from stereodiffusion.models.backbones.streamlining import streamline, streamline_autoencoder
from stereodiffusion.models.backbones.tiling import save_memory
from stereodiffusion.models.hub import DEFAULT, Hub
from stereodiffusion.models.memory import PLENTY, Memory
from stereodiffusion.models.origin import EMBEDDED, EXPECTED, FLOWS, family_in
from stereodiffusion.settings import PrecisionChoice, Sampling

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


def load_backbone(
    model: "str | Path | DiffusionPipeline",
    *,
    device: torch.device | str = "cpu",
    dtype: PrecisionChoice | torch.dtype = "float32",
    depth: bool = False,
    hub: Hub = DEFAULT,
    memory: Memory = PLENTY,
) -> LatentModel:
    """A diffusion model, ready to be used.

    Args:
        model: `toybox` (embedded), a name of `stereodiffusion models`, a repository of the hub
            (`organisation/name` or `organisation/name@revision`), a folder in diffusers' layout, a `.safetensors` file,
            or a pipeline of diffusers.
        device: Where it runs. A pipeline stays where it is.
        dtype: In which precision, by name or as torch's own; `auto` is the fastest that the device is good at. A
            pipeline keeps its own, and its memory layout; what is loaded here in half precision is channels last, and
            for the processor the network is streamlined.
        depth: Whether it must take a depth map. A folder may hold a sibling of the network that does, `unet_depth`.
        hub: Which of a model's revisions and variants, and how it is fetched.
        memory: What is done for a device with little memory; a pipeline keeps its own ways.

    Raises:
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If it is of the wrong kind, incomplete or pickled.
        ConfigError: If there is no such precision or device.
    """
    check_device(device)
    formats_for(dtype, device)  # a precision that there is not is refused before anything is fetched
    if isinstance(model, str | Path):
        name, path = locate(model, hub)
        with LOADING, quiet(), as_model_errors(name):
            formats = formats_for(dtype, device, wide=path.is_dir() and family_in(path) in FLOWS)
            parts = _parts(path, formats, depth=depth, variant=hub.variant)
            backbone = family_of(parts)(**parts, **_vocabulary(name), name=name)
            _settle(parts, formats, device, memory)
            _try_out(backbone)
    else:
        backbone = family_of(model.components).from_pipeline(model)
    if depth and not backbone.depth_conditioned:
        raise ModelError(f"{backbone.name} takes no depth map; {EMBEDDED} and sd2-depth do")
    return backbone


def _parts(path: Path, formats: Formats, *, depth: bool, variant: str | None) -> dict[str, Any]:
    """The parts of a model in a folder or a file."""
    return (
        load_folder(path, formats, depth=depth, variant=variant) if path.is_dir() else load_single_file(path, formats)
    )


def _settle(parts: Mapping[str, Any], formats: Formats, device: torch.device | str, memory: Memory) -> None:
    """Bring networks to the device, in the layout in which they are fastest there."""
    networks = [part.requires_grad_(False).eval() for part in parts.values() if isinstance(part, nn.Module)]
    for part, dtype in (("unet", formats.network), ("vae", formats.autoencoder)):
        if part in parts and dtype != torch.float32:  # there it gains nothing by itself
            parts[part].to(memory_format=torch.channels_last)
    if "unet" in parts and torch.device(device).type == "cpu" and memory.offload == "off":
        streamline(parts["unet"])
        streamline_autoencoder(parts["vae"])
    if memory.tiles:
        save_memory(parts["vae"])
    place(networks, device, memory.offload)


@torch.no_grad()
def _try_out(backbone: LatentModel) -> None:
    """Run every part once on next to nothing: settings that fit the weights may still make no sense together."""
    embedding = backbone.embed([""])
    if backbone.guidance_built_in:
        embedding = replace(embedding, guidance=1.0)
    side = backbone.least_cells
    latents = torch.zeros(1, backbone.latent_channels, side, side)
    halfway = backbone.schedule(Sampling(steps=2), (side, side)).timesteps[0]
    predicted = backbone.predict(latents, halfway, embedding, empty_concat(backbone, side, side))
    if not (embedding.tokens.isfinite().all() and predicted.isfinite().all()):
        raise ModelError(f"{backbone.name} predicts values that are not finite in {backbone.dtype}")
    backbone.encode(backbone.decode(latents))
    height, width = backbone.native_size
    if min(height, width) < 1:
        raise ModelError(f"{backbone.name}: expected a picture size above 0, got {height} x {width}")


def _vocabulary(name: str) -> dict[str, Any]:
    """The embedded model has learnt the words of the scenes' captions and no others."""
    if name != EMBEDDED:
        return {}
    from stereodiffusion.datasets.scenes import VOCABULARY

    return {"vocabulary": VOCABULARY}


@contextmanager
def as_model_errors(name: str) -> Generator[None]:
    """Whatever another library raises while a model is loaded is one line."""
    try:
        yield
    except StereoDiffusionError:
        raise
    except Exception as error:
        raise ModelError(f"{name} cannot be loaded as {EXPECTED}: {first_line(error)}") from error
