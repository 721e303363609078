"""Files that the user names."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stereodiffusion.errors import FormatError


def require_file(path: Path) -> Path:
    """The path, if there is a file.

    Raises:
        FormatError: If not.
    """
    with usable(path):
        if path.is_dir():
            raise FormatError(f"{path}: expected a file, got a folder")
        if not path.exists():
            raise FormatError(f"{path}: no such file")
    return path


@contextmanager
def usable(path: Path) -> Generator[None]:
    """Turns what the system says against a path, such as that its name is too long, into a refusal.

    Raises:
        FormatError: If it says something.
    """
    try:
        yield
    except OSError as refused:
        raise FormatError(f"{path} cannot be used: {refused.strerror}") from refused
