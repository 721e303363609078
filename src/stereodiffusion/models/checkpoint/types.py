"""Settings against the annotations of what takes them: a text where a number belongs is found before it is used."""

from collections.abc import Callable
from inspect import unwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from stereodiffusion.errors import ModelError


def check_types(path: Path, settings: dict[str, Any], taker: Callable[..., Any]) -> None:
    """Refuse settings of another type than the parameter of that name is annotated with.

    Args:
        path: Where the settings are from, for messages.
        settings: As JSON has them: lists stand for tuples, whole numbers for floats.
        taker: What has the parameters.

    Raises:
        ModelError: If one is of another type.
    """
    for name, wanted in get_type_hints(unwrap(taker)).items():
        if name in settings and not _fits(settings[name], wanted):
            raise ModelError(f"{path}: expected {name} to be {_named(wanted)}, got {str(settings[name])[:80]!r}")


def _fits(value: object, wanted: Any) -> bool:
    origin, inner = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if (origin or wanted) in (tuple, list):
        # A fixed length is seldom meant: diffusers writes tuple[int] for any number of them.
        kinds = [kind for kind in inner if kind is not Ellipsis]
        values = cast(list[object], value) if isinstance(value, list | tuple) else None
        return values is not None and (not kinds or all(any(_fits(one, kind) for kind in kinds) for one in values))
    if (origin or wanted) is dict:
        return isinstance(value, dict)
    if wanted is bool:
        return value is None or isinstance(value, bool)  # published files say null for false
    if isinstance(value, bool):
        return False
    if wanted is float:
        return isinstance(value, int | float)
    return isinstance(value, wanted) if isinstance(wanted, type) else True


def _named(wanted: Any) -> str:
    if wanted is NoneType:
        return "nothing"
    if get_origin(wanted) in (Union, UnionType):
        return " or ".join(_named(one) for one in get_args(wanted))
    return wanted.__name__ if isinstance(wanted, type) and not get_args(wanted) else str(wanted)
