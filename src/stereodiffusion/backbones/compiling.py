"""Compiling the parts of a network that nobody reaches into.

`torch.compile` writes the passes between two products as one. A whole U-Net cannot be compiled here: compiled code does
not call the hooks through which the views share attention. Residual blocks and the units that widen a transformer's
tokens have none, and hold most of such passes.
"""

from typing import Any, Final, cast

import torch
from diffusers.models.activations import GEGLU, GELU
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from stereodiffusion.errors import ConfigError, first_line

_FORMS: Final = 128
"""Sizes and batches that a kind of layer may be compiled for; torch gives up after 8, a U-Net alone has more."""


def compile_layers(network: nn.Module) -> None:
    """Let the layers of a network be compiled, in place, each when it is first called with tensors of a size.

    Nothing changes but rounding. The first evaluation takes minutes at Stable Diffusion's size.

    Raises:
        ConfigError: If nothing can be compiled here, for want of a C++ compiler, say.
    """
    check_compiling(next(network.parameters()).device)
    settings = cast(Any, torch)._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, _FORMS)
    for module in network.modules():
        if isinstance(module, ResnetBlock2D | GEGLU | GELU):
            module.compile(dynamic=False)


def check_compiling(device: torch.device | str) -> None:
    """Compile next to nothing: what is missing shows now, not in the first evaluation.

    Raises:
        ConfigError: If that fails.
    """
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(2, device=device))
    except Exception as error:  # of the compiler, of its absence, of the file system: torch has no common class
        raise ConfigError(f"the network cannot be compiled here: {first_line(error)}") from error
