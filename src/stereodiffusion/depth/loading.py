"""Loads a depth estimator: by name, from a folder, or from a repository of the Hugging Face hub.

Only safetensors are read: a pickle can run code while it is loaded. Image processors are asked for their PIL
backend (`use_fast=False` before transformers 5), which needs no torchvision and gives the same numbers everywhere.
"""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast, get_args

import torch
from safetensors import SafetensorError
from torch import nn

from stereodiffusion.depth.estimator import MonocularDepth, Prediction, prediction_of
from stereodiffusion.depth.locating import EMBEDDED, locate
from stereodiffusion.errors import ConfigError, ModelError, first_line
from stereodiffusion.settings import Precision

# The first fusion layer has nothing to fuse with: its first residual unit never runs, and published files lack it.
_UNUSED = re.compile(r"neck\.fusion_stage\.layers\.0\.residual_layer1\.")


def load_depth_estimator(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | Precision = "float32",
    predicts: Prediction | None = None,
) -> MonocularDepth:
    """A depth estimator, ready to be called with pictures.

    Args:
        name_or_path: `toybox-depth` (embedded), a name of `stereodiffusion models`, a repository of the hub
            (`organisation/name`) or a folder in transformers' format.
        device: Where the network runs.
        dtype: In which precision; a dtype of torch or its name.
        predicts: What the network predicts, for families that are not known here. For the MiDaS family (DPT),
            Depth Anything, GLPN and ZoeDepth its `config.json` says it.

    Raises:
        ConfigError: If there is no such precision.
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If it is there and is not a complete depth estimator with safetensors weights.
    """
    if isinstance(dtype, str):
        if dtype not in get_args(Precision):
            raise ConfigError(f"dtype must be one of {', '.join(get_args(Precision))}, got {dtype!r}")
        dtype = cast(torch.dtype, getattr(torch, dtype))
    name, folder = locate(name_or_path)
    config = _read_config(name, folder)
    predicts = predicts or prediction_of(config)
    if predicts is None:
        raise ModelError(
            f"{name} is of the family {config.get('model_type')!r}, of which it is not known whether it predicts depth "
            "or inverse depth; say so with predicts='depth' or predicts='inverse-depth'"
        )
    with _quiet():
        processor = _load_processor(name, folder)
        model = _load_model(name, folder, dtype)
    return MonocularDepth(
        name=name,
        model=model.to(device),
        processor=processor,
        predicts=predicts,
        most_pixels=_most_pixels(name, config),
    )


def _most_pixels(name: str, config: dict[str, Any]) -> int | None:
    """Twice the 256 x 256 of `toybox-depth`; the 480 x 640 of the published GLPNs; others resize by themselves."""
    if config.get("model_type") != "glpn":
        return None
    return 2 * 256 * 256 if name == EMBEDDED else 480 * 640


def _read_config(name: str, folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{name} is not in transformers' format: {folder} has no config.json") from None
    except (ValueError, OSError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{folder / 'config.json'} must hold an object, got {type(config).__name__}")
    return cast(dict[str, Any], config)


def _load_processor(name: str, folder: Path) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(
            str(folder), backend="pil", local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"the image processor of {name} cannot be loaded: {first_line(error)}") from error


def _load_model(name: str, folder: Path, dtype: torch.dtype) -> nn.Module:
    from transformers import AutoModelForDepthEstimation

    try:
        loaded = AutoModelForDepthEstimation.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{name} cannot be loaded as a depth estimator: {first_line(error)}") from error
    model, info = cast(tuple[nn.Module, dict[str, Any]], loaded)
    missing = sorted(key for key in info["missing_keys"] if not _UNUSED.match(key))
    if missing:
        raise ModelError(f"the weights of {name} are incomplete: {len(missing)} are missing, among them {missing[0]}")
    return model.eval().requires_grad_(False)


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Without the progress bar and the report of every load; what matters of it is raised instead."""
    from transformers.utils import logging

    bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
