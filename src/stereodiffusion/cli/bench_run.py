"""`stereodiffusion bench run`: every method on every scene, into a folder of results."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stereodiffusion.bench.asked import RunRequest
from stereodiffusion.cli import options
from stereodiffusion.cli.devices import checked_dtype, usable_device
from stereodiffusion.cli.fields import command_of, parameter
from stereodiffusion.cli.saying import say
from stereodiffusion.errors import BenchmarkError
from stereodiffusion.settings import PrecisionChoice

if TYPE_CHECKING:
    from stereodiffusion.bench.evaluation import Failure
    from stereodiffusion.bench.pace import Pace
    from stereodiffusion.bench.plan import Plan
    from stereodiffusion.cli.bench_progress import RunDisplay


def command() -> Any:
    """The command; its options are the fields of `RunRequest`."""
    machine = [
        parameter("device", options.Device, "auto"),
        parameter("dtype", options.Dtype, "float32"),
        parameter("quiet", options.Quiet, False),
        parameter("debug", options.Debug, False),
    ]
    return command_of(RunRequest, "Compute what is missing in a folder of results.", _run, machine)


def _run(request: RunRequest, device: str, dtype: str, quiet: bool) -> None:
    precision = checked_dtype(dtype)

    from stereodiffusion.cli.bench_progress import RunDisplay

    with RunDisplay(quiet=quiet) as display:
        pace, failures = _follow(
            _plan(request, usable_device(device), precision), request.output, request.workers, display
        )
    for failure in failures:
        say(f"left out: {failure.what}: {failure.reason} ({len(failure.jobs)} missing)", err=True)
    if pace.given_up and not pace.computed:
        raise BenchmarkError(f"nothing could be computed, {pace.given_up} results are missing")
    say(f"{request.output}: {pace.computed} computed, {pace.given_up} left out")


def _plan(request: RunRequest, device: str, dtype: PrecisionChoice) -> "Plan":
    from stereodiffusion.bench.plan import Plan
    from stereodiffusion.bench.protocols import Preparation, case_kinds
    from stereodiffusion.bench.results import DisparitySource, Protocol
    from stereodiffusion.bench.selection import select_methods
    from stereodiffusion.datasets import open_dataset
    from stereodiffusion.metrics import MatcherName, PairwiseName, PerceptualName

    edge = request.edge_px
    size = edge or 512, edge or 512
    return Plan(
        dataset=open_dataset(request.dataset, request.data, count=request.count, seed=request.first, size=size),
        kinds=case_kinds(
            cast(Sequence[Protocol], request.protocols), cast(Sequence[DisparitySource], request.disparities)
        ),
        methods=select_methods(request.methods),
        preparation=Preparation(
            size=edge,
            max_disparity=request.max_disparity,
            estimator=request.depth_estimator or ("toybox-depth" if request.model == "toybox" else "dpt-hybrid-midas"),
        ),
        model=request.model,
        device=device,
        dtype=dtype,
        steps=request.steps,
        seed=request.seed,
        perceptual=cast(tuple[PerceptualName, ...], request.perceptual),
        pairwise=cast(tuple[PairwiseName, ...], request.pairwise),
        matcher=cast(MatcherName, request.matcher),
    )


def _follow(plan: "Plan", output: Path, workers: int, display: "RunDisplay") -> tuple["Pace", list["Failure"]]:
    """Compute what is missing, and show how it goes on."""
    from stereodiffusion.bench.pace import Pace
    from stereodiffusion.bench.results import Row
    from stereodiffusion.bench.runs import missing_jobs
    from stereodiffusion.bench.runs import run as compute

    pace = Pace((job for job, _ in missing_jobs(plan, output)), workers)
    failures: list[Failure] = []
    for outcome in compute(plan, output, workers=workers):
        if isinstance(outcome, Row):
            pace.add(outcome)
            display.show(pace, f"{outcome.job.scene} {outcome.job.method}")
        else:
            pace.give_up(outcome.jobs)
            failures.append(outcome)
    return pace, failures
