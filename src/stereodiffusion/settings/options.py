"""How a field of a request or of the settings is offered on a command line.

What stands here is declared once, beside the field, and everything else comes from it: the option with its help, the
name in JSON, the schema. Nothing here knows of a command line library.
"""

from dataclasses import MISSING, Field, dataclass, field
from typing import Any

_KEY = "option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of a command.

    Attributes:
        flags: As they are typed; none for an argument.
        help: What it does, in a sentence.
        panel: The heading it stands under.
        metavar: What stands for its value; choices are listed if None.
        default_help: What is said of its default, if not the value itself.
    """

    flags: tuple[str, ...]
    help: str
    panel: str | None = None
    metavar: str | None = None
    default_help: str | None = None


def option(
    default: Any,
    *flags: str,
    help: str,  # noqa: A002 - as command line libraries call it
    panel: str | None = None,
    metavar: str | None = None,
    default_help: str | None = None,
) -> Any:
    """A dataclass field, offered as an option: an argument if there are no flags, required if there is no default."""
    offered = Option(flags=flags, help=help, panel=panel, metavar=metavar, default_help=default_help)
    return field(metadata={_KEY: offered}) if default is MISSING else field(default=default, metadata={_KEY: offered})


def option_of(declared: Field[Any]) -> Option | None:
    """How a field is offered, None if it has no option of its own."""
    return declared.metadata.get(_KEY)
