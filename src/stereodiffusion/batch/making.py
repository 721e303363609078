"""One job after another on models that are loaded once: read, drawn, written.

The three are apart so that a thread can read the next photo and another write the last pair while one is drawn. What
is drawn does not depend on that: drawing stays in one thread, and nothing is loaded beside it.
"""

import errno
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from stereodiffusion.batch.jobs import Job, failure
from stereodiffusion.batch.naming import result_name
from stereodiffusion.batch.output import Output, find_result
from stereodiffusion.batch.report import Entry
from stereodiffusion.errors import FormatWarning, ModelUnavailableError, ResultsError, wants_memory
from stereodiffusion.models.memory import PLENTY, Memory
from stereodiffusion.request import DepthRequest, PhotoRequest
from stereodiffusion.settings import PrecisionChoice

if TYPE_CHECKING:
    from stereodiffusion.synthesis import Run, StereoDiffusion, ViewRun

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
    notes: list[str] = field(default_factory=list[str])


Saved: TypeAlias = Callable[[], Path]
"""Writes what was drawn, and says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A job that has been computed."""

    begun: Begun
    save: Saved
    seconds: float


class Maker:
    """Makes jobs. The three stages of a job come one after another, each in any thread."""

    def __init__(self, making: Making) -> None:
        self._making = making
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
        with warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("always", category=FormatWarning)
            run = self._loaded_model(job.request.model).run(
                job.request,
                check_size=lambda height, width: making.output.check_size(target, job.request, (height, width)),
            )
        self._loaded.add(_parts(job))
        notes = [str(one.message) for one in caught if issubclass(one.category, FormatWarning)]
        return Begun(job=job, target=target, run=run, notes=notes)

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
        started = time.perf_counter()
        if isinstance(begun.run, Run):
            pair = begun.run.result

            def save() -> Path:
                return output.write_pair(pair, request, target)
        else:
            path = output.write_views(begun.run, request, target)

            def save() -> Path:
                return path

        return Drawn(begun=begun, save=save, seconds=time.perf_counter() - started)

    def write(self, drawn: Drawn | Entry) -> Entry:
        """Write what was drawn, whole."""
        return drawn if isinstance(drawn, Entry) else _attempt(drawn.begun.job, lambda: self._write(drawn))

    def _write(self, drawn: Drawn) -> Entry:
        begun = drawn.begun
        return Entry(
            input=begun.job.place,
            status="done",
            result=drawn.save().name,
            seconds=round(drawn.seconds, 3),
            notes=tuple(dict.fromkeys([*begun.notes, *begun.run.notes])),
        )


class Staged:
    """A maker that several threads may call at once: of their jobs one is read, one drawn and one written at a time."""

    def __init__(self, making: Making) -> None:
        self._maker = Maker(making)
        self._reading, self._drawing, self._writing = Lock(), Lock(), Lock()

    def __call__(self, job: Job) -> Iterator[Entry]:
        """What came of a job."""
        maker = self._maker
        with self._reading:
            alone = nullcontext() if maker.loads_nothing(job) else self._drawing  # nothing is loaded beside drawing
            with alone:
                begun = maker.begin(job)
        with self._drawing:
            drawn = maker.draw(begun)
        with self._writing:
            yield maker.write(drawn)


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
