"""Options that take several names: repeated, or with commas."""

from collections.abc import Sequence

from stereodiffusion.errors import FormatError


def split(given: Sequence[str]) -> tuple[str, ...]:
    """The names in repeated options and comma lists, each once."""
    return tuple(dict.fromkeys(name.strip() for entry in given for name in entry.split(",") if name.strip()))


def listed(given: Sequence[str], known: Sequence[str], option: str) -> tuple[str, ...]:
    """As `split`, of names that are known.

    Raises:
        FormatError: If one is not.
    """
    names = split(given)
    for name in names:
        if name not in known:
            raise FormatError(f"{option} must be one or several of {', '.join(known)}, got {name!r}")
    return names
