"""A command's options from the fields of its request, and a request from what was typed.

Every field that is declared with `option` becomes an option of its own; every other setting is reached by `--set`. What
is typed becomes the plain JSON of a request, which checks itself, so that a command line, a file and a program are
refused for the same reasons.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from inspect import Parameter, Signature
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import typer

from stereodiffusion.cli.lists import split
from stereodiffusion.errors import ConfigError, StereoDiffusionError
from stereodiffusion.request import Request
from stereodiffusion.request.inputs import MapFile, PictureFile
from stereodiffusion.request.saying import plain_value, put
from stereodiffusion.settings import Settings
from stereodiffusion.settings.options import Option, option_of
from stereodiffusion.settings.plain import branches, from_plain
from stereodiffusion.viewpoint import EYES, SourceEye, checked_positions, spread

Asked = TypeVar("Asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A field that is an option or an argument.

    Attributes:
        path: Where its value goes in the plain JSON of a request.
        option: How it is offered.
        hint: The type of its values.
        shown: Its default, as help shows it; None where nothing is shown.
        default: Its default itself, MISSING if there is none.
    """

    path: str
    option: Option
    hint: Any
    shown: str | None
    default: Any = MISSING

    @property
    def parameter(self) -> str:
        """The name of the parameter of the command."""
        return self.path.replace(".", "_")

    @property
    def name(self) -> str:
        """What people type."""
        return self.option.flags[0].partition("/")[0] if self.option.flags else str(self.option.metavar)

    @property
    def switch(self) -> bool:
        """Whether it can be said to be off, as in `--name/--no-name`; other flags are off if they are not said."""
        return any("/" in flag for flag in self.option.flags)

    @property
    def names(self) -> bool:
        """Whether it takes several names: repeated, or with commas."""
        return self.hint == tuple[str, ...]

    @property
    def with_default(self) -> Parameter:
        """The parameter of a command that nothing comes before: its default is the field's, and shown as it is."""
        option, default = self.option, [",".join(self.default)] if self.names and self.default else self.default
        kind = list[str] if self.names else self.hint
        if not option.flags:
            declared = typer.Argument(metavar=option.metavar, help=option.help, show_default=False)
            default = Parameter.empty if default is MISSING else default
        else:
            declared = typer.Option(
                *option.flags,
                metavar=option.metavar,
                help=option.help,
                rich_help_panel=option.panel,
                show_default=option.default_help or True,
            )
        return parameter(self.parameter, Annotated[kind, declared], default)

    @property
    def annotation(self) -> Any:
        """The parameter's type for typer; None is what was not said."""
        option, choices = self.option, _choices(self.hint)
        metavar = option.metavar or ("|".join(choices) if choices else None)
        if not option.flags:
            return Annotated[str | None, typer.Argument(metavar=metavar, help=option.help, show_default=False)]
        flag = self.hint is bool
        declared = typer.Option(
            *option.flags,
            metavar=None if flag else metavar,
            help=option.help,
            rich_help_panel=option.panel,
            show_default=cast(Any, self.shown or False),
        )
        kind = next(
            (each for each in (bool, int, float) if each in _kinds(self.hint) and str not in _kinds(self.hint)), str
        )
        return Annotated[kind | None, declared]  # pyright: ignore[reportInvalidTypeForm]


def offered_by(kind: type[Request]) -> list[Offered]:
    """The options and arguments of a request's command: its own fields, its map's, and the settings."""
    return [*offered_in(kind), *offered_in(Settings, "changes.", "the preset's")]


def offered_in(kind: Any, prefix: str = "", shown: str | None = None) -> list[Offered]:
    """The fields of a dataclass that are options or arguments, and those of the dataclasses in it.

    Args:
        kind: The dataclass.
        prefix: Where its fields stand in the plain JSON of a request.
        shown: What help calls the defaults, if not by their values.
    """
    found: dict[str, Offered] = {}  # members of a union may have groups in common
    hints = get_type_hints(kind)
    for declared in fields(kind):
        option, hint, path = option_of(declared), hints[declared.name], prefix + declared.name
        if option is not None:
            path = f"{path}.path" if _holds_file(hint) else path
            default = option.default_help or shown or _shown(declared.default)
            found[path] = Offered(path=path, option=option, hint=hint, shown=default, default=declared.default)
        for group in branches(hint):
            if is_dataclass(group):
                found = {each.path: each for each in offered_in(group, f"{prefix}{declared.name}.", shown)} | found
    return list(found.values())


def _shown(default: object) -> str | None:
    return str(default) if isinstance(default, str | int) and default not in ("", False) else None


