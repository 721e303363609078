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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, TypeAlias, TypeVar, cast

from stereodiffusion.errors import WorkerError
from stereodiffusion.temporary import all_removed

Item = TypeVar("Item")
Result = TypeVar("Result")
Link: TypeAlias = Connection

_PATIENCE_S = 5.0  # for a worker that is told to end


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A worker's last word: what it cannot go on from."""

    error: Exception


def in_processes(
    make: Callable[[], Callable[[Item], Iterable[Result]]],
    items: Sequence[Item],
    workers: int,
    *,
    threads: int | None = None,
    killed: Callable[[Item, WorkerError], Result] | None = None,
) -> Iterator[Result]:
    """The results of all items, as they come.

    Args:
        make: Called once in each process; what it returns is called with one item after the other.
        items: What is to be done, handed out one at a time; none of them is None.
        workers: How many processes. They start afresh, so `make`, items and results are pickled.
        threads: Of torch in each process; if None, they share what this process has.
        killed: What comes of an item whose process was killed; another process takes its place.

    Raises:
        WorkerError: If a process is killed and nothing is said of that.
        Exception: Whatever the work raises.
    """
    waiting = iter(items)
    workers = min(workers, len(items))
    with _pool(make, threads or _share(workers)) as pool:
        for item in islice(waiting, workers):
            pool.start(item)
        while pool.busy:
            for link in cast(list[Link], wait(list(pool.busy))):
                item = pool.busy[link]
                try:
                    message = pool.receive(link)
                except WorkerError as error:
                    if killed is None:
                        raise
                    yield killed(item, error)
                    if (item := next(waiting, None)) is not None:
                        pool.start(item)
                    continue
                if isinstance(message, _Stopped):
                    raise message.error
                if message is not None:
                    yield message
                elif (item := next(waiting, None)) is not None:
                    pool.hand(link, item)
                else:
                    del pool.busy[link]


def _share(workers: int) -> int:
    """The threads of each of several processes."""
    import torch

    return max(1, torch.get_num_threads() // max(1, workers))


class _Pool:
    """Processes and the links to them.

    Attributes:
        busy: What each of those that work is working on.
    """

    def __init__(self, make: Callable[[], Any], threads: int) -> None:
        self._pickled = pickle.dumps(make)  # a worker watches its parent before it imports what this takes
        self._threads = threads
        self._started: dict[Link, BaseProcess] = {}
        self.busy: dict[Link, Any] = {}

    def start(self, item: object) -> None:
        """Another process, for an item."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._pickled, theirs, self._threads), daemon=True)
        with _interrupts_held():
            process.start()
        theirs.close()
        self._started[ours] = process
        self.hand(ours, item)

    def hand(self, link: Link, item: object) -> None:
        """Give a process something to do; that it has ended meanwhile is noticed when it is listened to."""
        self.busy[link] = item
        with suppress(OSError):
            link.send(item)

    def receive(self, link: Link) -> Any:
        """What a process says.

        Raises:
            WorkerError: If it was killed.
        """
        try:
            return link.recv()
        except (EOFError, OSError) as ended:
            process = self._started.pop(link)
            del self.busy[link]
            process.join()
            link.close()
            raise WorkerError(
                f"a worker process was killed (exit code {process.exitcode}), perhaps for want of memory; what was "
                "computed is kept: start again, with fewer workers"
            ) from ended

    def end(self) -> None:
        """Leave none behind."""
        for link, process in self._started.items():
            process.terminate()
            process.join(timeout=_PATIENCE_S)
            process.kill()
            process.join()
            link.close()


@contextmanager
def _pool(make: Callable[[], Any], threads: int) -> Generator[_Pool]:
    """Processes to come; whatever happens, none is left behind."""
    pool = _Pool(make, threads)
    try:
        yield pool
    finally:
        pool.end()


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


def _serve(pickled: bytes, link: Link, threads: int) -> None:
    """A worker: takes items and sends results, then None for "done", until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        make: Callable[[], Callable[[Any], Iterable[Any]]] = pickle.loads(pickled)
        import torch
        from tqdm import tqdm

        torch.set_num_threads(threads)
        tqdm.set_lock(threading.RLock())  # its own is one between processes, and reported as lost by who ends this one
        work = make()
        while True:
            for result in work(_heard(link)):
                _tell(link, result)
            _tell(link, None)
    except Exception as error:
        error.add_note(traceback.format_exc())  # tracebacks do not travel
        _tell(link, _Stopped(error))


def _heard(link: Link) -> Any:
    """What the parent says; where it is no more, this process ends."""
    try:
        return link.recv()
    except (EOFError, OSError):
        _end()


def _tell(link: Link, message: object) -> None:
    """Say something to the parent; where it is no more, this process ends."""
    try:
        link.send(message)
    except OSError:
        _end()


def _end(number: int = signal.SIGTERM, _: FrameType | None = None) -> None:
    with all_removed():
        os._exit(128 + number)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _end()
