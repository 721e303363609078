"""Kills a batch again and again, at random moments, and holds what is there against what an undisturbed run makes.

    python -m tests.batch.killing MODEL ESTIMATOR FOLDER --kills 100 --workers 2 [--ray local]

Each run is forked from a process that has imported everything, so that kills fall into work and not into imports;
workers start afresh. The next start comes at once, while what the last one has left behind may still be ending.
"""

import argparse
import os
import random
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from itertools import takewhile
from math import inf
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image
from tests.forking import forked

from stereodiffusion.batch import REPORT, Cluster, Making, Output, jobs_of, read_report, read_rows, run


def write_photos(folder: Path, count: int) -> None:
    """Photos of coarse noise, each another one."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(count):
        levels = np.kron(draw.integers(0, 255, (4, 5, 3)), np.ones((8, 8, 1)))
        Image.fromarray(levels.astype(np.uint8)).save(folder / f"{number:03}.png")


def make_all(
    photos: Path, folder: Path, model: Path, estimator: Path, formats: tuple[str, ...], workers: int | Cluster
) -> None:
    """The batch, to its end."""
    defaults = {"model": str(model), "estimator": str(estimator), "preset": "fast", "changes": {"sampling.steps": 2}}
    jobs, refused = jobs_of(read_rows(photos), defaults)
    making = Making(folder=folder, output=Output(formats=formats))
    for entry in run(jobs, making, refused=refused, workers=workers):
        assert entry.status == "done", entry


def at_once() -> bool:
    """The clock runs from the start."""
    return True


def ends(work: Callable[[], None], within: float, begun: Callable[[], bool] = at_once) -> bool:
    """Whether work ends by itself in a process of its own, which is killed so many seconds after it has begun.

    Raises:
        AssertionError: If it fails.
    """
    child = forked(work)
    deadline = None
    while deadline is None or time.monotonic() < deadline:
        if deadline is None and begun():
            deadline = time.monotonic() + within
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, f"the batch failed: {os.waitstatus_to_exitcode(status)}"
            return True
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def contents(folder: Path) -> dict[str, str]:
    """The digest of each visible file but the report; what is hidden may go at any moment."""
    found: dict[str, str] = {}
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(at, name) for name in files if name != REPORT and not name.startswith(".")):
            found[str(path.relative_to(folder))] = sha256(path.read_bytes()).hexdigest()
    return found


def names_in(folder: Path) -> set[str]:
    """Of all that is there, hidden or not."""
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def kill_again_and_again(
    work: Callable[[], None],
    folder: Path,
    expected: dict[str, str],
    delays: Iterable[float],
    *,
    when_drawing: bool = False,
) -> int:
    """Start, kill, look; after the last kill let it end, and look again. Gives how many kills found work going on.

    Args:
        work: The batch, into `folder`.
        folder: The results.
        expected: The contents of an undisturbed run's folder.
        delays: Seconds after which it is killed, for each start.
        when_drawing: Whether they count from the first result that is begun.
    """
    stamps: dict[str, int] = {}
    kills = 0
    for delay in delays:
        before = {REPORT, *names_in(folder)}
        begun = (lambda before=before: not names_in(folder) <= before) if when_drawing else at_once
        kills += not ends(work, delay, begun)
        there = contents(folder) if folder.is_dir() else {}
        assert there.items() <= expected.items()  # nothing half-written
        now = {name: (folder / name).stat().st_mtime_ns for name in there}
        assert stamps.items() <= now.items()  # nothing lost, nothing made twice
        stamps = now
        print(f"kill {kills}: {len(there)} of {len(expected)} files there", flush=True)  # noqa: T201
    assert ends(work, 3600)
    assert contents(folder) == expected
    assert stamps.items() <= {name: (folder / name).stat().st_mtime_ns for name in expected}.items()
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []
    lines = (folder / REPORT).read_text().splitlines()
    assert len(lines) == len({entry.input for entry in read_report(folder).values()})  # each input once
    return kills


_MARK = "STEREODIFFUSION_KILLING"  # in the environment of a run and of all that it starts
_ENDING_S = 180.0  # Ray's own processes take their time


def marked(mark: str) -> list[psutil.Process]:
    """The processes that a run with this mark has started, and that are still there; not this one."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            theirs = process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
            if theirs and process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def seconds_until_gone(mark: str) -> float:
    """How long all that a run has started stays after it.

    Raises:
        AssertionError: If it does not end by itself.
    """
    began = time.monotonic()
    while left := marked(mark):
        assert time.monotonic() - began < _ENDING_S, f"left behind: {[each.name() for each in left]}"
        time.sleep(0.2)
    return time.monotonic() - began


def main() -> None:
    """Kill as often as asked for, and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "estimator", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--ray", help="the address of a Ray cluster, such as local, rather than processes")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--longest", type=float, default=2.0, help="seconds before a kill, at most")
    parser.add_argument("--minutes", type=float, default=inf, help="no more kills after so long")
    parser.add_argument("--formats", nargs="+", default=["eyes"])
    asked = parser.parse_args()
    torch.set_num_threads(1)

    def batch(folder: Path, workers: int | Cluster) -> Callable[[], None]:
        given = asked.folder / "photos", folder, asked.model, asked.estimator, tuple(asked.formats), workers
        return partial(make_all, *given)

    write_photos(asked.folder / "photos", asked.photos)
    batch(asked.folder / "undisturbed", 1)()  # in this process, which has imported everything then
    expected = contents(asked.folder / "undisturbed")
    draw = random.Random(0)
    until = time.monotonic() + 60 * asked.minutes
    every = (draw.uniform(0, asked.longest) for _ in range(asked.kills))
    delays = takewhile(lambda _: time.monotonic() < until, every)
    folder = asked.folder / "killed"
    work = batch(folder, Cluster(address=asked.ray, most=asked.workers) if asked.ray else asked.workers)
    mark = os.environ[_MARK] = f"{asked.folder.resolve()} {os.getpid()}"  # for what is started from here on
    kills = kill_again_and_again(work, folder, expected, delays, when_drawing=True)
    said = f"{asked.workers} worker(s){f' of Ray, {asked.ray}' if asked.ray else ''}, {len(expected)} files"
    print(f"{kills} kills with {said}: all as expected")  # noqa: T201
    print(f"all that was started had ended {seconds_until_gone(mark):.1f} s after the last one")  # noqa: T201


if __name__ == "__main__":
    main()
