"""Whether weights and network belong together: no tensor missing, left over, or of another shape."""

from collections.abc import Collection, Iterable, Mapping
from math import prod
from typing import Any, Final

from torch import Tensor

from stereodiffusion.errors import ModelError
from stereodiffusion.models.checkpoint.tensors import Tensors

_SLACK: Final = 1_000_000
"""Numbers that a network may have beside those that its weights hold, for parts that never run."""


def check_network(name: str, state: Mapping[str, Tensor], tensors: Tensors) -> None:
    """Refuse weights that a network cannot take, before memory is taken for either.

    Args:
        name: Of the network, for messages.
        state: Its parameters and buffers; without memory will do.
        tensors: What the weights' headers name.

    Raises:
        ModelError: If tensors of the same name differ in shape or hold no numbers with fractions, or the network has
            more numbers than the weights.
    """
    wrong = [key for key in state.keys() & tensors.keys() if tuple(state[key].shape) != tensors[key].shape]
    if wrong:
        key = min(wrong)
        raise ModelError(
            f"{name} has {_counted(len(wrong), 'tensor')} of a wrong shape, among them {key}: expected "
            f"{tuple(state[key].shape)}, got {tensors[key].shape}"
        )
    whole = [
        key for key in state.keys() & tensors.keys() if state[key].is_floating_point() and tensors[key].dtype[0] in "IU"
    ]
    if whole:
        key = min(whole)
        raise ModelError(f"{name} has quantised weights: {key} holds whole numbers ({tensors[key].dtype})")
    needed = sum(tensor.numel() for tensor in state.values())
    stored = sum(prod(tensor.shape) for tensor in tensors.values())
    if needed > 1.05 * stored + _SLACK:
        check_report(name, missing=state.keys() - tensors.keys(), unexpected=tensors.keys() - state.keys())


def check_report(
    name: str, *, missing: Collection[str], unexpected: Iterable[str] = (), mismatched: Collection[Any] = ()
) -> None:
    """Refuse what a library would complete with numbers of its own.

    Args:
        name: Of the network, for messages.
        missing: Tensors that the network has and the weights have not.
        unexpected: Tensors that the weights have and the network has not; they do no harm by themselves.
        mismatched: Tensors of a wrong shape.

    Raises:
        ModelError: If something is missing or of a wrong shape.
    """
    if mismatched:
        raise ModelError(f"{name} has {_counted(len(mismatched), 'tensor')} of a wrong shape: {min(mismatched)!s}")
    if not missing:
        return
    prefix = _prefix(missing, unexpected)
    if prefix is not None:
        raise ModelError(f"{name}: the names of its tensors begin with {prefix!r}: expected them without")
    raise ModelError(f"{name} is incomplete: {_counted(len(missing), 'tensor')} missing, among them {min(missing)}")


def _prefix(missing: Collection[str], unexpected: Iterable[str]) -> str | None:
    """What stands before the name of a missing tensor in the name of one that nobody expected."""
    wanted = set(missing)
    for name in unexpected:
        parts = name.split(".")
        for start in range(1, len(parts)):
            if ".".join(parts[start:]) in wanted and len(parts) - start > 1:
                return ".".join(parts[:start]) + "."
    return None


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
