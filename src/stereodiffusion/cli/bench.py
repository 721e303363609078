"""`stereodiffusion bench`: runs, tables and figures of the benchmark."""

from pathlib import Path
from typing import Annotated

import typer

from stereodiffusion.cli import bench_run, bench_speed, bench_video, options
from stereodiffusion.cli.saying import say, say_path
from stereodiffusion.errors import ConfigError

# Spelled out: the module that owns them imports torch, and `--help` does not wait for it.
TABLE_FORMATS = ("markdown", "csv", "latex")

app = typer.Typer(
    no_args_is_help=True,
    help="Every method on published stereo pairs: the paper's tables and figures. docs/benchmark.md tells how.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


app.command("speed")(bench_speed.command())
app.command("video")(bench_video.video)
app.command("run")(bench_run.command())


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
