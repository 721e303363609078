"""What is temporary goes, also what a killed process has left; what somebody may still use stays."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from stereodiffusion import temporary
from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import write_files

MAKING = """
import os, signal, sys
from pathlib import Path
from stereodiffusion import temporary
temporary.file_beside(Path(sys.argv[1]) / "a.png").write_bytes(b"half")
(temporary.new_folder() / "0").write_bytes(b"tokens")
print("made", flush=True)
signal.pause()
"""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system wants temporary folders."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def make(output: Path) -> "subprocess.Popen[str]":
    """A process that has made a temporary file and a temporary folder."""
    process = subprocess.Popen([sys.executable, "-c", MAKING, str(output)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "made\n"
    return process


def age(folder: Path, hours: float) -> None:
    for path in folder.rglob("*"):
        then = time.time() - hours * 3600
        os.utime(path, (then, then))


def test_all_that_a_process_has_made_goes_at_once(system: Path, output: Path) -> None:
    file, folder = temporary.file_beside(output / "a.png"), temporary.new_folder()
    file.write_bytes(b"half")
    (folder / "0").write_bytes(b"tokens")
    for _ in range(2):  # the second time nothing is left to be removed
        with temporary.all_removed():
            assert [*system.iterdir(), *output.iterdir()] == []


def fill_folders(output: Path) -> None:
    folder = temporary.folder_beside(output / "a")
    try:
        for number in range(50):
            (folder / str(number)).write_bytes(b"half")
    except FileNotFoundError:
        pass
    finally:
        temporary.remove(folder)


@pytest.mark.parametrize(
    "work", [lambda output: write_files({output / name: bytes(100) for name in ("a", "b")}), fill_folders]
)
def test_what_another_thread_is_writing_goes_too_and_does_not_come_back(
    work: Callable[[Path], object], output: Path
) -> None:
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            with suppress(FormatError):
                work(output)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _ in range(200):
            with temporary.all_removed():
                for _ in range(3):
                    assert not list(output.glob(".*"))
                    time.sleep(0.0002)
            time.sleep(0.001)
    finally:
        ended.set()
        writing.join()


def test_what_a_killed_process_left_goes_when_it_is_old(system: Path, output: Path) -> None:
    with make(output) as process:
        process.kill()
    for hours, files in ((0.5, 1), (2, 0)):
        age(system, hours)
        age(output, hours)
        temporary._remove_old.cache_clear()  # pyright: ignore[reportPrivateUsage] - as in a new process
        write_files({output / "b.png": b"whole"})
        temporary.remove(temporary.new_folder())
        assert len(list(output.glob(".*"))) == len(list(system.iterdir())) == files
    assert [path.name for path in output.iterdir()] == ["b.png"]


def test_a_folder_that_a_process_uses_stays_however_old(system: Path, output: Path) -> None:
    with make(output) as process:
        age(system, 100)
        temporary.remove(temporary.new_folder())
        assert [path.name for folder in system.iterdir() for path in folder.iterdir()] == ["0"]
        process.kill()


def test_what_only_looks_like_ours_stays(system: Path, output: Path) -> None:
    strange = [".0123456789abcdef.tmp", ".stereodiffusion-short.tmp", "stereodiffusion-0123456789abcdef.tmp", "a.tmp"]
    for name in strange:
        (output / name).write_bytes(b"?")
    (system / "stereodiffusion-mine").mkdir()
    age(output, 100)
    age(system, 100)
    write_files({output / "b.png": b"whole"})
    temporary.remove(temporary.new_folder())
    assert {path.name for path in output.iterdir()} == {*strange, "b.png"}
    assert [path.name for path in system.iterdir()] == ["stereodiffusion-mine"]


def test_what_is_being_renamed_is_not_emptied_by_the_end_of_the_program(output: Path) -> None:
    folder = temporary.folder_beside(output / "a.png")
    (folder / "left.png").write_bytes(b"left")

    def end() -> None:
        with temporary.all_removed():
            pass

    with temporary.kept_whole(folder):
        ending = threading.Thread(target=end)
        ending.start()
        ending.join(0.2)
        assert ending.is_alive()  # it waits
        folder.rename(output / "a")
    ending.join()
    assert (output / "a" / "left.png").read_bytes() == b"left"
    with pytest.raises(FileNotFoundError), temporary.kept_whole(folder):  # nor is renamed what was removed
        pass


def test_what_killed_processes_have_left_goes_when_nobody_else_can_be_at_work(output: Path) -> None:
    process = make(output)
    process.kill()
    process.communicate()
    ours = temporary.folder_beside(output / "a.png")
    temporary.remove_left(output)
    assert list(output.iterdir()) == [ours]
    temporary.remove(ours)
