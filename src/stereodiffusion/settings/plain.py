"""Dataclasses as plain JSON values, and back, checked field by field; and changes to them by name.

Types are checked by pydantic, which is imported when it is first needed. Nothing is coerced: "5" is no number.
"""

import dataclasses
import json
import types
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from stereodiffusion.errors import ConfigError, StereoDiffusionError

T = TypeVar("T")


@lru_cache
def _adapter(kind: type) -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    _forbid_unknown(kind, lambda each: with_config(ConfigDict(extra="forbid", strict=True))(each))
    return TypeAdapter(kind)


def _forbid_unknown(kind: object, mark: Any) -> None:
    """Let pydantic refuse unknown fields of a dataclass and of all dataclasses in it."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if "__pydantic_config__" in vars(kind):
            return
        mark(kind)
        for hint in get_type_hints(kind).values():
            _forbid_unknown(hint, mark)
    for part in get_args(kind):
        _forbid_unknown(part, mark)


def to_plain(value: object) -> Any:
    """A dataclass as plain JSON values."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_plain(kind: type[T], given: object) -> T:
    """The dataclass that plain JSON values say.

    Raises:
        ConfigError: If a field is unknown, missing, of a wrong type or out of range.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(json.dumps(given), strict=True)
    except ValidationError as refused:
        error = _most_telling(refused.errors())
        cause = error.get("ctx", {}).get("error")
        raise cause if isinstance(cause, StereoDiffusionError) else ConfigError(_first_line(kind, error)) from None
    except (TypeError, ValueError, RecursionError) as refused:
        if isinstance(refused, ConfigError):
            raise
        raise ConfigError(f"expected plain JSON values, got something else: {refused}") from None


def schema_of_dataclass(kind: type) -> dict[str, Any]:
    """The JSON schema of a dataclass."""
    return _adapter(kind).json_schema()


def _most_telling(errors: Sequence[Any]) -> Mapping[str, Any]:
    """The first error that is of the member of a union that was meant."""
    others = {
        error["loc"][:-1] for error in errors if error["loc"][-1:] == ("kind",) and error["type"] == "literal_error"
    }
    meant = [error for error in errors if not any(error["loc"][: len(other)] == other for other in others)]
    return (meant or errors)[0]


def _first_line(kind: type, error: Mapping[str, Any]) -> str:
    parts = [str(part) for part in error["loc"] if not isinstance(part, int)]  # a value of a list is named by the list
    place = ".".join(part for part in parts if not part.startswith("function-"))
    where = _known_path(kind, place)
    got = error.get("input")
    match error["type"]:
        case "unexpected_keyword_argument":
            holder, _, name = where.rpartition(".")
            return f"there is no {name!r} in {holder or kind.__name__}; there are {', '.join(names_in(kind, holder))}"
        case "missing" if isinstance(error["loc"][-1], int):
            return f"{where} must have more values, got {short(got)}"
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"{where} is missing"
        case "literal_error" | "enum":
            choices = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"{where} must be one of {choices}, got {short(got)}"
        case _:
            message = str(error["msg"])
            return f"{where}: {message[0].lower()}{message[1:]}, got {short(got)}"


def short(value: object) -> str:
    """A value as it stands in a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _known_path(kind: type, place: str) -> str:
    """The path of a field without the tags of unions that pydantic puts into it."""
    tags = {member.__name__ for member in _members(kind)} | {"float", "int", "str"}
    return ".".join(part for part in place.split(".") if part not in tags and "[" not in part)


def _members(kind: object) -> Iterable[type]:
    """All dataclasses in a type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield kind
        for hint in get_type_hints(kind).values():
            yield from _members(hint)
    for part in get_args(kind):
        yield from _members(part)


def names_in(kind: object, path: str) -> list[str]:
    """Names of the fields of a dataclass, or of what lies at a path in it; of all members of a union."""
    found: dict[str, None] = {}
    for member in _at(kind, path.split(".") if path else []):
        found.update(dict.fromkeys(each.name for each in dataclasses.fields(member)))
    return [name for name in found if name != "kind"]


def _at(kind: object, path: list[str]) -> list[Any]:
    members = [each for each in branches(kind) if dataclasses.is_dataclass(each)]
    if not path:
        return members
    hints = (get_type_hints(member).get(path[0]) for member in members)
    return [found for hint in hints if hint is not None for found in _at(hint, path[1:])]


def branches(kind: object) -> tuple[Any, ...]:
    """The members of a union; a type that is none is its only member."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def patched(value: T, changes: Mapping[str, object]) -> T:
    """A dataclass with some of its values changed.

    Args:
        value: The dataclass.
        changes: New plain values by path, such as `{"shift.at": 0.3}`. A member of a union is named by its kind and
            keeps the values of what both have in common.

    Raises:
        ConfigError: If there is no such path, or a value is of a wrong type or out of range.
    """
    if not changes:
        return value
    kind = type(value)
    plain = to_plain(value)
    for path in sorted(changes, key=lambda each: each.count(".")):  # members of unions before what is in them
        _put(kind, plain, path, changes[path])
    return from_plain(kind, plain)


def _put(kind: type, plain: dict[str, Any], path: str, value: object) -> None:
    *groups, name = path.split(".")
    holder, holder_kind = plain, [kind]
    for group in groups:
        holder_kind = [part for each in holder_kind for part in _at(each, [group])]
        inner = holder.get(group)
        if not holder_kind or not isinstance(inner, dict):
            raise ConfigError(f"there is no setting {path!r}; there are {', '.join(setting_names(kind))}")
        holder = inner
    hints = [get_type_hints(each).get(name) for each in holder_kind]
    hint = next((each for each in hints if each is not None), None)
    if hint is None:
        raise ConfigError(f"there is no setting {path!r}; there are {', '.join(setting_names(kind))}")
    members = _by_kind(hint)
    if members and isinstance(value, str):
        if value not in members:
            raise ConfigError(f"{path} must be one of {', '.join(members)}, got {value!r}")
        shared = {each.name for each in dataclasses.fields(members[value])} - {"kind"}
        holder[name] = {"kind": value, **{key: old for key, old in holder[name].items() if key in shared}}
    else:
        holder[name] = value


def _by_kind(hint: object) -> dict[str, Any]:
    """The members of a union of dataclasses by their `kind`."""
    members = [each for each in branches(hint) if dataclasses.is_dataclass(each)]
    return {
        str(each.default): member for member in members for each in dataclasses.fields(member) if each.name == "kind"
    }


def setting_names(kind: object, prefix: str = "") -> list[str]:
    """The paths of all values in a dataclass, members of unions included."""
    found: dict[str, None] = {}
    for member in branches(kind):
        for name, hint in get_type_hints(member).items():
            inner = [each for each in branches(hint) if dataclasses.is_dataclass(each)]
            if name == "kind":
                continue
            if len(inner) > 1:
                found[prefix + name] = None
            for each in inner:
                found.update(dict.fromkeys(setting_names(each, f"{prefix}{name}.")))
            if not inner:
                found[prefix + name] = None
    return list(found)
