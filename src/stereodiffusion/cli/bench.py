"""`stereodiffusion bench`: runs, tables and figures of the benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stereodiffusion.cli import bench_speed, bench_video, options
from stereodiffusion.cli.choices import DTYPES
from stereodiffusion.cli.devices import usable_device
from stereodiffusion.cli.lists import listed, split
from stereodiffusion.cli.saying import say, say_path
from stereodiffusion.errors import BenchmarkError, ConfigError

if TYPE_CHECKING:
    from stereodiffusion.bench.evaluation import Failure
    from stereodiffusion.bench.pace import Pace
    from stereodiffusion.bench.plan import Plan
    from stereodiffusion.cli.bench_progress import RunDisplay

# Spelled out: the modules that own them import torch, and `--help` does not wait for it.
DATASETS = ("middlebury", "kitti", "eth3d", "folder", "webdataset", "scenes", "auto")
PROTOCOLS = ("paper", "metric", "leak-free", "genstereo")
DISPARITIES = ("truth", "estimated")
PERCEPTUAL = ("lpips_alex", "lpips_vgg", "lpips_squeeze", "stlpips_alex", "stlpips_vgg")
PAIRWISE = ("met3r", "isqoe")
MATCHERS = ("sgbm", "raft_large", "raft_small")
TABLE_FORMATS = ("markdown", "csv", "latex")

_WHAT, _RUNNING = "What is run", "Running"

app = typer.Typer(
    no_args_is_help=True,
    help="Every method on published stereo pairs: the paper's tables and figures. docs/benchmark.md tells how.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


app.command("speed")(bench_speed.speed)
app.command("video")(bench_video.video)


@app.command("run")
def run(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", show_default=False, help=f"One of {', '.join(DATASETS)}.")
    ],
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", show_default=False, help="The folder where it lies; `scenes` are drawn."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Results; a run that was broken off goes on there.")
    ] = Path("results"),
    methods: Annotated[
        list[str],
        typer.Option(
            metavar="NAMES",
            rich_help_panel=_WHAT,
            help="Methods, or all, classical (those without a model), table1, table2, figure3, figure8, steps; repeat "
            "list several with commas.",
        ),
    ] = ["classical"],  # noqa: B006 - typer's way to say the default of a list
    protocols: Annotated[
        list[str],
        typer.Option("--protocol", metavar="NAMES", rich_help_panel=_WHAT, help=f"{', '.join(PROTOCOLS)}."),
    ] = ["metric"],  # noqa: B006
    disparities: Annotated[
        list[str],
        typer.Option(
            "--disparity",
            metavar="NAMES",
            rich_help_panel=_WHAT,
            help=f"{', '.join(DISPARITIES)}; leak-free has the estimated one alone.",
        ),
    ] = ["truth"],  # noqa: B006
    size: Annotated[
        str,
        typer.Option(
            metavar="N",
            rich_help_panel=_WHAT,
            help="Edge of the centre square in pixels; native: pictures as they are.",
        ),
    ] = "512",
    count: Annotated[
        int | None,
        typer.Option(metavar="N", rich_help_panel=_WHAT, show_default="all", help="The first N scenes alone."),
    ] = None,
    first: Annotated[
        int, typer.Option(metavar="SEED", rich_help_panel=_WHAT, help="Of `scenes`: the seed of the first.")
    ] = 0,
    perceptual: Annotated[
        list[str],
        typer.Option(
            metavar="NAMES",
            rich_help_panel=_WHAT,
            show_default="none",
            help=f"Learned metrics besides, of the extras lpips and stlpips: {', '.join(PERCEPTUAL)}.",
        ),
    ] = [],  # noqa: B006
    pairwise: Annotated[
        list[str],
        typer.Option(
            metavar="NAMES",
            rich_help_panel=_WHAT,
            show_default="none",
            help=f"Learned judgements of the pair besides, by networks of your own: {', '.join(PAIRWISE)}.",
        ),
    ] = [],  # noqa: B006
    matcher: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=_WHAT,
            help=f"What measures disparity on the pairs: {', '.join(MATCHERS)}. A network, of the extra raft, does so "
            "besides SGBM; its numbers carry its name.",
        ),
    ] = "sgbm",
    model: options.Model = "toybox",
    steps: options.Steps = None,
    max_disparity: Annotated[
        float,
        typer.Option(
            "--max-disparity",
            metavar="S",
            rich_help_panel="Method",
            help="Parallax of the nearest point under the paper protocol, a fraction of the width.",
        ),
    ] = 0.08,
    depth_estimator: options.Estimator = None,
    seed: options.Seed = 0,
    workers: Annotated[int, typer.Option(metavar="N", rich_help_panel=_RUNNING, help="How many processes.")] = 1,
    device: options.Device = "auto",
    dtype: options.Dtype = "float32",
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compute what is missing in a folder of results."""
    del debug
    if workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {workers}")
    if dtype not in DTYPES:
        raise ConfigError(f"--dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if matcher not in MATCHERS:
        raise ConfigError(f"--matcher must be one of {', '.join(MATCHERS)}, got {matcher!r}")
    if size != "native" and not size.isdecimal():
        raise ConfigError(f"--size must be a number of pixels or native, got {size!r}")
    edge = None if size == "native" else int(size)
    which = (
        listed(protocols, PROTOCOLS, "--protocol"),
        listed(disparities, DISPARITIES, "--disparity"),
    )
    learned = listed(perceptual, PERCEPTUAL, "--perceptual")
    judged = listed(pairwise, PAIRWISE, "--pairwise")

    from stereodiffusion.cli.bench_progress import RunDisplay

    with RunDisplay(quiet=quiet) as display:
        from stereodiffusion.bench.plan import Plan
        from stereodiffusion.bench.protocols import Preparation, case_kinds
        from stereodiffusion.bench.results import DisparitySource, Protocol
        from stereodiffusion.bench.selection import select_methods
        from stereodiffusion.datasets import open_dataset
        from stereodiffusion.metrics import PairwiseName, PerceptualName

        plan = Plan(
            dataset=open_dataset(dataset, data, count=count, seed=first, size=(edge or 512, edge or 512)),
            kinds=case_kinds(cast(Sequence[Protocol], which[0]), cast(Sequence[DisparitySource], which[1])),
            methods=select_methods(split(methods)),
            preparation=Preparation(
                size=edge,
                max_disparity=max_disparity,
                estimator=depth_estimator or ("toybox-depth" if model == "toybox" else "dpt-hybrid-midas"),
            ),
            model=model,
            device=usable_device(device),
            dtype=dtype,
            steps=steps,
            seed=seed,
            perceptual=cast(tuple[PerceptualName, ...], learned),
            pairwise=cast(tuple[PairwiseName, ...], judged),
            matcher=matcher,
        )
        pace, failures = _follow(plan, output, workers, display)
    for failure in failures:
        say(f"left out: {failure.what}: {failure.reason} ({len(failure.jobs)} missing)", err=True)
    if pace.given_up and not pace.computed:
        raise BenchmarkError(f"nothing could be computed, {pace.given_up} results are missing")
    say(f"{output}: {pace.computed} computed, {pace.given_up} left out")


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


@app.command("memory")
def memory(debug: options.Debug = False) -> None:
    """Count the memory that published models take of a graphics card, with each way of saving it; no card is used."""
    del debug

    from stereodiffusion.bench.memory import SIZES, memory_table

    typer.echo(
        "| GB | as it is | --tiles | --offload model --tiles | --offload sequential --tiles |\n|---|---|---|---|---|"
    )
    for row in memory_table(tuple(SIZES)):
        typer.echo(f"| {' | '.join(row)} |")


@app.command("table")
def table(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", show_default=False, help="A folder of `bench run`.")],
    format: Annotated[  # noqa: A002 - the command line's word
        str, typer.Option("--format", "-f", metavar="FORMAT", help=f"One of {', '.join(TABLE_FORMATS)}.")
    ] = "markdown",
    debug: options.Debug = False,
) -> None:
    """Print the paper's tables from our results, beside the paper's numbers."""
    del debug
    if format not in TABLE_FORMATS:
        raise ConfigError(f"--format must be one of {', '.join(TABLE_FORMATS)}, got {format!r}")

    from stereodiffusion.bench.rendering import RENDERERS
    from stereodiffusion.bench.results import read_rows
    from stereodiffusion.bench.tables import make_tables

    say(RENDERERS[format](make_tables(read_rows(results))).removesuffix("\n"))


@app.command("figure")
def figure(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", show_default=False, help="A folder of `bench run`.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", show_default="RESULTS/figures", help="Where to write PNGs."),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Draw the paper's figures from our results."""
    del debug

    from stereodiffusion.bench.figures import write_figures

    for path in write_figures(results, output or results / "figures"):
        say_path(path)
