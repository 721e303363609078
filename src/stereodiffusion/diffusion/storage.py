"""Where the tokens that the source's attention read are kept: on the device, away from it, or nowhere.

It is what takes most room: tokens x channels of every shared layer, for every step after the shift and both halves of
guidance, 46 MB a step for Stable Diffusion 1 at 512 x 512 in half precision. A budget says how much may stay on the
device. The steps beyond it are off-loaded, to the main memory of a machine with an accelerator, to files of one that
has none, or not recorded at all and recomputed when the right view comes to them, at the price of an evaluation.
"""

from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import TypeAlias
from weakref import finalize

import torch

from stereodiffusion import temporary
from stereodiffusion.diffusion.backbone import Tokens

LayerTokens: TypeAlias = MutableMapping[int, Tokens]
"""What the shared self-attention layers read in one step, by layer number."""

Store: TypeAlias = Callable[[], LayerTokens]
"""Makes the place for the memory of one step."""


def bytes_per_step(sizes: Sequence[tuple[int, int]], layers: Collection[int], rows: int, dtype: torch.dtype) -> int:
    """What the memory of one step takes.

    Args:
        sizes: (tokens, channels) of each self-attention layer, by number.
        layers: Numbers of the layers that are shared.
        rows: Latents in the batch of the network: pictures times halves of guidance.
        dtype: In which the network computes.
    """
    return rows * dtype.itemsize * sum(tokens * channels for n, (tokens, channels) in enumerate(sizes) if n in layers)


def steps_within(budget_mb: float | None, step_bytes: int, steps: int) -> int:
    """How many steps of `step_bytes` each fit into a budget in units of 10^6 bytes; None is no limit."""
    if budget_mb is None or step_bytes == 0:
        return steps
    return min(steps, int(budget_mb * 1e6 // step_bytes))


def off_device(device: torch.device) -> Store:
    """A store away from a device: main memory for an accelerator, files for the processor itself."""
    return OnDisk if device.type == "cpu" else InMainMemory


class InMainMemory(MutableMapping[int, Tokens]):
    """Tokens of one step in main memory; they come back to the device they came from."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Tokens, torch.device]] = {}

    def __setitem__(self, layer: int, tokens: Tokens) -> None:
        self._kept[layer] = (tokens.to("cpu"), tokens.device)

    def __getitem__(self, layer: int) -> Tokens:
        tokens, device = self._kept[layer]
        return tokens.to(device)

    def __delitem__(self, layer: int) -> None:
        del self._kept[layer]

    def __iter__(self) -> Iterator[int]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


class OnDisk(MutableMapping[int, Tokens]):
    """Tokens of one step in files, mapped into memory only while somebody reads them.

    The folder is a temporary one and goes when the store does, or when Python ends.
    """

    def __init__(self) -> None:
        self._folder = temporary.new_folder()
        self._kept: dict[int, tuple[torch.Size, torch.dtype]] = {}
        self._removed = finalize(self, temporary.remove, self._folder)

    def __setitem__(self, layer: int, tokens: Tokens) -> None:
        self._kept[layer] = (tokens.shape, tokens.dtype)
        self._mapped(layer).copy_(tokens.flatten())

    def __getitem__(self, layer: int) -> Tokens:
        shape, _ = self._kept[layer]
        return self._mapped(layer).view(shape)

    def __delitem__(self, layer: int) -> None:
        del self._kept[layer]
        self._file(layer).unlink()

    def __iter__(self) -> Iterator[int]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def _file(self, layer: int) -> Path:
        return self._folder / str(layer)

    def _mapped(self, layer: int) -> torch.Tensor:
        shape, dtype = self._kept[layer]
        return torch.from_file(str(self._file(layer)), shared=True, size=shape.numel(), dtype=dtype)
