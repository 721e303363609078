"""Files appear whole or not at all.

Encoders in this package are pure functions to `bytes`; this module alone touches the disk. Everything is
first written beside its target and then renamed, so that neither a full disk nor an interrupt leaves half
a file behind, and an older file of that name survives a failure.
"""

import os
import stat
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from stereodiffusion import temporary
from stereodiffusion.errors import FormatError
from stereodiffusion.formats.limits import MOST_FILE_BYTES

PathLike = str | os.PathLike[str]


def read_bytes(path: PathLike) -> bytes:
    """The content of a regular, non-empty file."""
    path = Path(path)
    try:
        if path.is_dir():
            raise FormatError(f"{path}: expected a file, got a folder")
        if not path.exists():
            raise FormatError(f"{path}: no such file")
        if not path.is_file():
            raise FormatError(f"{path}: expected a regular file, got a device or pipe")
        if (size := path.stat().st_size) > MOST_FILE_BYTES:
            raise FormatError(f"{path}: too large: expected at most {MOST_FILE_BYTES / 1e6:g} MB, got {size / 1e6:.0f}")
        content = path.read_bytes()
    except OSError as failed:
        raise FormatError(f"{path}: cannot be read: {failed.strerror}") from failed
    if not content:
        raise FormatError(f"{path}: the file is empty")
    return content


def write_files(contents: Mapping[Path, bytes]) -> list[Path]:
    """Writes all files or, when one of them fails, none; returns their paths in the given order.

    Existing files of these names are replaced and keep their permissions. Folders must exist.
    """
    targets = check_targets(contents)
    unfinished: dict[Path, Path] = {}
    current: Path | None = None  # to name in the message
    try:
        for current, content in contents.items():
            unfinished[current] = temporary.file_beside(targets[current])
            with unfinished[current].open("r+b") as file:
                file.write(content)
            _keep_mode(targets[current], unfinished[current])
        for current, target in targets.items():
            unfinished[current].replace(target)
    except OSError as failed:
        raise FormatError(f"{current}: cannot be written: {failed.strerror}") from failed
    finally:
        for leftover in unfinished.values():
            temporary.remove(leftover)
    return list(contents)


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A file to be opened with "r+b" or by name; at the end it takes the place of `path`, or, where it fails, goes.

    Raises:
        FormatError: If it cannot be written.
    """
    target = check_targets([path])[path]
    try:
        unfinished = temporary.file_beside(target)
        try:
            yield unfinished
            _keep_mode(target, unfinished)
            unfinished.replace(target)
        finally:
            temporary.remove(unfinished)
    except OSError as failed:
        raise FormatError(f"{path}: cannot be written: {failed.strerror}") from failed


def check_targets(paths: Iterable[Path]) -> dict[Path, Path]:
    """Where the contents of files will go: links are followed, so that what they point to is replaced and not the link.

    Raises:
        FormatError: If one cannot be written, as far as can be told without writing.
    """
    return {path: _target(path) for path in paths}


def check_name(path: Path) -> None:
    """Refuse what names no file.

    Raises:
        FormatError: If the path has no name, or is the dash that means the standard output elsewhere.
    """
    if not path.name or str(path) == "-":
        raise FormatError(f"expected a file name, got {str(path)!r}")


def _target(path: Path) -> Path:
    check_name(path)
    target = Path(os.path.realpath(path))
    try:
        if target.is_symlink():
            raise FormatError(f"{path}: expected a file name, got a link that leads back to itself")
        if target.is_dir():
            raise FormatError(f"{path}: expected a file name, got a folder")
        if target.exists() and not target.is_file():
            raise FormatError(f"{path}: expected a file name, got a device or pipe")
        if not target.parent.is_dir():
            raise FormatError(f"{path}: the folder {path.parent} does not exist")
        if not os.access(target.parent, os.W_OK):
            raise FormatError(f"{path}: the folder {path.parent} cannot be written to")
    except OSError as failed:  # such as a name that is too long
        raise FormatError(f"{path}: cannot be written: {failed.strerror}") from failed
    return target


def _keep_mode(replaced: Path, new: Path) -> None:
    with suppress(OSError):  # there is none, or the file system has no permissions
        new.chmod(stat.S_IMODE(replaced.stat().st_mode))
