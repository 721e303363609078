"""One thread that owns the model: runs wait in line for it, tell how far they are, and can be called off.

A run stays in one thread from beginning to end, since what a network has hooked on is that thread's own.
"""

import queue
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import cast

from stereodiffusion.errors import SynthesisError
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.run import Progress, Run

_LOOK_S = 0.25  # how often a run that waits looks at its place in line, which it tells when that changes
_ALIVE_S = 2.0  # how often at least, so that it is noticed if its client has gone
_TELL_S = 0.1  # how often one under way tells how far it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run that has not begun.

    Attributes:
        ahead: Runs before it.
    """

    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A run under way.

    Attributes:
        at: The step it has taken; None while models are loaded.
        left_s: Time until the stage is done, None if that cannot be told yet.
    """

    at: Progress | None
    left_s: float | None = None


class CancelledError(SynthesisError):
    """A run that was called off."""


class Job:
    """A run in the hands of the worker.

    Attributes:
        notes: What was assumed or looks wrong.
    """

    def __init__(self, start: Callable[[], Run], ahead: "Callable[[Job], int]") -> None:
        self.notes: list[str] = []
        self._start, self._ahead = start, ahead
        self._off, self._begun, self._done = Event(), Event(), Event()
        self._news: queue.SimpleQueue[Working | None] = queue.SimpleQueue()
        self._pair: StereoPair | None = None
        self._failed: BaseException | None = None

    def cancel(self) -> None:
        """Call it off: it ends before its next step, or never begins."""
        self._off.set()

    def news(self) -> Iterator[Waiting | Working]:
        """What happens, until it is done."""
        told, at = -1, 0.0
        while not self._off.is_set():
            try:
                news = self._news.get(timeout=_LOOK_S)
            except queue.Empty:
                ahead, now = self._ahead(self), time.monotonic()
                if not self._begun.is_set() and (ahead != told or now - at >= _ALIVE_S):
                    told, at = ahead, now
                    yield Waiting(ahead=ahead)
                continue
            if news is None:
                self._news.put(None)  # for whoever asks again
                return
            yield news

    @property
    def result(self) -> StereoPair:
        """The pair, when it is done.

        Raises:
            CancelledError: If it was called off.
            StereoDiffusionError: If it was refused.
        """
        if self._off.is_set():
            raise CancelledError("stopped")
        self._done.wait()
        if self._failed is not None:
            raise self._failed
        if self._pair is None:
            raise SynthesisError("expected a pair, got none")
        return self._pair

    def work(self) -> None:
        """Run to the end, in the worker's thread."""
        self._begun.set()
        try:
            if not self._off.is_set():
                self._news.put(Working(at=None))
                run = self._start()
                with closing(cast(Generator[Progress, None, None], iter(run))) as steps:
                    self._follow(run, steps)  # called off, it lets go of the model here
        except BaseException as failed:  # the worker's thread goes on whatever happens; who waits is told
            self._failed = failed
        finally:
            self._done.set()
            self._news.put(None)

    def _follow(self, run: Run, steps: Iterator[Progress]) -> None:
        stage, began, first, told = "", 0.0, 0, 0.0
        for at in steps:
            if self._off.is_set():
                return
            now = time.monotonic()
            if at.stage != stage:
                stage, began, first = at.stage, now, at.step
            if now - told >= _TELL_S or at.step == at.steps:
                told = now
                taken = at.step - first
                left_s = (now - began) / taken * (at.steps - at.step) if taken else None
                self._news.put(Working(at=at, left_s=left_s))
        self.notes = run.notes
        self._pair = run.result


class Worker:
    """Works on one job at a time, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._line: list[Job] = []
        self._coming: queue.SimpleQueue[Job] = queue.SimpleQueue()
        Thread(target=self._work, name="model", daemon=True).start()

    def submit(self, start: Callable[[], Run]) -> Job:
        """Put a run in line.

        Raises:
            SynthesisError: If too many wait already.
        """
        job = Job(start, self._ahead)
        with self._lock:
            if len(self._line) > self._most:
                raise SynthesisError(f"{self._most} runs are waiting already: try again in a while")
            self._line.append(job)
            self._coming.put(job)
        return job

    def _ahead(self, job: Job) -> int:
        with self._lock:
            return self._line.index(job) if job in self._line else 0

    def _work(self) -> None:
        while True:
            job = self._coming.get()
            job.work()
            with self._lock:
                self._line.remove(job)
