"""Hooks on a network that hold for the thread that sets them, and for no other.

Hooks sit on a module, and several threads may evaluate one module at a time: two calls of the method, or one beside
the user's own pipeline. Each thread sees the network with its own hooks alone.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from threading import Lock, get_ident
from typing import Any, ParamSpec, TypeVar

from torch.utils.hooks import RemovableHandle

P = ParamSpec("P")
R = TypeVar("R")

_CHANGING = Lock()  # torch itself numbers hooks without one: two threads at a time may get the same number


@contextmanager
def hooked(register: Callable[[], RemovableHandle]) -> Generator[None]:
    """While entered, the hook that `register` registers is in place; it should be one `for_this_thread`."""
    with _CHANGING:
        handle = register()
    try:
        yield
    finally:
        with _CHANGING:
            handle.remove()


def for_this_thread(hook: Callable[P, R]) -> Callable[P, R | None]:
    """A hook that does nothing when it is called by another thread than the present one."""
    return partial(_in_thread, get_ident(), hook)


def _in_thread(own: int, hook: Callable[..., R], *args: Any, **kwargs: Any) -> R | None:
    return hook(*args, **kwargs) if get_ident() == own else None
