"""Where networks run."""

from stereodiffusion.devices import check_device
from stereodiffusion.errors import ConfigError


def usable_device(name: str) -> str:
    """The device that is meant, `auto` resolved.

    Raises:
        ConfigError: If it cannot be used here.
    """
    import torch

    device = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        check_device(device)
    except ConfigError as error:
        reason = str(error).removeprefix(f"device {device} cannot be used here: ")
        raise ConfigError(f"--device {device} cannot be used here: {reason}") from error
    return device
