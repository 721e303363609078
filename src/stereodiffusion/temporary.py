"""Temporary files and folders, none of which outlives the process that made it.

They go when they are done with, and all of them when a signal tells the program to end (`remove_all`). What is left by
a process that was killed is removed by a later one, where it is certain that it was ours and that nobody uses it.
"""

import errno
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from threading import RLock

if sys.platform != "win32":
    import fcntl

_OURS = re.compile(r"\.stereodiffusion-[0-9a-f]{16}\.tmp")
_OLD_S = 3600  # writing a file takes seconds; folders have a lock besides

_removal = RLock()  # entered again by a signal's handler, which ends the process
_present: dict[Path, int | None] = {}  # what this process has made; of folders the descriptor that holds the lock


def file_beside(target: Path) -> Path:
    """A name in the folder of `target`, for a file that is renamed to it when it is complete."""
    _remove_old(target.parent)
    path = target.parent / _new_name()
    _present[path] = None
    return path


def new_folder() -> Path:
    """An empty folder, where the system wants temporary ones."""
    parent = Path(tempfile.gettempdir())
    _remove_old(parent)
    path = parent / _new_name()
    path.mkdir(mode=0o700)
    _present[path] = _locked(path)
    return path


def folder_beside(target: Path) -> Path:
    """An empty folder in the folder of `target`; when all is in it, its files are renamed, or it is renamed itself."""
    _remove_old(target.parent)
    path = target.parent / _new_name()
    path.mkdir()
    _present[path] = _locked(path)
    return path


def remove_left(folder: Path) -> None:
    """Remove what killed processes have left in a folder in which nobody but this process begins anything."""
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path not in _present:
            with suppress(OSError):
                _remove_unless_used(path)


def remove(path: Path) -> None:
    """Remove what `file_beside`, `folder_beside` or `new_folder` gave, if it is still there."""
    lock = _present.pop(path, None)
    _delete(path)
    if lock is not None:
        os.close(lock)


@contextmanager
def kept_whole(path: Path) -> Generator[None]:
    """While this is entered, a folder can be renamed: `remove_all` of another thread waits, and empties no half of it.

    Raises:
        FileNotFoundError: If it has been removed.
    """
    with _removal:
        if path not in _present:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield


def remove_all() -> None:
    """Remove all that this process has made and not removed yet."""
    with _removal:
        for path in tuple(_present):
            remove(path)


def _new_name() -> str:
    return f".stereodiffusion-{token_hex(8)}.tmp"


@cache  # once in a process
def _remove_old(folder: Path) -> None:
    with suppress(OSError):
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name) and time.time() - path.lstat().st_mtime > _OLD_S:
                _remove_unless_used(path)


def _remove_unless_used(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        _delete(path)
    elif (lock := _locked(path)) is not None:
        _delete(path)
        os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock on a folder, until its process ends in any way; None if it is taken."""
    if sys.platform == "win32":
        return None
    folder_itself = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(folder_itself, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(folder_itself)
        return None
    return folder_itself


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
