"""A file of lines that is only ever appended to, by one run at a time, and that survives being killed at any moment.

A line is written in one go. What a kill can leave is a last line without its end: reading passes over it, and the next
run cuts it off.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from stereodiffusion.errors import ResultsError

if sys.platform != "win32":
    import fcntl

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # one could lead out of the folder


class Appender:
    """Appends lines to a file; see `appending`."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    def append(self, line: str) -> None:
        """Add a line, which has no end yet; it is on disk when this returns.

        Raises:
            ResultsError: If the disk is full, and nothing of the line stays; or the file is not there any more.
        """
        self._check_there()
        content, before = f"{line}\n".encode(), os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(content)
            os.fsync(self._file.fileno())
        except OSError as failed:
            raise ResultsError(f"{self._file.name}: cannot be written: {failed.strerror}") from failed
        if written != len(content):
            self._file.truncate(before)
            raise ResultsError(f"{self._file.name}: only {written} of {len(content)} bytes could be written")

    def _check_there(self) -> None:
        """A file that was removed, or whose folder was, takes lines for ever, and nobody sees them."""
        try:
            there = os.path.samestat(os.stat(self._file.name), os.fstat(self._file.fileno()))  # noqa: PTH116 - a name
        except OSError:
            there = False
        if not there:
            raise ResultsError(f"{self._file.name} is not there any more: the folder was removed or renamed")


@contextmanager
def appending(path: Path) -> Generator[Appender]:
    """Open a file of lines in a folder of results, both made if need be, for one run at a time.

    Raises:
        ResultsError: If it cannot be written to, or another run is writing to it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(str(path), "a+", opener=lambda name, flags: os.open(name, flags | _NO_LINKS, 0o666))
    except OSError as failed:
        raise ResultsError(f"{path.parent}: cannot hold results: {failed.strerror}") from failed
    with file:
        _lock(file, path.parent)
        _cut_torn_end(file)
        yield Appender(file)


def whole_lines(path: Path) -> list[str]:
    """The lines of such a file, without a torn last one.

    Raises:
        ResultsError: If it cannot be read, or is no text.
    """
    try:
        whole, _, _ = path.read_text("utf-8").rpartition("\n")
    except UnicodeDecodeError as wrong:
        raise ResultsError(f"{path}: expected text in UTF-8: {wrong.reason} at byte {wrong.start}") from wrong
    except OSError as failed:
        raise ResultsError(f"{path}: cannot be read: {failed.strerror}") from failed
    return whole.split("\n") if whole else []


def _lock(file: FileIO, folder: Path) -> None:
    """Held until the file is closed, also when the process is killed. On Windows nobody looks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            raise ResultsError(f"{folder}: another run is writing there") from taken


def _cut_torn_end(file: FileIO) -> None:
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        file.truncate(whole)
