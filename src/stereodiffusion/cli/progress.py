"""A bar on stderr: the stage, its step, and the time left."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from stereodiffusion.cli.saying import spelled
from stereodiffusion.errors import FormatWarning

if TYPE_CHECKING:
    from stereodiffusion.pair import StereoPair
    from stereodiffusion.synthesis import Progress as Step
    from stereodiffusion.synthesis import Run, ViewRun
    from stereodiffusion.views import View

T = TypeVar("T")


class Display:
    """Shows what goes on while it is entered: nothing when `quiet`, and no bar where stderr is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description:<10}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]:>7}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=4,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, count="")
        self._shown = ""
        self._warned = warnings.catch_warnings()
        self._log, self._heard = logging.getLogger("stereodiffusion"), _Heard(self._fetching)
        if quiet:
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    def __enter__(self) -> "Display":
        self._log.addHandler(self._heard)
        self._log.setLevel(logging.INFO)
        self._warned.__enter__()
        warnings.filterwarnings("always", category=FormatWarning)
        warnings.showwarning = lambda message, *_: self.note(str(message))
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._warned.__exit__(kind, error, trace)
        self._log.removeHandler(self._heard)
        self._log.setLevel(logging.NOTSET)

    def note(self, message: str) -> None:
        """A line that explains what was assumed."""
        if not self._quiet:
            self._bar.console.print(spelled(message), markup=False, highlight=False, soft_wrap=True)

    def loading(self, name: str, load: Callable[[], T]) -> T:
        """Load models, under a moving bar; under the hub's own bars while something is fetched."""
        self._stage(f"loading {name}", None)
        loaded = load()
        self._bar.start()
        return loaded

    def _fetching(self, message: str) -> None:
        self._bar.stop()
        self.note(message)

    def follow(self, run: "Run") -> "StereoPair":
        """Run to the end; gives the pair."""
        told = 0
        for step in run:
            told = self._tell(run.notes, told)
            self._advance(step)
        self._tell(run.notes, told)
        return run.result

    def _tell(self, notes: Sequence[str], told: int) -> int:
        """Show the notes that are new; gives how many there are."""
        for note in notes[told:]:
            self.note(note)
        return len(notes)

    def views(self, run: "ViewRun") -> "Iterator[View]":
        """The views, as they are made."""
        from stereodiffusion.views import View

        told = 0
        for event in run.steps:
            told = self._tell(run.notes, told)
            if isinstance(event, View):
                yield event
            else:
                self._advance(event)

    def _stage(self, description: str, steps: int | None) -> None:
        self._bar.reset(self._task, total=steps, description=description, count="")
        self._bar.refresh()

    def advance(self, stage: str, step: int, steps: int) -> None:
        """Show how far a stage is."""
        if stage != self._shown:
            self._shown = stage
            self._stage(stage, steps)
        self._bar.update(self._task, completed=step, count=f"{step}/{steps}", refresh=step == steps)

    def _advance(self, at: "Step") -> None:
        self.advance(at.stage, at.step, at.steps)


class _Heard(logging.Handler):
    """What the package logs is told to people."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())
