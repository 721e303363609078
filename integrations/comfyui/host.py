"""What ComfyUI is asked for, where these nodes run in it: progress, the stop button, its folders and its device.

Its modules are loaded before any node is; where they are not, as in a test, there is nothing to ask.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from stereodiffusion.errors import FormatError
from stereodiffusion.views import View

if TYPE_CHECKING:
    from stereodiffusion.synthesis import Progress


def follow(steps: "Iterable[Progress | View]") -> list[View]:
    """Do the work, with ComfyUI's progress bar and its stop button where ComfyUI is; gives the views on the way."""
    utils, management = sys.modules.get("comfy.utils"), sys.modules.get("comfy.model_management")
    views: list[View] = []
    for event in steps:
        if management is not None:
            cast(Any, management).throw_exception_if_processing_interrupted()
        if isinstance(event, View):
            views.append(event)
        elif utils is not None:
            cast(Any, utils).ProgressBar(event.steps).update_absolute(event.step, event.steps)
    return views


def device_of(name: str) -> str:
    """The device of that name; `auto` is ComfyUI's own."""
    management = sys.modules.get("comfy.model_management")
    if name != "auto":
        return name
    if management is not None:
        return str(cast(Any, management).get_torch_device())
    return "cuda" if torch.cuda.is_available() else "cpu"


def checkpoints() -> list[str]:
    """The `.safetensors` files among ComfyUI's checkpoints."""
    paths = sys.modules.get("folder_paths")
    found = [] if paths is None else cast(Any, paths).get_filename_list("checkpoints")
    return [name for name in found if name.endswith(".safetensors")]


def checkpoint(name: str) -> str:
    """The path of one of them."""
    paths = sys.modules.get("folder_paths")
    found = None if paths is None else cast(Any, paths).get_full_path("checkpoints", name)
    if found is None:
        raise FormatError(f"there is no checkpoint {name!r}")
    return str(found)


def output_folder() -> Path:
    """Where ComfyUI puts what it makes; without it the current folder."""
    paths = sys.modules.get("folder_paths")
    return Path.cwd() if paths is None else Path(cast(Any, paths).get_output_directory())
