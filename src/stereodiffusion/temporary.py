"""Temporary files and folders, none of which outlives the process that made it.

They go when they are done with, and all of them when a signal tells the program to end (`all_removed`), in whichever
thread they are being written: each is there from the moment it has a name, so what has been removed is not there to be
opened again. What is left by a process that was killed is removed by a later one, where it is certain that it was ours
and that nobody uses it.
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
_ATTEMPTS = 100  # at removing a folder into which another thread writes meanwhile

_removal = RLock()  # entered again by a signal's handler, which ends the process
_present: dict[Path, int | None] = {}  # what this process has made; of folders the descriptor that holds the lock


def file_beside(target: Path) -> Path:
    """An empty file in the folder of `target`, to be opened with "r+b" and renamed to it when it is complete.

    Raises:
        OSError: If it cannot be made.
    """
    _remove_old(target.parent)
    path = target.parent / _new_name()
    with _removal:
        _present[path] = None
        path.touch(exist_ok=False)
    return path


def folder_beside(target: Path) -> Path:
    """An empty folder in the folder of `target`; when all is in it, its files are renamed, or it is renamed itself.

    Raises:
        OSError: If it cannot be made.
    """
    return _new_folder(target.parent)


def new_folder() -> Path:
    """An empty folder, where the system wants temporary ones.

    Raises:
        OSError: If it cannot be made.
    """
    return _new_folder(Path(tempfile.gettempdir()), mode=0o700)


def remove_left(folder: Path) -> None:
    """Remove what killed processes have left in a folder in which nobody but this process begins anything."""
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path not in _present:
            with suppress(OSError):
                _remove_unless_used(path)


def remove(path: Path) -> None:
    """Remove what `file_beside`, `folder_beside` or `new_folder` gave, if it is still there."""
    _delete(path)
    lock = _present.pop(path, None)  # not before: a signal may come in between
    if lock is not None:
        os.close(lock)


@contextmanager
def kept_whole(path: Path) -> Generator[None]:
    """While this is entered, a folder can be renamed: `all_removed` of another thread waits, and empties no half of it.

    Raises:
        FileNotFoundError: If it has been removed.
    """
    with _removal:
        if path not in _present:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield


@contextmanager
def all_removed() -> Generator[None]:
    """While this is entered, nothing is there that this process has made, and no thread of it makes anything new."""
    with _removal:
        for path in tuple(_present):
            remove(path)
        yield


def _new_folder(parent: Path, mode: int = 0o777) -> Path:
    _remove_old(parent)
    path = parent / _new_name()
    with _removal:
        _present[path] = None
        path.mkdir(mode)
        _present[path] = _locked(path)
    return path


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
        for _ in range(_ATTEMPTS):
            shutil.rmtree(path, ignore_errors=True)
            if not path.exists():
                break
    else:
        with suppress(OSError):
            path.unlink()
