"""Jobs on models that are loaded once: read, drawn, written.

The three are apart, and drawing is done in turns of networks and of pixels alone, so that several threads can have jobs
in hand: while the networks draw one picture, pixels of another are moved, the next is read and the last is written.
What is drawn does not depend on that: networks compute for one picture at a time, all of it as if it were alone, and
nothing is loaded beside drawing.
"""

import errno
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Semaphore
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from stereodiffusion.batch.jobs import Job, failure
from stereodiffusion.batch.naming import result_name
from stereodiffusion.batch.output import Output, find_result
from stereodiffusion.batch.report import Entry
from stereodiffusion.batch.timeline import READING, WRITING, Watch
from stereodiffusion.errors import FormatWarning, ModelUnavailableError, ResultsError, wants_memory
from stereodiffusion.models.memory import PLENTY, Memory
from stereodiffusion.request import DepthRequest, PhotoRequest
from stereodiffusion.settings import PrecisionChoice

if TYPE_CHECKING:
    from stereodiffusion.synthesis import Run, StereoDiffusion, Turn, ViewRun

T = TypeVar("T")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_OFFLINE = (ConnectionError, TimeoutError, ModelUnavailableError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How and where jobs are made; plain, so that it can be sent to workers.

    Attributes:
        folder: Of the results; it is there.
        output: What is written.
        device: Where networks run.
        dtype: In which precision.
        memory: What is done if there is little of it.
    """

    folder: Path
    output: Output
    device: str = "cpu"
    dtype: PrecisionChoice = "auto"
    memory: Memory = PLENTY

    def load(self, model: str) -> "StereoDiffusion":
        """A model; its networks are loaded when they are first used.

        Raises:
            ModelError: If it can be seen at once that it cannot be loaded.
            ConfigError: If there is no such device or precision here.
        """
        from stereodiffusion.synthesis import load

        return load(model, device=self.device, dtype=self.dtype, memory=self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A job whose files have been read and whose networks are loaded."""

    job: Job
    target: Path
    run: "Run | ViewRun"
    watch: Watch
    notes: list[str] = field(default_factory=list[str])


Saved: TypeAlias = Callable[[], Path]
"""Writes what was drawn, and says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A job that has been computed."""

    begun: Begun
    save: Saved


class Maker:
    """Makes jobs. The three stages of a job come one after another, each in any thread.

    Attributes:
        stopped: Whether what is being drawn is to be broken off; its entry is of no use then.
    """

    def __init__(self, making: Making) -> None:
        self.stopped = Event()
        self._making = making
        self._networks = Lock()
        self._model: tuple[str, StereoDiffusion] | None = None
        self._loaded: set[tuple[object, ...]] = set()

    def __call__(self, job: Job) -> Iterator[Entry]:
        """All three, one after another."""
        yield self.write(self.draw(self.begin(job)))

    def loads_nothing(self, job: Job) -> bool:
        """Whether all that a job needs has been loaded, so that it can be read while another is drawn."""
        return _parts(job) in self._loaded

    def begin(self, job: Job) -> Begun | Entry:
        """Read a job's files and load what it needs, unless its result is there."""
        return _attempt(job, lambda: self._begin(job))

    def _begin(self, job: Job) -> Begun | Entry:
        making = self._making
        making.output.check(job.request)
        suffix = making.output.suffix_of(job.request)
        target = making.folder / f"{result_name(job.name, job.request, making.output)}{suffix}"
        if (there := find_result(target)) is not None:
            return Entry(input=job.place, status="done", result=there.name)
        watch = Watch()
        with warnings.catch_warnings(record=True) as caught, watch.timed(READING):
            warnings.filterwarnings("always", category=FormatWarning)
            run = self._loaded_model(job.request.model).run(
                job.request,
                check_size=lambda height, width: making.output.check_size(target, job.request, (height, width)),
                turns=partial(self._turn, watch),
            )
        self._loaded.add(_parts(job))
        notes = [str(one.message) for one in caught if issubclass(one.category, FormatWarning)]
        return Begun(job=job, target=target, run=run, watch=watch, notes=notes)

    @contextmanager
    def _turn(self, watch: Watch, turn: "Turn") -> Generator[None]:
        with self._networks if turn.networks else nullcontext(), watch.timed(turn.stage, networks=turn.networks):
            yield

    def _loaded_model(self, name: str) -> "StereoDiffusion":
        """Of several models the last one alone is kept."""
        if self._model is None or self._model[0] != name:
            self._model = None
            self._loaded.clear()
            self._model = name, self._making.load(name)
        return self._model[1]

    def draw(self, begun: Begun | Entry) -> Drawn | Entry:
        """Compute a pair; of several views, which are written as they come, the writing as well."""
        return begun if isinstance(begun, Entry) else _attempt(begun.job, lambda: self._draw(begun))

    def _draw(self, begun: Begun) -> Drawn:
        from stereodiffusion.synthesis import Run

        output, request, target = self._making.output, begun.job.request, begun.target
        with closing(begun.run):  # whatever happens, the networks are free again
            if isinstance(begun.run, Run):
                for _ in begun.run:
                    if self.stopped.is_set():
                        raise CancelledError
                return Drawn(begun=begun, save=partial(output.write_pair, begun.run.result, request, target))
            path = output.write_views(begun.run, request, target)
            return Drawn(begun=begun, save=lambda: path)

    def write(self, drawn: Drawn | Entry) -> Entry:
        """Write what was drawn, whole."""
        return drawn if isinstance(drawn, Entry) else _attempt(drawn.begun.job, lambda: self._write(drawn))

    def _write(self, drawn: Drawn) -> Entry:
        begun = drawn.begun
        drawing = sum(span.seconds for span in begun.watch.spans if span.stage != READING)
        with begun.watch.timed(WRITING):
            path = drawn.save()
        return Entry(
            input=begun.job.place,
            status="done",
            result=path.name,
            seconds=round(drawing, 3),
            notes=tuple(dict.fromkeys([*begun.notes, *begun.run.notes])),
            spans=tuple(begun.watch.spans),
        )


IN_HAND = 4
"""Jobs that are worked on at once: one is read, two are drawn, of which one has the networks, and one is written."""

DRAWN = 2
"""How many of them are drawn."""


class Staged:
    """A maker that as many threads as there may be jobs in hand call at once."""

    def __init__(self, making: Making) -> None:
        self._maker = Maker(making)
        self._reading, self._writing = Lock(), Lock()
        self._undrawn, self._drawing = Semaphore(IN_HAND), Semaphore(DRAWN)

    def __call__(self, job: Job) -> Iterator[Entry]:
        """What came of a job."""
        maker = self._maker
        with ExitStack() as hand:
            with self._reading, nullcontext() if maker.loads_nothing(job) else self._nothing_undrawn():
                hand.enter_context(self._undrawn)
                begun = maker.begin(job)
            with self._drawing:
                drawn = maker.draw(begun)
        with self._writing:
            yield maker.write(drawn)

    @contextmanager
    def _nothing_undrawn(self) -> Generator[None]:
        """What loads waits for all that has been read to be drawn: nothing is loaded beside drawing, nor kept twice."""
        for _ in range(IN_HAND - 1):
            self._undrawn.acquire()
        try:
            yield
        finally:
            self._undrawn.release(IN_HAND - 1)

    def stop(self) -> None:
        """Break off what is being drawn."""
        self._maker.stopped.set()


def _parts(job: Job) -> tuple[object, ...]:
    """What decides which networks a job needs."""
    request = job.request
    mapped = isinstance(request, PhotoRequest) and request.map is not None
    twice = isinstance(request, DepthRequest) and request.two_step
    return request.model, request.mode, getattr(request, "estimator", None), mapped, twice


def _attempt(job: Job, work: Callable[[], T]) -> T | Entry:
    """What the work gives, or the entry that says why it failed.

    Raises:
        ResultsError: If the disk takes nothing more, which ends the run: all other jobs would fail as well.
    """
    try:
        return work()
    except Exception as error:  # whatever is wrong with one input is no reason to lose the others
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, OSError) and cause.errno in _FULL:
                raise ResultsError(f"{error}; what was done is kept: make room and start again") from error
        return failure(job.place, error, may_pass=any(map(_may_pass, causes)))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _may_pass(error: BaseException) -> bool:
    """Whether it was memory or the network that was wanting."""
    import torch

    return wants_memory(error) or isinstance(error, (torch.OutOfMemoryError, *_OFFLINE))
