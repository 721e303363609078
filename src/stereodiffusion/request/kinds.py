"""What kind of value each field of a request takes: for those who write Python, as the schema is for JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral
from typing import Any, cast

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings.plain import short


def settle_kinds(request: Any) -> None:
    """Refuse what is of another kind than its field, and store several prompts and numbers of numpy as plain values.

    Raises:
        ConfigError: If something is of another kind; the line names the field.
    """
    for name in (each.name for each in fields(request) if each.name in _KINDS):
        said, suits = _KINDS[name]
        value = getattr(request, name)
        if not suits(value):
            raise ConfigError(f"{name} must be {said}, got {short(value)}")
        object.__setattr__(request, name, _plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, cast(Sequence[object], value)))
    return int(value) if _is_whole(value) else value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)  # numpy's as well


def _are_texts(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list | tuple) and all(map(_is_text, cast(Sequence[object], value))))


def _is_size(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, tuple) and len(sides := cast(Sequence[object], value)) == 2 and all(map(_is_whole, sides))


def _are_named(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, cast(Mapping[object, object], value)))


_TEXT = ("text", _is_text)
_KINDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "model": _TEXT,
    "preset": _TEXT,
    "negative": _TEXT,
    "estimator": _TEXT,
    "prompt": ("text, or a list of texts", _are_texts),
    "seed": ("a whole number", _is_whole),
    "size": ("(height, width) in whole pixels, or None", _is_size),
    "two_step": ("True or False", lambda value: isinstance(value, bool)),
    "changes": ("settings by their names", _are_named),
}
