"""What a model of a published size takes of a graphics card's memory, counted without a card and without weights.

Counted are the tensors that live at the same time. Beside them a card holds what CUDA and its libraries take
themselves (about half a gigabyte), and what the allocator keeps in pieces.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stereodiffusion.models.backbones.weightless import Family, weightless
from stereodiffusion.models.memory import Offload

SIZES: Final[Mapping[Family, tuple[str, int]]] = {
    "sd1": ("Stable Diffusion 1.5", 512),
    "sd2": ("Stable Diffusion 2.1", 768),
    "sdxl": ("SDXL", 1024),
}
"""What is counted: the name, and the edge of the pictures for which the network was trained, in pixels."""


class _Living(TorchDispatchMode):
    """Counts the bytes of the tensors that are made meanwhile, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._now = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {_key(tensor) for tensor in _tensors((args, kwargs))}
        for tensor in _tensors(out):
            if _key(tensor) not in given | self._sizes.keys():
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = StorageWeakRef(storage).cdata
        self._sizes[key] = storage.nbytes()
        self._now += storage.nbytes()
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self._now -= self._sizes.pop(key, 0)


def most_bytes(call: Callable[[], object]) -> int:
    """The most bytes that tensors made by a call take at one time."""
    with _Living() as living:
        call()
    return living.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the parts of a model take, in bytes.

    Attributes:
        weights: Of each part.
        layer: The largest layer's weights, of each part.
        work: What each part makes while it works, at most.
    """

    weights: Mapping[str, int]
    layer: Mapping[str, int]
    work: Mapping[str, int]

    def on_card(self, offload: Offload) -> int:
        """The most that is on the card at one time, with a way of saving memory."""
        if offload == "off":
            return sum(self.weights.values()) + max(self.work.values())
        resting = self.weights if offload == "model" else self.layer
        return max(resting[part] + self.work[part] for part in self.work)


def demand_of(family: Family, edge: int, *, tiles: bool = False) -> Demand:
    """What a model takes for a pair of square pictures.

    Args:
        family: Which.
        edge: Of the pictures, in pixels.
        tiles: Whether the autoencoder works in tiles.
    """
    with weightless(family, edge, tiles=tiles) as model:
        return Demand(
            weights={name: _bytes(part) for name, part in model.parts.items()},
            layer={name: max(_own_bytes(layer) for layer in part.modules()) for name, part in model.parts.items()},
            work={name: most_bytes(call) for name, call in model.calls.items()},
        )


def memory_table(families: Sequence[Family]) -> list[tuple[str, ...]]:
    """A row for each model: its name, then gigabytes as it is, with tiles, and with either offload beside tiles."""
    rows: list[tuple[str, ...]] = []
    for family in families:
        name, edge = SIZES[family]
        plain, tiled = demand_of(family, edge), demand_of(family, edge, tiles=True)
        found = plain.on_card("off"), tiled.on_card("off"), tiled.on_card("model"), tiled.on_card("sequential")
        rows.append((f"{name}, {edge} x {edge}", *(f"{value / 1e9:.1f}" for value in found)))
    return rows


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _key(tensor: torch.Tensor) -> int:
    return StorageWeakRef(tensor.untyped_storage()).cdata


def _bytes(part: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in part.parameters())


def _own_bytes(layer: nn.Module) -> int:
    return sum(weight.numel() * weight.element_size() for weight in layer.parameters(recurse=False))
