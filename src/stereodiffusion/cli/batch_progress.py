"""Progress of a batch on stderr: a bar on a terminal, now and then a line in a log, and each failure when it comes."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from stereodiffusion.cli.bench_progress import duration

_LOG_EVERY_S = 30.0


class BatchDisplay:
    """Shows how a batch goes on while it is entered; failures alone when `quiet`.

    Attributes:
        failed: How many failed.
        found: How many were there.
        made: How many were made now.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[said]}"),
            console=self._console,
            transient=True,
            refresh_per_second=4,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, said="")
        self._begun = self._logged = time.monotonic()
        self._total = 0
        self.failed = self.found = self.made = 0

    def __enter__(self) -> "BatchDisplay":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, total: int) -> None:
        """So many rows there are, and the work begins now."""
        self._total, self._begun = total, time.monotonic()

    def add_made(self, name: str) -> None:
        """A result was made."""
        self.made += 1
        self._show(name)

    def add_found(self, name: str) -> None:
        """A result was there."""
        self.found += 1
        self._show(name)

    def add_failed(self, name: str, reason: str) -> None:
        """A row came to nothing."""
        self.failed += 1
        line = reason if reason.startswith(name) else f"{name}: {reason}"
        self._console.print(f"failed: {line}", markup=False, highlight=False, soft_wrap=True)
        self._show(name)

    def _show(self, name: str) -> None:
        done, said = self.made + self.found + self.failed, self._words()
        self._bar.update(self._task, description=name, completed=done, total=self._total, said=said)
        now = time.monotonic()
        if not self._quiet and not self._console.is_terminal and now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            self._console.print(f"{done}/{self._total} {said}", markup=False, highlight=False, soft_wrap=True)

    def _words(self) -> str:
        """The rate of what was made, the time that the rest takes at that, and the failures."""
        words = [f"{self.failed} failed"] if self.failed else []
        if self.made:
            each = (time.monotonic() - self._begun) / self.made
            left = self._total - self.made - self.found - self.failed
            words = [f"{60 / each:.3g} a minute", f"{duration(each * left)} left", *words]
        return ", ".join(words)
