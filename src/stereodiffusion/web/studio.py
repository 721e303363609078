"""What the page and programs have in common: a model, a line before it, and results."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry.curve import joined
from stereodiffusion.request import Request
from stereodiffusion.synthesis import Run, StereoDiffusion
from stereodiffusion.synthesis.rerender import Relief
from stereodiffusion.web.forms import with_map, with_relief
from stereodiffusion.web.limits import Limits, Rate
from stereodiffusion.web.results import Result, Results
from stereodiffusion.web.worker import Job, Waiting, Worker, Working

Event = Waiting | Working | Result


class Studio:
    """Makes pairs for many clients with one model.

    Attributes:
        model: The only one that clients get.
        limits: Of what they may ask for.
        results: What was made.
    """

    def __init__(self, model: StereoDiffusion, limits: Limits, folder: Path) -> None:
        self.model, self.limits = model, limits
        self.results = Results(limits.kept, limits.kept_pixels, folder)
        self._worker = Worker(limits.waiting)
        self._rate = Rate(limits.runs_per_minute)
        self._jobs: dict[str, Job] = {}

    def make(self, request: Request, *, client: str, session: str) -> Iterator[Event]:
        """Make what a request says: what happens, and the result at last. Whoever breaks off calls the run off.

        Args:
            request: Of this model.
            client: Whose number of runs is limited.
            session: By which `cancel` knows the run.

        Raises:
            StereoDiffusionError: If it is refused or called off.
        """
        self.limits.check_request(request)
        if not self._rate.allows(client):
            raise ConfigError(f"expected at most {self.limits.runs_per_minute} runs a minute: try again in a while")
        job = self._worker.submit(lambda: self._start(request))
        self._jobs[session] = job
        try:
            yield from job.news()
            yield self.results.add(request, job.result, tuple(job.notes))
        finally:
            job.cancel()
            if self._jobs.get(session) is job:
                del self._jobs[session]

    def _start(self, request: Request) -> Run:
        return cast(Run, self.model.run(request, check_size=self.limits.check_size))

    def cancel(self, session: str) -> None:
        """Call off the run of a session, if there is one."""
        job = self._jobs.get(session)
        if job is not None:
            job.cancel()

    def again(self, name: str, relief: Relief, *, edited: bool) -> Request:
        """The request of a result with other parallax, perhaps with its edited map.

        Raises:
            StereoDiffusionError: If there is no such result, or no edited map, or the parallax makes no sense.
        """
        result = self.results[name]
        request, spread = result.request, result.spread(relief)
        if not edited:
            return request if relief == result.made else with_relief(request, relief, spread)
        # The map that was painted on has the curve of the pair already.
        relief = replace(relief, curve=joined(result.made.curve, relief.curve))
        return with_relief(with_map(request, *self.results.edited(result)), relief, spread)
