"""Parts of a picture on several cores at once.

Torch divides the work of one operator among its threads and has them wait for each other before the next one. Where a
picture is computed in parts that do not depend on each other, each thread takes whole parts instead: nobody waits, and
what an operator does on one core alone is divided too.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Protocol, TypeVar

import torch

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def threads_for(device: torch.device) -> int:
    """How many threads parts of a picture on a device are worth: as many as torch may use, where it is processors."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def side_by_side(function: Callable[[_Part], _Result], parts: Iterable[_Part], *, threads: int) -> Iterator[_Result]:
    """What a function makes of each part, in order. It is the same with any number of threads.

    Args:
        function: Of one part; torch's operators have one thread each in it, where there are several here.
        parts: All of them are taken at once.
        threads: How many parts to compute at a time; with one, nothing leaves the thread of the caller.
    """
    with workers(threads) as each:
        yield from each(function, parts)


class Each(Protocol):
    """What a function makes of each part, in order, as `map` has it."""

    def __call__(self, function: Callable[[_Part], _Result], parts: Iterable[_Part], /) -> Iterator[_Result]:
        """As `side_by_side`."""
        ...


@contextmanager
def workers(threads: int) -> Generator[Each]:
    """Threads for several rounds of parts, see `side_by_side`. In them torch's operators do not divide their work."""
    if threads == 1:
        yield map
        return
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def each(function: Callable[[_Part], _Result], parts: Iterable[_Part], /) -> Iterator[_Result]:
        def as_here(part: _Part) -> _Result:
            with torch.inference_mode(inference), torch.set_grad_enabled(grad):  # each thread has modes of its own
                return function(part)

        return pool.map(as_here, parts)

    own, begun = torch.get_num_threads(), Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first question sets its number, so what is set before that is lost
        torch.set_num_threads(1)
        begun.wait()

    with ThreadPoolExecutor(threads, initializer=begin) as pool:
        try:
            for _ in range(threads):
                pool.submit(int)  # a pool begins a thread with something to do
            begun.wait()
        except BaseException:
            begun.abort()  # where one thread too few could be begun, the others wait no longer
            raise
        torch.set_num_threads(own)  # the number is a thread's own, but also what later ones begin with
        yield each
