"""What commands print: names and contents of files never reach a terminal as anything but text."""

import sys
from pathlib import Path

import typer

from stereodiffusion.errors import printable


def say(text: str, *, err: bool = False) -> None:
    """Print lines for people; control characters in them are spelled out, wherever they go."""
    typer.echo(spelled(text), err=err)


def say_path(path: Path) -> None:
    """Print the path of what was written: as it is for a program that reads it, spelled out on a terminal."""
    # "color", or else escape sequences would be taken out of it, and there is no file of such a name.
    typer.echo(printable(str(path)) if sys.stdout.isatty() else path, color=True)


def spelled(text: str) -> str:
    """Lines whose control characters, and those that turn lines about, are spelled out."""
    return "\n".join(map(printable, text.split("\n")))