def _holds_file(hint: object) -> bool:
    return not {MapFile, PictureFile}.isdisjoint(branches(hint))


def _choices(hint: object) -> list[str]:
    return [str(each) for part in branches(hint) if get_origin(part) is Literal for each in get_args(part)]


def _kinds(hint: object) -> set[Any]:
    return {str if get_origin(part) is Literal else part for part in branches(hint)} - {NoneType}


def said(offered: Sequence[Offered], typed: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, as a part of a request's plain JSON."""
    plain: dict[str, Any] = {}
    for each in offered:
        value = typed.get(each.parameter)
        if value is not None and (value is not False or each.switch):
            put(plain, each.path, _value_of(each, value))
    return plain


def _value_of(each: Offered, value: Any) -> Any:
    if each.path == "size":
        return parse_size(value)
    if each.names:
        return list(split(value))
    if isinstance(value, Path):
        return str(value)
    if all(get_origin(part) is tuple for part in branches(each.hint) if part is not NoneType):
        return [plain_value(part.strip()) for part in value.split(",")]
    if float in _kinds(each.hint) and isinstance(value, str):
        return _number_or_word(value)
    return value


def parameter(name: str, annotation: Any, default: Any = None) -> Parameter:
    """A parameter of a command, as typer reads it."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def command_of(
    kind: type[Asked], summary: str, work: Callable[..., None], running: Sequence[Parameter]
) -> Callable[..., None]:
    """A command whose options are the fields of one dataclass, and which does one thing with it.

    Args:
        kind: The dataclass.
        summary: What the command does, in a line.
        work: Gets the dataclass, and by name what was typed of `running`.
        running: How the command runs, which is no field; `debug` is the program's.
    """
    offered = offered_in(kind)

    def run(**typed: Any) -> None:
        try:
            asked = from_plain(kind, said(offered, typed))
        except StereoDiffusionError as refused:
            raise in_flags(refused, offered) from refused
        work(asked, **{each.name: typed[each.name] for each in running if each.name != "debug"})

    run.__doc__ = summary
    cast(Any, run).__signature__ = Signature([*(each.with_default for each in offered), *running])
    return run


def parse_changes(given: Sequence[str]) -> dict[str, Any]:
    """Settings by name, of `shift.at=0.3`.

    Raises:
        ConfigError: If one is not written so.
    """
    changes: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name.strip() and equals):
            raise ConfigError(f"--set takes a setting and its value, such as shift.at=0.3, got {each!r}")
        changes[name.strip()] = plain_value(value.strip())
    return changes


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def parse_size(size: str) -> list[int]:
    """[height, width] of `256x384`.

    Raises:
        ConfigError: If it is not written so.
    """
    height, _, width = size.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ConfigError(f"--size must be height x width in pixels, such as 256x384, got {size!r}")
    return [int(height), int(width)]


def parse_wanted(source: str | None, views: int | None, baselines: str | None) -> dict[str, Any] | None:
    """What is wanted, as a part of a request's plain JSON; None if nothing is said.

    Raises:
        ConfigError: If that makes no sense.
    """
    if source is not None and source not in EYES:
        raise ConfigError(f"--source must be one of {', '.join(EYES)}, got {source!r}")
    eye = cast(SourceEye, source or "left")
    if baselines is None:
        if views is not None:
            return {"kind": "views", "positions": list(spread(views, *EYES[eye]))}
        return None if source is None else {"kind": "pair", "source": eye}
    if source not in (None, "left"):
        raise ConfigError(
            f"--baselines are distances from the source, whichever eye it is: leave out --source {source}"
        )
    try:
        positions = checked_positions([float(place) for place in baselines.split(",")])
    except ValueError as refused:
        raise ConfigError(
            f"--baselines must be numbers from left to right, such as 0.25,0.5,1, got {baselines!r}"
        ) from refused
    return {
        "kind": "views",
        "positions": list(positions if views is None else spread(views, positions[0], positions[-1])),
    }


def in_flags(error: StereoDiffusionError, offered: Sequence[Offered]) -> StereoDiffusionError:
    """A refusal in the words of the command line: fields by the names of their options."""
    message = str(error)
    for each in sorted(offered, key=lambda one: -len(one.path)):
        path = each.path.removeprefix("changes.")
        if not each.option.flags:
            continue
        pattern = rf"(?<![\w.-]){re.escape(path)}(?![\w.])" if "." in path else rf"^{re.escape(path)}(?= (must|:))"
        message = re.sub(pattern, each.name, message)
    return type(error)(message)
