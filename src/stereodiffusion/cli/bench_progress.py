"""Progress of a run of the benchmark on stderr: a bar on a terminal, now and then a line in a log."""

import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from stereodiffusion.bench.pace import Pace

_LOG_EVERY_S = 30.0


class RunDisplay:
    """Shows how much of a run is done and how long the rest will take, while it is entered; nothing when `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[left]}"),
            console=self._console,
            transient=True,
            refresh_per_second=4,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, left="")
        self._begun = self._logged = time.monotonic()

    def __enter__(self) -> "RunDisplay":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, pace: "Pace", latest: str) -> None:
        """What was finished last, and the time left."""
        now = time.monotonic()
        left = pace.seconds_left(now - self._begun)
        words = "" if left is None else f"{duration(left)} left"
        self._bar.update(self._task, description=latest, completed=pace.done, total=pace.total, left=words)
        if not self._quiet and not self._console.is_terminal and now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            self._console.print(f"{pace.done}/{pace.total} {words}", markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """In the largest units that matter: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
