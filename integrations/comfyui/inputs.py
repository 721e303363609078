"""A node's inputs from the fields of requests and settings, which say what there is, in which range, and what for.

A setting that a node leaves as it is keeps the preset's value: its choice is `preset's`, its text is empty.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings import Settings
from stereodiffusion.settings.options import Option, option_of
from stereodiffusion.settings.plain import branches

KEPT = "preset's"
"""The choice that leaves a setting to the preset."""

_LARGEST_SEED = 2**63 - 1


def inputs_of(kind: type, names: Collection[str]) -> dict[str, tuple[Any, ...]]:
    """The widgets of fields of a dataclass, in their order, as ComfyUI declares them."""
    hints = get_type_hints(kind)
    declared = {each.name: each for each in fields(kind)}
    return {name: _widget(declared[name], hints[name]) for name in names}


def settings_inputs() -> dict[str, tuple[Any, ...]]:
    """The widgets of all settings that have an option of their own: `sampling_steps` for `sampling.steps`."""
    return {_parameter(path): _setting_widget(hint, option) for path, hint, option in _options(Settings)}


def changes_of(given: Mapping[str, str]) -> dict[str, Any]:
    """The changes to settings that the values of these widgets mean; `more` is a JSON object of further ones.

    Raises:
        ConfigError: If `more` is none.
    """
    told = {_parameter(path): (path, hint) for path, hint, _ in _options(Settings)}
    said = {name: value.strip() for name, value in given.items() if value.strip() not in ("", KEPT)}
    more = said.pop("more", "{}")
    try:
        others = json.loads(more)
    except ValueError:
        others = None
    if not isinstance(others, dict):
        raise ConfigError(f'more takes settings by name as JSON, such as {{"shift.at": 0.3}}, got {more!r}')
    return {told[name][0]: _value(text, told[name][1]) for name, text in said.items()} | others


def _widget(declared: Field[Any], hint: Any) -> tuple[Any, ...]:
    option, default = option_of(declared), declared.default
    told: dict[str, Any] = {} if option is None else {"tooltip": option.help}
    choices = _choices(hint)
    if choices:
        return choices, told | {"default": default if default in choices else choices[0]}
    if default not in (MISSING, None):
        told["default"] = default
    kinds = branches(hint)
    if bool in kinds:
        return "BOOLEAN", told
    if int in kinds:
        return "INT", told | {"min": 0, "max": _LARGEST_SEED}
    return "STRING", told | {"default": told.get("default", ""), "multiline": declared.name in ("prompt", "negative")}


def _setting_widget(hint: Any, option: Option) -> tuple[Any, ...]:
    told = {"tooltip": option.help}
    choices = ["on", "off"] if hint is bool else _choices(hint)
    if choices and not {int, float} & set(branches(hint)):  # those may be typed instead of a choice
        return [KEPT, *choices], told | {"default": KEPT}
    return "STRING", told | {"default": "", "placeholder": KEPT}


def _value(text: str, hint: Any) -> Any:
    if hint is bool:
        return text == "on"
    if text in _choices(hint):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # what it should have been is said when the settings are made


def _parameter(path: str) -> str:
    return path.replace(".", "_")


def _options(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any, Option]]:
    """(path, type, option) of every field with an option, groups within groups; each path once."""
    seen: set[str] = set()
    hints = get_type_hints(kind)
    for declared in fields(kind):
        path, option = prefix + declared.name, option_of(declared)
        found = [] if option is None else [(path, hints[declared.name], option)]
        for group in branches(hints[declared.name]):
            if is_dataclass(group):
                found += _options(group, f"{path}.")
        for each in found:
            if each[0] not in seen:
                seen.add(each[0])
                yield each


def _choices(hint: Any) -> list[str]:
    return [str(each) for part in branches(hint) if get_origin(part) is Literal for each in get_args(part)]
