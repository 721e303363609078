"""Signals, sent to real processes: at any moment one line, the shell's exit code, and nothing left behind."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.test_program import execute
from tests.forking import run_forked

from stereodiffusion import temporary
from stereodiffusion.__main__ import main
from stereodiffusion.cli.progress import Display
from stereodiffusion.synthesis.run import Progress

pytestmark = pytest.mark.long

# Sends a signal to itself when a module is first looked for, where an exception would be swallowed.
AT_IMPORT = """
import os, signal, sys
number, awaited = int(sys.argv.pop(1)), sys.argv.pop(1)
class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == awaited:
            try:
                os.kill(os.getpid(), number)
            except BaseException:
                pass
sys.meta_path.insert(0, Sender())
from stereodiffusion.__main__ import main
main()
"""
ENDINGS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "hung up")]


@pytest.mark.parametrize(
    ("number", "code", "said", "module"),
    [*((*ending, "typer") for ending in ENDINGS), (*ENDINGS[0], "rich.progress"), (*ENDINGS[0], "torch")],
)
def test_a_signal_while_modules_are_imported(number: int, code: int, said: str, module: str) -> None:
    result = execute(str(number), module, "text", "a red ball", "--quiet", code=AT_IMPORT)
    assert (result.returncode, result.stdout, result.stderr) == (code, "", f"stereodiffusion: {said}\n")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child of one with threads
@pytest.mark.parametrize(("number", "code", "said"), ENDINGS)
def test_a_signal_in_the_middle_leaves_nothing(
    number: int,
    code: int,
    said: str,
    model: Path,
    estimator: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When two steps are done, with a file half written and a temporary folder in use."""
    output, system = tmp_path / "output", tmp_path / "system"
    output.mkdir()
    system.mkdir()

    def send(_: Display, at: Progress) -> None:
        if at.step == 2:
            temporary.file_beside(output / "ball.png").write_bytes(b"half")
            (temporary.new_folder() / "0").write_bytes(b"tokens")
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Display, "_advance", send)
    files = ["-o", str(output / "ball.png"), "--model", str(model), "--depth-estimator", str(estimator)]
    monkeypatch.setattr(sys, "argv", ["stereodiffusion", "text", "a red ball", *files])
    result = run_forked(main, TMPDIR=str(system))
    assert (result.returncode, result.stdout, result.stderr) == (code, "", f"stereodiffusion: {said}\n")
    assert [*output.iterdir(), *system.iterdir()] == []


def test_what_the_parent_had_ignored_stays_ignored() -> None:
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    result = execute(str(int(signal.SIGHUP)), "typer", "--version", code=before + AT_IMPORT)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("stereodiffusion ")


def test_a_signal_after_all_is_done_changes_nothing() -> None:
    late = "import atexit, os, signal; atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    program = "from stereodiffusion.__main__ import main\nmain()"
    result = execute("--version", code=late + program)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="left out: processes are looked up in /proc")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child of one with threads
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_the_workers_of_a_benchmark_end_with_it(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ["bench", "run", "scenes", "--count", "20", "--methods", "photography-3d", "--workers", "2", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["stereodiffusion", *run, "-o", str(tmp_path / "results")])
    workers: list[int] = []

    def interrupt(parent: int) -> None:
        workers.extend(_workers_importing_torch(parent, 2))
        os.kill(parent, number)

    result = run_forked(main, meanwhile=interrupt)
    assert result.returncode == code
    assert len(result.stderr.splitlines()) == (0 if code < 0 else 1)
    _await(lambda: not any(_alive(pid) for pid in workers))


def _workers_importing_torch(parent: int, count: int) -> list[int]:
    found: list[int] = []

    def all_there() -> bool:
        assert _alive(parent)
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found[:] = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return len(found) == count and all("libtorch" in Path(f"/proc/{pid}/maps").read_text() for pid in found)

    _await(all_there)
    return found


def _await(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
