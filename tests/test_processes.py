"""Processes that work, and end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tqdm import tqdm

from stereodiffusion.errors import ModelError, WorkerError
from stereodiffusion.processes import in_processes

pytestmark = pytest.mark.long

COPIES = pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # workers are children of one with threads


def squares(start: int) -> Callable[[int], list[int]]:
    return lambda item: [start + item, item**2]


def refusing(item: int) -> Iterator[int]:
    yield item
    raise ModelError(f"not {item}")


def refuse() -> Callable[[int], Iterator[int]]:
    return refusing


def dying(item: int) -> Iterator[int]:
    yield item
    os.kill(os.getpid(), signal.SIGKILL)


def die() -> Callable[[int], Iterator[int]]:
    return dying


@pytest.mark.usefixtures("forked_workers")
@COPIES
def test_every_item_is_worked_on_once() -> None:
    found = list(in_processes(partial(squares, 100), range(5), 2))
    assert sorted(found) == sorted([100, 101, 102, 103, 104, 0, 1, 4, 9, 16])


def test_no_items_are_no_work() -> None:
    assert list(in_processes(refuse, [], 4)) == []


@pytest.mark.usefixtures("forked_workers")
@COPIES
def test_what_the_work_raises_comes_back_after_what_it_had_done() -> None:
    results = in_processes(refuse, [1], 1)
    assert next(results) == 1
    with pytest.raises(ModelError, match="not 1") as caught:
        next(results)
    assert "in refusing" in caught.value.__notes__[0]  # where it was raised


def test_a_killed_worker_is_noticed() -> None:
    results = in_processes(die, [1], 1)
    assert next(results) == 1
    with pytest.raises(WorkerError, match=r"killed \(exit code -9\)"):
        next(results)


def dying_of_two(item: int) -> Iterator[int]:
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    yield item


def die_of_two() -> Callable[[int], Iterator[int]]:
    return dying_of_two


@pytest.mark.usefixtures("forked_workers")
@COPIES
def test_another_worker_takes_the_place_of_a_killed_one() -> None:
    results = in_processes(die_of_two, [1, 2, 3], 1, killed=lambda item, _: -item)
    assert list(results) == [1, -2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="left out: processes are looked up in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from stereodiffusion.processes import in_processes\n"
        "def work(item):\n"
        "    yield os.getpid()\n"
        "    time.sleep(600)\n"
        "def make():\n"
        "    return work\n"
        "if __name__ == '__main__':\n"
        "    for pid in in_processes(make, [1, 2], 2):\n"
        "        print(pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(Path(f"/proc/{pid}").exists() for pid in workers)
        parent.kill()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def counting(item: int) -> Iterator[int]:
    yield from tqdm([item], disable=True)


def count() -> Callable[[int], Iterator[int]]:
    return counting


def test_progress_bars_of_libraries_leave_nothing_to_complain_of() -> None:
    program = "from tests import test_processes as t; print(*t.in_processes(t.count, range(3), 2))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert sorted(ended.stdout.split()) == ["0", "1", "2"]
    assert ended.stderr == ""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
