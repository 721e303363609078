"""A request's plain JSON, said piece by piece: by options, by the cells of a table, by a file and what changes it."""

import json
from collections.abc import Mapping
from typing import Any, cast


def put(plain: dict[str, Any], path: str, value: Any) -> None:
    """Set a value at a path; the changes to settings stay flat, as their names are."""
    first, _, rest = path.partition(".")
    if not rest:
        plain[first] = value
    elif first == "changes":
        plain.setdefault(first, {})[rest] = value
    else:
        put(plain.setdefault(first, {}), rest, value)


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON with what was said besides, groups one in another."""
    result = dict(base)
    for name, value in more.items():
        held = result.get(name)
        both = isinstance(held, dict) and isinstance(value, dict) and name != "wanted"
        result[name] = merged(cast(dict[str, Any], held), cast(dict[str, Any], value)) if both else value
    return result


def plain_value(text: str) -> Any:
    """The value that a text stands for: JSON, several of those with commas, otherwise the text itself."""
    if "," in text and not text.startswith(("[", "{", '"')):
        return [plain_value(part.strip()) for part in text.split(",")]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the latter where it is nested too deeply
        return text
