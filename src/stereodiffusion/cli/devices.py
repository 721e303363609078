"""Where networks run, and in which precision."""

from stereodiffusion.cli.choices import DTYPES
from stereodiffusion.devices import check_device
from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import PrecisionChoice


def checked_dtype(name: str) -> PrecisionChoice:
    """The precision that is meant.

    Raises:
        ConfigError: If there is no such.
    """
    if name not in DTYPES:
        raise ConfigError(f"--dtype must be one of {', '.join(DTYPES)}, got {name!r}")
    return name


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
