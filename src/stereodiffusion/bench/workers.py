"""Several processes that do one kind of work, and end with the one that started them.

Neither of the standard pools will do: one waits for ever when a worker is killed, and the workers of both stay behind
when their parent is.
"""

import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias, TypeVar, cast

import torch

from stereodiffusion.errors import BenchmarkError

Item = TypeVar("Item")
Result = TypeVar("Result")
Link: TypeAlias = Connection


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A worker's last word: what it cannot go on from."""

    error: Exception


def in_processes(
    make: Callable[[], Callable[[Item], Iterable[Result]]], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """The results of all items, as they come.

    Args:
        make: Called once in each process; what it returns is called with one item after the other.
        items: What is to be done, handed out one at a time; none of them is None.
        workers: How many processes. They start afresh, so `make`, items and results are pickled.

    Raises:
        BenchmarkError: If a process is killed.
        Exception: Whatever the work raises.
    """
    waiting = iter(items)
    with _started(make, min(workers, len(items))) as running:
        for link in running:
            link.send(next(waiting))
        while running:
            for link in cast(list[Link], wait(list(running))):
                message = _receive(link, running[link])
                if isinstance(message, _Stopped):
                    raise message.error
                if message is not None:
                    yield message
                elif (item := next(waiting, None)) is not None:
                    link.send(item)
                else:
                    del running[link]


@contextmanager
def _started(make: Callable[[], Any], workers: int) -> Generator[dict[Link, BaseProcess]]:
    """Processes and the links to them; whatever happens, none is left behind."""
    context = get_context("spawn")
    threads = max(1, torch.get_num_threads() // max(1, workers))
    started: dict[Link, BaseProcess] = {}
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(make, theirs, threads), daemon=True)
            process.start()
            theirs.close()
            started[ours] = process
        yield dict(started)
    finally:
        for link, process in started.items():
            process.terminate()
            process.join()
            link.close()


def _receive(link: Link, process: BaseProcess) -> Any:
    try:
        return link.recv()
    except (EOFError, OSError) as ended:
        process.join()
        raise BenchmarkError(
            f"a worker process was killed (exit code {process.exitcode}), perhaps for want of memory; what was "
            "computed is kept: start again, with fewer workers"
        ) from ended


def _serve(make: Callable[[], Callable[[Any], Iterable[Any]]], link: Link, threads: int) -> None:
    """A worker: takes items and sends results, then None for "done", until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it as well, and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        work = make()
        while True:
            for result in work(link.recv()):
                link.send(result)
            link.send(None)
    except Exception as error:
        error.add_note(traceback.format_exc())  # tracebacks do not travel
        link.send(_Stopped(error))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
