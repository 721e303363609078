"""Several processes that do one kind of work, and end with the one that started them.

Neither of the standard pools will do: one waits for ever when a worker is killed, and the workers of both stay behind
when their parent is.
"""

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, TypeAlias, TypeVar, cast

from stereodiffusion.errors import BenchmarkError
from stereodiffusion.temporary import remove_all

Item = TypeVar("Item")
Result = TypeVar("Result")
Link: TypeAlias = Connection

_PATIENCE_S = 5.0  # for a worker that is told to end


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
    import torch

    context = get_context("spawn")
    threads = max(1, torch.get_num_threads() // max(1, workers))
    pickled = pickle.dumps(make)  # a worker watches its parent before it imports what this takes
    started: dict[Link, BaseProcess] = {}
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(pickled, theirs, threads), daemon=True)
            with _interrupts_held():
                process.start()
            theirs.close()
            started[ours] = process
        yield dict(started)
    finally:
        for link, process in started.items():
            process.terminate()
            process.join(timeout=_PATIENCE_S)
            process.kill()
            process.join()
            link.close()


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Interrupts wait, and for what is started meanwhile, for ever: workers end with their parent, which hears them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(link: Link, process: BaseProcess) -> Any:
    try:
        return link.recv()
    except (EOFError, OSError) as ended:
        process.join()
        raise BenchmarkError(
            f"a worker process was killed (exit code {process.exitcode}), perhaps for want of memory; what was "
            "computed is kept: start again, with fewer workers"
        ) from ended


def _serve(pickled: bytes, link: Link, threads: int) -> None:
    """A worker: takes items and sends results, then None for "done", until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        make: Callable[[], Callable[[Any], Iterable[Any]]] = pickle.loads(pickled)
        import torch

        torch.set_num_threads(threads)
        work = make()
        while True:
            for result in work(link.recv()):
                link.send(result)
            link.send(None)
    except Exception as error:
        error.add_note(traceback.format_exc())  # tracebacks do not travel
        link.send(_Stopped(error))


def _end(number: int = signal.SIGTERM, _: FrameType | None = None) -> None:
    remove_all()
    os._exit(128 + number)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _end()
