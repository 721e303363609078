"""Where networks run."""

from stereodiffusion.errors import ConfigError, first_line


def usable_device(name: str) -> str:
    """The device that is meant, `auto` resolved.

    Raises:
        ConfigError: If it cannot be used here.
    """
    import torch

    device = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"--device {device} cannot be used here: {first_line(error)}") from error
    return device
