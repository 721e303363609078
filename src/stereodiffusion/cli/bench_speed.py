"""`stereodiffusion bench speed`: what each preset costs, in one run."""

from typing import TYPE_CHECKING, Any, cast

from stereodiffusion.bench.asked import SpeedRequest
from stereodiffusion.cli import options
from stereodiffusion.cli.devices import checked_dtype, usable_device
from stereodiffusion.cli.fields import command_of, parameter
from stereodiffusion.cli.saying import say, say_path
from stereodiffusion.settings import Mode
from stereodiffusion.settings.presets import PresetName

if TYPE_CHECKING:
    from stereodiffusion.bench.speed import Speed, SpeedModel

_LEAST_WIDTH = 160
_SUMMARY = "Measure `paper`, in float32, against the other presets: seconds, evaluations, memory, share of the ceiling."


def command() -> Any:
    """The command; its options are the fields of `SpeedRequest`."""
    machine = [
        parameter("device", options.Device, "auto"),
        parameter("dtype", options.Dtype, "auto"),
        parameter("debug", options.Debug, False),
    ]
    return command_of(SpeedRequest, _SUMMARY, _run, machine)


def _run(request: SpeedRequest, device: str, dtype: str) -> None:
    precision = checked_dtype(dtype)

    from stereodiffusion.bench.speed_report import fastest, write_report
    from stereodiffusion.bench.speed_run import SpeedPlan, run_speed

    if request.threads is not None:
        import torch

        torch.set_num_threads(request.threads)
    plan = SpeedPlan(
        models=cast("tuple[SpeedModel, ...]", request.models),
        modes=cast(tuple[Mode, ...], request.modes),
        presets=cast(tuple[PresetName, ...], request.presets),
        device=usable_device(device),
        dtype=precision,
        stretch=request.stretch,
        rounds=request.rounds,
        size=request.edge,
    )
    output, lines = request.output, list["Speed"]()
    for line in run_speed(plan):
        lines.append(line)
        say(f"{line.model} {line.mode} {line.preset}: {line.seconds:.1f} s", err=True)
        write_report(output, fastest(lines))  # what is done is kept
    _show(fastest(lines))
    for path in write_report(output, fastest(lines)):
        say_path(path)


def _show(lines: "list[Speed]") -> None:
    from rich.console import Console
    from rich.table import Table

    from stereodiffusion.bench.speed_report import COLUMNS, cells, notes

    table = Table(*COLUMNS)
    for line in lines:
        table.add_row(*cells(line, lines))
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)  # a log has 80 columns, which is too few
    console.print(table)
    for note in notes(lines):
        console.print(note, markup=False, highlight=False)
