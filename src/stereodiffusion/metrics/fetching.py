"""Weights of the networks that measure, fetched at first use and kept in PyTorch's cache."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stereodiffusion.errors import ModelUnavailableError

TORCHVISION = "https://download.pytorch.org/models/"
"""Where torchvision's weights are."""


def fetch_weights(url: str) -> Mapping[str, Tensor]:
    """A state dict from the network, or from the cache; its hash is in its name.

    Raises:
        ModelUnavailableError: If it is not in the cache and cannot be fetched.
    """
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as failure:  # RuntimeError: the hash is wrong
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise ModelUnavailableError(f"{url} cannot be fetched ({failure}); it may be put into {folder}") from failure
