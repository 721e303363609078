"""Loads a depth estimator: by name, from a folder, or from a repository of the Hugging Face hub.

Only safetensors are read: a pickle can run code while it is loaded. Image processors are asked for their PIL
backend (`use_fast=False` before transformers 5), which needs no torchvision and gives the same numbers everywhere.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from accelerate import init_empty_weights
from torch import nn

from stereodiffusion.devices import check_device
from stereodiffusion.errors import ConfigError, ModelError, first_line
from stereodiffusion.models.alone import LOADING
from stereodiffusion.models.checkpoint.completeness import check_network, check_report
from stereodiffusion.models.checkpoint.part import Part, check_numbers, read_part
from stereodiffusion.models.estimators.estimator import DepthEstimator, MonocularDepth, Prediction, prediction_of
from stereodiffusion.models.estimators.locating import locate
from stereodiffusion.models.estimators.spread import GLPNWithSpread, UnsureDepth
from stereodiffusion.models.hub import DEFAULT, Hub
from stereodiffusion.settings import Precision

# The first fusion layer has nothing to fuse with: its first residual unit never runs, and published files lack it.
_UNUSED = re.compile(r"neck\.fusion_stage\.layers\.0\.residual_layer1\.")


def load_depth_estimator(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | Precision = "float32",
    predicts: Prediction | None = None,
    hub: Hub = DEFAULT,
) -> DepthEstimator:
    """A depth estimator, ready to be called with pictures.

    Args:
        name_or_path: `toybox-depth`, `photo-depth` or another name of `stereodiffusion models`, a repository of the hub
            (`organisation/name`), or a folder in transformers' format.
        device: Where the network runs.
        dtype: In which precision; a dtype of torch or its name.
        predicts: What the network predicts, for families that are not known here. For the MiDaS family (DPT),
            Depth Anything, GLPN and ZoeDepth its `config.json` says it.
        hub: How a repository is fetched, and which of its revisions.

    Raises:
        ConfigError: If there is no such precision or device.
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If it is there and is not a complete depth estimator with safetensors weights.
    """
    if isinstance(dtype, str):
        if dtype not in get_args(Precision):
            raise ConfigError(f"dtype must be one of {', '.join(get_args(Precision))}, got {dtype!r}")
        dtype = cast(torch.dtype, getattr(torch, dtype))
    check_device(device)
    name, folder = locate(name_or_path, hub)
    if not (folder / "config.json").exists():
        raise ModelError(f"{name} is not in transformers' format: {folder} has no config.json")
    part = read_part(folder, folder, "model")
    config = part.settings
    predicts = predicts or prediction_of(config)
    if predicts is None:
        raise ModelError(
            f"{name} is of the family {config.get('model_type')!r}, of which it is not known whether it predicts depth "
            "or inverse depth; say so with predicts='depth' or predicts='inverse-depth'"
        )
    with LOADING, _quiet():
        if config.get("architectures") == [GLPNWithSpread.__name__]:
            unsure = _load_model(name, part, dtype, GLPNWithSpread).to(device)
            return UnsureDepth(name=name, model=cast(GLPNWithSpread, unsure))
        processor = _load_processor(name, folder)
        model = _load_model(name, part, dtype)
    return MonocularDepth(
        name=name,
        model=model.to(device),
        processor=processor,
        predicts=predicts,
        most_pixels=_most_pixels(processor),
    )


def _most_pixels(processor: Any) -> int | None:
    """The 480 x 640 of the published GLPNs, whose processor has no size of its own and only rounds sizes down."""
    return None if getattr(processor, "size", None) else 480 * 640


def _load_processor(name: str, folder: Path) -> Any:
    from transformers import AutoImageProcessor

    if (folder / "preprocessor_config.json").exists():
        check_numbers(folder / "preprocessor_config.json")
    try:
        processor: Any = AutoImageProcessor.from_pretrained(
            str(folder), backend="pil", local_files_only=True, trust_remote_code=False
        )
        processor(images=[np.zeros((3, 64, 64), np.uint8)], input_data_format="channels_first", return_tensors="pt")
    except Exception as error:  # transformers has no common class for what its settings may lack
        raise ModelError(f"the image processor of {name} cannot be loaded: {first_line(error)}") from error
    return processor


def _load_model(name: str, part: Part, dtype: torch.dtype, kind: Any = None) -> nn.Module:
    """The network of a class, or of the one that transformers takes for its configuration."""
    from transformers import AutoConfig, AutoModelForDepthEstimation

    source: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(str(part.folder), **source)
        with init_empty_weights(include_buffers=True):
            empty = kind(config) if kind else AutoModelForDepthEstimation.from_config(config, dtype=dtype)
            check_network(name, cast(nn.Module, empty).state_dict(), part.tensors)
        loaded = (kind or AutoModelForDepthEstimation).from_pretrained(
            str(part.folder), dtype=dtype, use_safetensors=True, output_loading_info=True, **source
        )
    except ModelError:
        raise
    except Exception as error:  # nor for what a network's settings may make no sense of
        raise ModelError(f"{name} cannot be loaded as a depth estimator: {first_line(error)}") from error
    model, report = cast(tuple[nn.Module, dict[str, Any]], loaded)
    missing = [key for key in report["missing_keys"] if not _UNUSED.match(key)]
    check_report(name, missing=missing, unexpected=report["unexpected_keys"], mismatched=report["mismatched_keys"])
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
