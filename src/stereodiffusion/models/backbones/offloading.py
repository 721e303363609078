"""Parts of a model that rest in main memory while they do not compute, with accelerate's hooks as in diffusers."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from accelerate import cpu_offload
from accelerate.hooks import ModelHook, add_hook_to_module
from accelerate.utils import send_to_device
from torch import nn

from stereodiffusion.models.memory import Offload

_REST = torch.device("cpu")


def place(parts: Sequence[nn.Module], device: torch.device | str, offload: Offload) -> None:
    """Bring the parts of a model to where they compute, or let them come there when they do.

    Args:
        parts: Networks; they are changed.
        device: Where they compute.
        offload: What rests elsewhere, see `Memory`.
    """
    where = torch.device(device)
    for part in parts:
        if offload == "off":
            part.to(where)
        elif offload == "sequential":
            # Parameters that stand in a part itself, beside its layers, must come along as buffers do.
            cpu_offload(part, where, offload_buffers=any(True for _ in part.parameters(recurse=False)))
        else:
            add_hook_to_module(part, cast(Any, _Alone(where, parts)))


class _Alone(ModelHook):
    """One part of a model is on the device at a time.

    diffusers' own order, text encoder, U-Net, autoencoder, would keep the autoencoder there: views are encoded and
    decoded between steps.
    """

    def __init__(self, device: torch.device, parts: Sequence[nn.Module]) -> None:
        self.execution_device = device
        self._parts = parts

    def init_hook(self, module: nn.Module) -> nn.Module:
        return module.to(_REST)

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        for part in self._parts:
            if part is not module:
                part.to(_REST)
        module.to(self.execution_device)
        return send_to_device(args, self.execution_device), send_to_device(kwargs, self.execution_device)
