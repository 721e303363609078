"""How long a run will still take. Methods differ a thousandfold, so each is reckoned by its own pictures."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import fmean

from stereodiffusion.bench.results import Job, Row


class Pace:
    """Is told what becomes of each job, and reckons the rest.

    Attributes:
        total: How many jobs there are.
        computed: How many have a row by now.
        given_up: How many will have none.
    """

    def __init__(self, jobs: Iterable[Job], workers: int) -> None:
        self._left = Counter(job.method for job in jobs)
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._workers = workers
        self.total = self._left.total()
        self.computed = 0
        self.given_up = 0

    @property
    def done(self) -> int:
        """How many jobs nothing is left to do for."""
        return self.computed + self.given_up

    def add(self, row: Row) -> None:
        """A row is there."""
        self._seconds[row.job.method].append(row.seconds)
        self._left[row.job.method] -= 1
        self.computed += 1

    def give_up(self, jobs: Iterable[Job]) -> None:
        """These jobs will have no rows."""
        for job in jobs:
            self._left[job.method] -= 1
            self.given_up += 1

    def seconds_left(self, elapsed: float) -> float | None:
        """Reckoned from what each method took and what the run took around them; None before the first row.

        Args:
            elapsed: Seconds since the run began.
        """
        if not self.computed:
            return None
        means = {method: fmean(seconds) for method, seconds in self._seconds.items()}
        spent = sum(sum(seconds) for seconds in self._seconds.values())
        around = max(elapsed * self._workers - spent, 0.0) / self.computed  # reading, preparing, measuring
        unknown = fmean(means.values())
        return sum(n * (means.get(method, unknown) + around) for method, n in self._left.items()) / self._workers
