"""Processes of their own that need not import anything: copies of this one, which has everything."""

import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path


def forked(work: Callable[[], None]) -> int:
    """The number of a process of its own that does work; it exits with 0, or with 1 if the work fails."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def run_forked(
    work: Callable[[], None], *, meanwhile: Callable[[int], None] = lambda _: None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Do work as a program does that is started afresh: what it prints is its own, interrupts interrupt it.

    Args:
        work: It may end by SystemExit.
        meanwhile: What this process does then, told the number of the other.
        environment: Variables that it has besides.
    """
    with tempfile.TemporaryDirectory() as folder:
        printed, said = Path(folder, "stdout"), Path(folder, "stderr")

        def alone() -> None:
            os.environ.update(environment)
            tempfile.tempdir = None  # it was found once
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for path, descriptor in ((printed, 1), (said, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
            with open(1, "w") as sys.stdout, open(2, "w", buffering=1) as sys.stderr:
                work()

        child = forked(alone)
        meanwhile(child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return subprocess.CompletedProcess([], code, printed.read_text(), said.read_text())
