"""The JSON schema of requests, from their fields."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast, get_args, get_type_hints

from stereodiffusion.settings.options import option_of
from stereodiffusion.settings.plain import schema_of_dataclass


def schema_of(requests: Mapping[Any, type], version: int) -> dict[str, Any]:
    """One schema for all modes, told apart by `mode`.

    Args:
        requests: The request of each mode.
        version: Of the JSON form.
    """
    modes: list[dict[str, str]] = []
    definitions: dict[str, Any] = {}
    for mode, kind in requests.items():
        one = schema_of_dataclass(kind)
        definitions |= one.pop("$defs", {})
        one["properties"] = {"version": {"const": version}, "mode": {"const": mode}, **one["properties"]}
        one["required"] = ["version", "mode", *one.get("required", [])]
        definitions[kind.__name__] = one
        modes.append({"$ref": f"#/$defs/{kind.__name__}"})
        for each in _dataclasses(kind):
            _describe(definitions[each.__name__], each)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "oneOf": modes, "$defs": definitions}


def _describe(schema: dict[str, Any], kind: type) -> None:
    """Give each property the help of its option."""
    for declared in fields(cast(Any, kind)):
        offered = option_of(declared)
        if offered is not None:
            schema["properties"][declared.name]["description"] = offered.help


def _dataclasses(hint: object) -> Iterator[type]:
    """All dataclasses in a type."""
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
        for inner in get_type_hints(hint).values():
            yield from _dataclasses(inner)
    for part in get_args(hint):
        yield from _dataclasses(part)
