"""Loads a diffusion model: the embedded one, by name, from a folder, from a file, or around a pipeline.

Only safetensors are read: a pickle can run code while it is loaded. Of a model only the parts that the method uses
are loaded; a safety checker or a depth estimator beside them stays where it is.
"""

import json
from collections.abc import Collection, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from stereodiffusion.backbones.locating import EMBEDDED, index_of, locate, parts_of, variant_of
from stereodiffusion.backbones.precision import Formats, formats_for
from stereodiffusion.backbones.sd import EXPECTED, StableDiffusion
from stereodiffusion.backbones.sdxl import family_of
from stereodiffusion.backbones.single_file import load_single_file
from stereodiffusion.backbones.streamlining import streamline
from stereodiffusion.errors import ModelError, first_line
from stereodiffusion.settings import PrecisionChoice

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

_FAILURES = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError)


def load_backbone(
    model: "str | Path | DiffusionPipeline",
    *,
    device: torch.device | str = "cpu",
    dtype: PrecisionChoice | torch.dtype = "float32",
    depth: bool = False,
) -> StableDiffusion:
    """A diffusion model, ready to be used.

    Args:
        model: `toybox` (embedded), a name of `stereodiffusion models`, a repository of the hub
            (`organisation/name`), a folder in diffusers' layout, a `.safetensors` file, or a pipeline of diffusers.
        device: Where it runs. A pipeline stays where it is.
        dtype: In which precision, by name or as torch's own; `auto` is the fastest that the device is good at. A
            pipeline keeps its own, and its memory layout; what is loaded here in half precision is channels last, and
            for the processor the network is streamlined.
        depth: Whether it must take a depth map. A folder may hold a sibling of the network that does, `unet_depth`.

    Raises:
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If it is of the wrong kind, incomplete or pickled.
        ConfigError: If there is no such precision.
    """
    formats = formats_for(dtype, device)
    if not isinstance(model, str | Path):
        backbone = family_of(model.components).from_pipeline(model)
    else:
        name, path = locate(model)
        with _quiet(), _as_model_errors(name):
            load = partial(_load_folder, depth=depth) if path.is_dir() else load_single_file
            parts = load(path, formats)
        backbone = family_of(parts)(**parts, name=name, vocabulary=_vocabulary(name))
        for part in parts.values():
            if isinstance(part, nn.Module):
                part.requires_grad_(False).eval().to(device)
        for part, dtype in (("unet", formats.network), ("vae", formats.autoencoder)):
            if dtype != torch.float32:  # there it gains nothing by itself
                parts[part].to(memory_format=torch.channels_last)
        if torch.device(device).type == "cpu":
            streamline(parts["unet"])
    if depth and not backbone.depth_conditioned:
        raise ModelError(f"{backbone.name} takes no depth map; {EMBEDDED} and sd2-depth do")
    return backbone


def _load_folder(folder: Path, formats: Formats, *, depth: bool) -> dict[str, Any]:
    unet = "unet_depth" if depth and (folder / "unet_depth").is_dir() else "unet"
    parts = {
        "vae": _load_part(AutoencoderKL, folder, "vae/diffusion_pytorch_model", formats.autoencoder),
        "unet": _load_part(UNet2DConditionModel, folder, f"{unet}/diffusion_pytorch_model", formats.network),
        "text_encoder": _load_part(CLIPTextModel, folder, "text_encoder/model", formats.network),
        "tokenizer": CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True),
        "scheduler": _load_scheduler(folder),
    }
    if "text_encoder_2" not in parts_of(folder):
        return parts
    return parts | {
        "text_encoder_2": _load_part(CLIPTextModelWithProjection, folder, "text_encoder_2/model", formats.network),
        "tokenizer_2": CLIPTokenizer.from_pretrained(str(folder / "tokenizer_2"), local_files_only=True),
        "zero_unconditional": bool(index_of(folder).get("force_zeros_for_empty_prompt", True)),
    }


def _load_part(kind: Any, folder: Path, weights: str, dtype: torch.dtype) -> Any:
    return kind.from_pretrained(
        str(folder / weights.partition("/")[0]),
        dtype=dtype,
        use_safetensors=True,
        variant=variant_of(folder, weights) or None,
        local_files_only=True,
    )


def _load_scheduler(folder: Path) -> DDIMScheduler:
    """The noise schedule; any of diffusers' schedulers with betas says the same to this one."""
    settings: Any = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    if not isinstance(settings, dict) or "beta_schedule" not in settings:
        raise ModelError(f"{folder.name}: expected {EXPECTED}, got a schedule without betas (flow matching)")
    return cast(DDIMScheduler, DDIMScheduler.from_config(cast(dict[str, Any], settings)))


def _vocabulary(name: str) -> Collection[str] | None:
    """The embedded model has learnt the words of the scenes' captions and no others."""
    if name != EMBEDDED:
        return None
    from stereodiffusion.datasets.scenes import VOCABULARY

    return VOCABULARY


@contextmanager
def _as_model_errors(name: str) -> Generator[None]:
    try:
        yield
    except ModelError:
        raise
    except _FAILURES as error:
        raise ModelError(f"{name} cannot be loaded as {EXPECTED}: {first_line(error)}") from error


@contextmanager
def _quiet() -> Generator[None]:
    """Without the progress bars and reports of every load; what matters of them is raised instead."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    bar, verbosities = (
        of_transformers.is_progress_bar_enabled(),
        (
            of_diffusers.get_verbosity(),
            of_transformers.get_verbosity(),
        ),
    )
    of_transformers.disable_progress_bar()
    of_diffusers.set_verbosity_error()
    of_transformers.set_verbosity_error()
    try:
        yield
    finally:
        of_diffusers.set_verbosity(verbosities[0])
        of_transformers.set_verbosity(verbosities[1])
        if bar:
            of_transformers.enable_progress_bar()
