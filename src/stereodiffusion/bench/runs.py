"""Runs: every method on every scene, in several processes, over as many starts as it takes.

What is to be done is what the plan asks for, less what the rows on disk answer. Workers compute and write pictures; the
process that started them alone writes rows. So a run that is killed loses the pictures in work, one for each worker,
and a run that is started again computes nothing twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from stereodiffusion.bench.evaluation import Evaluator, Outcome
from stereodiffusion.bench.plan import Plan
from stereodiffusion.bench.results import ROWS, Job, Row, read_rows, writing
from stereodiffusion.metrics import check_pairwise, check_perceptual
from stereodiffusion.processes import in_processes


def missing_jobs(plan: Plan, folder: Path) -> tuple[tuple[Job, Row | None], ...]:
    """What a folder of results, which need not be there yet, does not answer.

    Returns:
        Jobs; with those of which only metrics are missing, the row there is.

    Raises:
        BenchmarkError: If its rows are damaged.
    """
    known = {row.job.key: row for row in read_rows(folder)} if (folder / ROWS).exists() else dict[str, Row]()
    jobs = (job for scene in plan.dataset.scenes for _, job in plan.jobs(scene))
    return tuple((job, known.get(job.key)) for job in jobs if not plan.satisfied_by(known.get(job.key)))


def run(plan: Plan, folder: Path, *, workers: int = 1) -> Iterator[Outcome]:
    """Compute what is missing. Breaking off is allowed at any moment.

    A picture of which only metrics are missing is measured, not computed again.

    Args:
        plan: What there should be.
        folder: The results.
        workers: How many processes; 1 computes in this one.

    Yields:
        Rows, each of which is on disk by then, and failures of scenes that cannot be read and methods that refuse them.

    Raises:
        ResultsError: If the folder cannot be written to, or another run is writing there.
        WorkerError: If a worker was killed.
        ModelError: If a network cannot be loaded; if it is not there, nothing is written.
    """
    for judgement in plan.pairwise:  # before there is a folder
        check_pairwise(judgement)
    for distance in plan.perceptual:
        check_perceptual(distance)
    with writing(folder) as rows:
        missing = missing_jobs(plan, folder)
        scenes = tuple(dict.fromkeys(job.scene for job, _ in missing))
        make = partial(_evaluate, plan, folder, {job.key: row for job, row in missing})
        for outcome in _one_by_one(make, scenes) if workers == 1 else in_processes(make, scenes, workers):
            if isinstance(outcome, Row):
                rows.append(outcome)
            yield outcome


def _evaluate(plan: Plan, folder: Path, wanted: Mapping[str, Row | None]) -> Callable[[str], Iterable[Outcome]]:
    return partial(Evaluator(plan, folder).scene, wanted=wanted)


def _one_by_one(make: Callable[[], Callable[[str], Iterable[Outcome]]], scenes: Iterable[str]) -> Iterator[Outcome]:
    evaluate = make()
    for scene in scenes:
        yield from evaluate(scene)
