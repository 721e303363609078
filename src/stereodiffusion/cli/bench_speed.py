"""`stereodiffusion bench speed`: what each preset costs, in one run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.choices import DTYPES
from stereodiffusion.cli.devices import usable_device
from stereodiffusion.cli.lists import listed
from stereodiffusion.cli.saying import say, say_path
from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Mode
from stereodiffusion.settings.presets import PresetName, preset_names

if TYPE_CHECKING:
    from stereodiffusion.bench.speed import Speed, SpeedModel

# Spelled out: the modules that own them import torch, and `--help` does not wait for it.
MODELS = ("toybox", "sd1")
_LEAST_WIDTH = 150
MODES: tuple[Mode, ...] = ("text", "depth", "photo")


def speed(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where speed.json and speed.md are written.")
    ] = Path("results"),
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="NAMES",
            help="toybox, and sd1: networks of Stable Diffusion's size with random weights, nothing is downloaded.",
        ),
    ] = ["toybox,sd1"],  # noqa: B006 - typer's way to say the default of a list
    modes: Annotated[
        list[str], typer.Option("--mode", metavar="NAMES", help=f"{', '.join(MODES)}; several with commas.")
    ] = ["text,depth,photo"],  # noqa: B006
    presets: Annotated[
        list[str], typer.Option("--preset", metavar="NAMES", help=f"{', '.join(preset_names())}; several with commas.")
    ] = ["paper,fast,best"],  # noqa: B006
    stretch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            show_default="all",
            help="Run N steps of each and extrapolate; at Stable Diffusion's size `paper` takes hours otherwise.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", show_default="torch's own", help="Threads of the processor.")
    ] = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    debug: options.Debug = False,
) -> None:
    """Measure `paper`, in float32, against the other presets: seconds, evaluations, memory, share of the ceiling."""
    del debug
    which = listed(models, MODELS, "--model"), listed(modes, MODES, "--mode")
    names = listed(presets, preset_names(), "--preset")
    if dtype not in DTYPES:
        raise ConfigError(f"--dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if stretch is not None and stretch < 2:
        raise ConfigError(f"--stretch must be at least 2, got {stretch}")
    if threads is not None and threads < 1:
        raise ConfigError(f"--threads must be at least 1, got {threads}")

    from rich.console import Console
    from rich.table import Table

    from stereodiffusion.bench.speed_report import COLUMNS, cells, notes, write_report
    from stereodiffusion.bench.speed_run import SpeedPlan, run_speed

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    plan = SpeedPlan(
        models=cast("tuple[SpeedModel, ...]", which[0]),
        modes=cast(tuple[Mode, ...], which[1]),
        presets=cast(tuple[PresetName, ...], names),
        device=usable_device(device),
        dtype=dtype,
        stretch=stretch,
    )
    lines: list[Speed] = []
    for line in run_speed(plan):
        lines.append(line)
        say(f"{line.model} {line.mode} {line.preset}: {line.seconds:.1f} s", err=True)
        write_report(output, lines)  # what is done is kept
    table = Table(*COLUMNS)
    for line in lines:
        table.add_row(*cells(line, lines))
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)  # a log has 80 columns, which is too few
    console.print(table)
    for note in notes(lines):
        console.print(note, markup=False, highlight=False)
    for path in write_report(output, lines):
        say_path(path)
