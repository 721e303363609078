"""`redo`: a saved picture is made again, from the request that it carries."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.choices import EXTRAS, VIEW_FORMATS
from stereodiffusion.cli.fields import parse_changes
from stereodiffusion.cli.generate import Machine, deliver
from stereodiffusion.cli.outputs import Files
from stereodiffusion.errors import FormatError
from stereodiffusion.models.memory import Memory
from stereodiffusion.request import Request, request_from
from stereodiffusion.request.saying import merged


def redo(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="A picture that this program wrote.", show_default=False)
    ],
    output: options.Output = None,
    formats: options.Formats = [],  # noqa: B006 - typer's way to say the default of a list
    also: options.Also = [],  # noqa: B006
    changes: options.Changes = [],  # noqa: B006
    print_request: options.PrintRequest = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", rich_help_panel="Running", help="Another device than that of the picture."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", rich_help_panel="Running", help="Another precision than that of the picture."),
    ] = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a picture again, or a variant of it: the same bytes on the same machine if nothing is changed."""
    del debug
    import json

    from stereodiffusion.formats import read_metadata

    recorded = read_metadata(picture)
    request = _request_in(picture, recorded, parse_changes(changes))
    if print_request:
        typer.echo(json.dumps(request.plain(), indent=2))
        return
    machine = cast(dict[str, Any], recorded.get("machine") if isinstance(recorded.get("machine"), dict) else {})
    running = Machine(
        device=device or str(machine.get("device", "auto")),
        dtype=dtype or str(machine.get("dtype", "auto")),
        memory=Memory(offload=machine.get("offload", "off"), tiles=machine.get("tiles") is True),
        quiet=quiet,
    )
    made_as = str(recorded.get("format", "sbs"))
    extras = also or ([made_as] if made_as in EXTRAS and not formats else [])
    kinds = formats or ([] if extras and made_as in EXTRAS else [made_as])
    files = Files.of(kinds, extras, request, window="floating_window" in recorded)
    if not formats and made_as in EXTRAS:
        files = replace(files, formats=())
    deliver(request, files, output or _beside(picture, made_as), running)


def _request_in(picture: Path, recorded: dict[str, object], changes: dict[str, Any]) -> Request:
    said = recorded.get("request")
    if not isinstance(said, dict):
        raise FormatError(f"{picture}: expected the request that made it, found none: an older version wrote it")
    return request_from(merged(cast(dict[str, Any], said), {"changes": changes} if changes else {}))


def _beside(picture: Path, made_as: str) -> Path:
    """A free name beside the picture, of which the parts that a format adds are left out."""
    stem = picture.stem
    for end in ("left", "right") if made_as in ("eyes", "left", "right") else ():
        stem = stem.removesuffix(f"-{end}")
    if made_as in VIEW_FORMATS:
        stem = stem.rpartition("_qs" if made_as == "quilt" else "-")[0] or stem
    return picture.with_name(f"{stem}-again{picture.suffix}")
