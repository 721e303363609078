"""Where networks run."""

from stereodiffusion.devices import check_device


def usable_device(name: str) -> str:
    """The device that is meant, `auto` resolved.

    Raises:
        ConfigError: If it cannot be used here.
    """
    import torch

    device = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    check_device(device)
    return device
