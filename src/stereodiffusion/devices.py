"""Where networks can run."""

from typing import TYPE_CHECKING

from stereodiffusion.errors import ConfigError, first_line

if TYPE_CHECKING:
    import torch


def check_device(device: "torch.device | str") -> None:
    """Refuse a device on which nothing can be computed here, before anything is loaded for it.

    Raises:
        ConfigError: If it is unknown to torch, or there is none.
    """
    import torch

    try:
        kind, index = (wanted := torch.device(device)).type, wanted.index
    except (RuntimeError, TypeError):
        raise ConfigError(f"expected a device that torch knows, as cpu, cuda, cuda:1 or mps, got {device!r}") from None
    if kind == "meta":
        raise ConfigError("expected a device that computes, got meta, which holds shapes alone")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {device} cannot be used here: torch finds no CUDA, no graphics card or no driver")
    if kind == "cuda" and (index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {device} cannot be used here: the last is cuda:{torch.cuda.device_count() - 1}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps cannot be used here: it takes macOS on Apple's own processors")
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ConfigError(f"device {device} cannot be used here: {first_line(error)}") from error
