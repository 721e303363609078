"""What a process does beside computing, as Python itself reports it: files written, programs run, connections."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_RUNS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "pty.spawn",
    "socket.connect",
    "socket.getaddrinfo",
)
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")

_watched: list[tuple[str, str]] | None = None


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    if _watched is None:
        return
    if event in _RUNS:
        _watched.append((event, repr(arguments)[:200]))
    elif event == "open" and isinstance(arguments[0], str | bytes):
        flags = arguments[2]
        if isinstance(flags, int) and flags & _WRITING:
            _watched.append((event, os.fsdecode(arguments[0])))
    elif event in _CHANGES:
        places = arguments[1:2] if event in ("os.link", "os.symlink", "os.rename") else arguments[:1]
        named = [os.fsdecode(place) for place in places if isinstance(place, str | bytes | os.PathLike)]
        _watched.extend((event, str(_within(event, arguments) / place)) for place in named)


def _within(event: str, arguments: tuple[object, ...]) -> Path:
    """The folder that a name is within, where it is given by its descriptor, the last argument."""
    descriptor = arguments[-1]
    if event == "os.truncate" or not isinstance(descriptor, int) or descriptor < 0:
        return Path()
    return Path(f"/proc/self/fd/{descriptor}").readlink()


sys.addaudithook(_heard)


@contextmanager
def watched(folder: Path) -> Generator[list[str]]:
    """Gives what was run, fetched or written outside a folder while this is entered; complete when it is left."""
    global _watched
    outside: list[str] = []
    _watched = found = []
    try:
        yield outside
    finally:
        _watched = None
    root, here = folder.resolve(), Path.cwd()
    for event, what in found:
        inside = event not in _RUNS and _real(here / what).is_relative_to(root)
        compiled = "__pycache__" in Path(what).parts  # Python keeps what it makes of a module
        if not inside and not compiled and what != os.devnull:
            outside.append(f"{event} {what}")


def _real(path: Path) -> Path:
    """Where a change of this name happens: links in the folders above it are followed, itself it is."""
    return path.parent.resolve() / path.name
