"""Loads the networks of a model in diffusers' layout, each from a folder of its own that was looked at first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import init_empty_weights
from torch import nn

from stereodiffusion.models.checkpoint.completeness import check_network, check_report
from stereodiffusion.models.checkpoint.part import Part, read_part
from stereodiffusion.models.checkpoint.types import check_types


def load_network(kind: Any, root: Path, weights: str, variant: str, dtype: torch.dtype) -> nn.Module:
    """A network of diffusers or transformers, complete.

    Args:
        kind: Its class.
        root: The model's folder.
        weights: The network's folder in it, and what its weights are called: `unet/diffusion_pytorch_model`.
        variant: Which of several copies of the weights, or "".
        dtype: In which precision.

    Raises:
        ModelError: If its files are not what they should be, its weights are incomplete, or do not fit its settings.
    """
    folder, _, stem = weights.partition("/")
    part = read_part(root, root / folder, stem, variant)
    name = f"{root.name}/{folder}"
    with init_empty_weights(include_buffers=True):
        check_network(name, _empty(kind, part).state_dict(), part.tensors)
    network, report = kind.from_pretrained(
        str(part.folder),
        dtype=dtype,
        use_safetensors=True,
        variant=variant or None,
        local_files_only=True,
        output_loading_info=True,
    )
    check_report(name, missing=report["missing_keys"], unexpected=report["unexpected_keys"])
    return cast(nn.Module, network)


def _empty(kind: Any, part: Part) -> nn.Module:
    """The network that the settings describe."""
    if hasattr(kind, "load_config"):
        build: Callable[..., Any] = kind.__init__
        check_types(part.folder / "config.json", part.settings, build)
        return kind.from_config(part.settings)
    return kind(kind.config_class.from_pretrained(str(part.folder), local_files_only=True))
