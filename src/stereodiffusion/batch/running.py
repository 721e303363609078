"""A batch: every row's result, over as many starts as it takes.

What is there is not made again. Results appear whole, each before its line in the report, so that a run that is killed
loses what it was drawing and nothing else; and one run at a time writes to a folder.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from stereodiffusion import temporary
from stereodiffusion.appending import appending
from stereodiffusion.batch.cluster import Cluster, Share, in_cluster
from stereodiffusion.batch.jobs import Job, failure
from stereodiffusion.batch.making import IN_HAND, Maker, Making, Staged
from stereodiffusion.batch.report import REPORT, Entry, Report
from stereodiffusion.errors import WorkerError
from stereodiffusion.processes import in_processes

_PAUSE_S = 5.0  # before what may pass is tried again, twice as long each time


def run(
    jobs: Sequence[Job],
    making: Making,
    *,
    refused: Sequence[Entry] = (),
    workers: int | Cluster = 1,
    retries: int = 2,
    fail_fast: bool = False,
) -> Iterator[Entry]:
    """Make what is missing. Breaking off is allowed at any moment.

    Args:
        jobs: What there should be.
        making: How and where.
        refused: Rows that failed already; they are reported first.
        workers: How many processes; 1 computes in this one, stages of several pictures beside each other. Or a cluster
            of machines.
        retries: How often jobs whose failure may pass are tried again, after all others.
        fail_fast: Whether the first failure ends the run.

    Yields:
        What came of each row, once, when it is in the report.

    Raises:
        ResultsError: If the folder cannot be written to, another run is writing there, the disk is full, or there is
            no such cluster.
    """
    with appending(making.folder / REPORT) as lines:
        temporary.remove_left(making.folder)
        report = Report(lines, making.folder)
        for entry in _tried(jobs, making, refused, workers, retries):
            report.add(entry)
            yield entry
            if fail_fast and entry.status == "failed":
                return


def _tried(
    jobs: Sequence[Job], making: Making, refused: Sequence[Entry], workers: int | Cluster, retries: int
) -> Iterator[Entry]:
    """What came of each row in the end."""
    yield from refused
    left = {job.place: job for job in jobs}
    maker = Staged(making)
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(_PAUSE_S * 2 ** (attempt - 1))
        again: dict[str, Job] = {}
        at_once = 1 if attempt else IN_HAND  # what wanted memory may have all of it
        for entry in _made(list(left.values()), making, maker, workers, at_once):
            if entry.may_pass and attempt < retries:
                again[entry.input] = left[entry.input]
            else:
                yield entry
        if not (left := again):
            return


def _made(jobs: Sequence[Job], making: Making, maker: Staged, workers: int | Cluster, at_once: int) -> Iterator[Entry]:
    if workers == 1:
        return _overlapped(jobs, maker, at_once)
    import torch

    # Each has as many threads as one alone: sums are rounded otherwise with another number of them.
    threads = torch.get_num_threads()
    if isinstance(workers, int):
        return in_processes(partial(Maker, making), jobs, workers, threads=threads, killed=_lost)
    share = Share(threads=threads, gpus=0.0 if making.device == "cpu" else 1.0, in_hand=at_once)
    return in_cluster(partial(Staged, making), jobs, workers, share, lost=_lost)


def _lost(job: Job, error: WorkerError) -> Entry:
    return failure(job.place, error, may_pass=True)


def _overlapped(jobs: Sequence[Job], maker: Staged, at_once: int) -> Iterator[Entry]:
    """In order; so many are worked on at once."""
    hands: deque[Future[list[Entry]]] = deque()
    with ThreadPoolExecutor(at_once) as threads:
        try:
            for job in jobs:
                hands.append(threads.submit(lambda job=job: list(maker(job))))
                if len(hands) == at_once:
                    yield from hands.popleft().result()
            while hands:
                yield from hands.popleft().result()
        finally:
            if hands:
                maker.stop()
