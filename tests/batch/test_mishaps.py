"""What may befall a machine in the midst of a batch: each has an outcome, which docs/batch.md tells."""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.batch.broken import check, write_broken
from tests.batch.conftest import Batch
from tests.batch.killing import at_once, contents, make_all, names_in
from tests.forking import forked

from stereodiffusion.batch import REPORT, Making, Output, jobs_of, read_report, read_rows, run, running
from stereodiffusion.cli.signals import end_on_signals
from stereodiffusion.errors import ResultsError

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="left out: needs fork, locks and limits"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # children of one with threads
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True).returncode:
        pytest.skip("left out: needs to be allowed to mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def in_a_child(work: Callable[[], None], interrupt: int | None = None, begun: Callable[[], bool] = at_once) -> int:
    """The exit code of work in a process of its own, which gets a signal once it has begun."""
    child = forked(work)
    if interrupt is not None:
        while not begun():
            time.sleep(0.002)
        os.kill(child, interrupt)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_twenty_kinds_of_broken_photos_cost_a_line_each(photos: Path, batch: Batch, tmp_path: Path) -> None:
    """`python -m tests.batch.broken` has them among 180 good ones."""
    reasons = write_broken(photos)
    assert len(reasons) >= 19
    batch(photos, tmp_path / "out")
    check(tmp_path / "out", len(list(photos.iterdir())) - len(reasons), reasons)


def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(photos: Path, batch: Batch, small_disk: Path) -> None:
    folder = small_disk / "out"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(40_000))
    with pytest.raises(ResultsError, match=r"No space left on device; what was done is kept: make room"):
        batch(photos, folder)
    made = contents(folder)
    assert 0 < len(made) < 3
    assert {path.name for path in folder.iterdir()} == {*made, REPORT}
    assert [entry.status for entry in read_report(folder).values()] == ["done"] * len(made)
    ballast.unlink()
    assert [entry.made for entry in batch(photos, folder)] == [name >= len(made) for name in range(3)]


@pytest.mark.parametrize("how", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("elsewhere"))])
def test_a_folder_that_vanishes_ends_the_run(
    how: Callable[[Path], object], photos: Path, model: Path, estimator: Path, tmp_path: Path
) -> None:
    defaults = {"model": str(model), "estimator": str(estimator), "preset": "fast", "changes": {"sampling.steps": 2}}
    jobs, _ = jobs_of(read_rows(photos), defaults)
    folder = tmp_path / "out"
    going_on = run(jobs, Making(folder=folder, output=Output()))
    next(going_on)
    how(folder)
    with pytest.raises(ResultsError, match=r"out/report\.jsonl is not there any more: the folder was removed"):
        list(going_on)
    assert not folder.exists()


def test_clocks_that_jump_change_nothing(
    photos: Path, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch(photos, tmp_path / "undisturbed")
    folder, clock = tmp_path / "out", time.time
    folder.mkdir()
    used, left = (folder / f".stereodiffusion-{digit * 16}.tmp" for digit in "ab")
    used.mkdir()
    left.mkdir()
    held = os.open(used, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # as another program does that is writing into it
    days = iter(range(1000))
    monkeypatch.setattr(time, "time", lambda: clock() + (-1) ** next(days) * 86_400 * 365)
    entries = batch(photos, folder)
    assert contents(folder) == contents(tmp_path / "undisturbed")
    assert all(entry.seconds is not None and 0 <= entry.seconds < 60 for entry in entries)
    assert (used.exists(), left.exists()) == (True, False)
    os.close(held)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_nothing_temporary_left_and_the_next_start_goes_on(
    number: int, photos: Path, batch: Batch, model: Path, estimator: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"

    def work() -> None:
        end_on_signals()
        make_all(photos, folder, model, estimator, ("sbs",), 1)

    code = in_a_child(work, number, lambda: bool(names_in(folder) - {REPORT}))
    assert code == 128 + number
    assert not [name for name in names_in(folder) if name.startswith(".")]
    entries = batch(photos, folder)
    assert [entry.status for entry in entries] == ["done"] * 3
    assert len((folder / REPORT).read_text().splitlines()) == 3


def test_memory_that_is_short_for_one_photo_is_no_reason_to_lose_the_others(
    photos: Path, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.zeros((5000, 6000, 3), np.uint8)).save(photos / "001.png", compress_level=1)
    monkeypatch.setattr(running, "_PAUSE_S", 0.0)
    folder = tmp_path / "out"

    def work() -> None:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + 400_000_000, resource.RLIM_INFINITY))
        batch(photos, folder, retries=1)

    assert in_a_child(work) == 0
    entries = list(read_report(folder).values())
    assert [(Path(entry.input).name, entry.status) for entry in entries] == [
        ("000.png", "done"),
        ("002.png", "done"),
        ("001.png", "failed"),
    ]
    assert entries[-1].may_pass
    assert "memory" in (entries[-1].reason or "")
    assert "damaged" not in (entries[-1].reason or "")
