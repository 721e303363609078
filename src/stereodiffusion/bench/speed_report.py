"""The lines of `bench speed` as a file of JSON and as one of Markdown."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from stereodiffusion import __version__
from stereodiffusion.bench.one_picture import ONE_PICTURE
from stereodiffusion.bench.speed import Speed
from stereodiffusion.formats.files import write_files

COLUMNS = (
    "model", "mode", "preset", "precision", "seconds", "core seconds", "times faster", "of diffusers' picture",
    "evaluations", "peak memory, MB", "network, GFLOP per core second", "of the ceiling",
)  # fmt: skip
"""What the table shows."""


def cells(speed: Speed, lines: Sequence[Speed]) -> tuple[str, ...]:
    """One line of the table; factors and shares are of core seconds in the same run.

    Factors are against `paper` in the same mode, shares of what diffusers' own pipeline takes for one picture; in
    brackets by the clock.
    """
    about = "about " if speed.stretch < speed.steps else ""
    return (
        speed.model,
        speed.mode,
        speed.preset,
        speed.dtype,
        about + _seconds(speed.seconds, speed.seconds_least),
        about + _seconds(speed.core_seconds, speed.core_seconds_least),
        _faster(speed, lines),
        _share(speed, lines),
        str(speed.evaluations),
        f"{speed.peak_memory_mb:.0f}",
        f"{speed.network_gflops:.0f} of {speed.ceiling_gflops:.0f}",
        f"{speed.share:.0%}",
    )


def _seconds(most: float, least: float) -> str:
    return f"{most:.1f} (least {least:.1f})" if least < most else f"{most:.1f}"


def _faster(speed: Speed, lines: Sequence[Speed]) -> str:
    for paper in lines:
        if (paper.model, paper.mode, paper.preset) == (speed.model, speed.mode, "paper") and paper is not speed:
            return _seconds(paper.core_seconds / speed.core_seconds, paper.core_seconds_least / speed.core_seconds)
    return ""


def _share(speed: Speed, lines: Sequence[Speed]) -> str:
    """Of diffusers' one picture by the same network, in the same precision; the depth mode has another network."""
    for one in lines:
        same = (one.model, one.dtype, one.preset) == (speed.model, speed.dtype, ONE_PICTURE)
        if same and one is not speed and speed.mode != "depth":
            return f"{speed.core_seconds / one.core_seconds:.2f} ({speed.seconds / one.seconds:.2f})"
    return ""


def fastest(lines: Sequence[Speed]) -> list[Speed]:
    """Of several rounds the one in which each line took fewest core seconds, in the order of the first round."""
    best: dict[tuple[str, ...], Speed] = {}
    for line in lines:
        key = (line.model, line.mode, line.preset, line.dtype)
        if key not in best or line.core_seconds < best[key].core_seconds:
            best[key] = line
    return list(best.values())


def notes(lines: Sequence[Speed]) -> list[str]:
    """What a reader has to know."""
    said = [
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}.",
        "Core seconds: of all threads together, whatever else the machine does. Factors are of them, against `paper`.",
        "The ceiling is that of square matrix multiplications in the same precision, with as many threads, before and "
        "after each line.",
    ]
    if any(_share(line, lines) for line in lines):
        said.append(
            f"{ONE_PICTURE[0].upper()}{ONE_PICTURE[1:]}: its own pipeline and network, with the same weights, steps, "
            "guidance and precision; shares of it are of core seconds, in brackets by the clock."
        )
    stretches = sorted({line.stretch for line in lines if line.stretch < line.steps})
    if stretches:
        ran = ", ".join(map(str, stretches))
        said.append(f"Lines with 'about' are extrapolated from a stretch of {ran} steps, stage by stage.")
    if any(line.seconds_least < line.seconds for line in lines):
        said.append("Null-text inversion: ten iterations in every step; 'least' is one, where it stops early at once.")
    return said


def markdown(lines: Sequence[Speed]) -> str:
    """The table for GitHub and the like."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(cells(line, lines) for line in lines)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n" + "\n".join(f"- {note}" for note in notes(lines)) + "\n"


def write_report(folder: Path, lines: Sequence[Speed]) -> list[Path]:
    """`speed.json` and `speed.md` in a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "stereodiffusion": __version__,
        "torch": torch.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "lines": [asdict(line) | {"share": line.share} for line in lines],
    }
    files = {
        folder / "speed.json": (json.dumps(content, indent=2, allow_nan=False) + "\n").encode(),
        folder / "speed.md": markdown(lines).encode(),
    }
    return write_files(files)
