"""`web`: the page in the browser."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from stereodiffusion.cli import options
from stereodiffusion.cli.devices import usable_device
from stereodiffusion.errors import ConfigError
from stereodiffusion.models.cards import AUTO

AUTH_VARIABLE = "STEREODIFFUSION_AUTH"


def web(
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME", help="The model that makes the pairs.")
    ] = "toybox",
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="The port to listen on.")] = 7860,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on; 0.0.0.0 is every one.")
    ] = "127.0.0.1",
    auth_file: Annotated[
        Path | None,
        typer.Option(
            "--auth-file",
            metavar="FILE",
            help=f"A file with user:password, which the page then asks for; or set {AUTH_VARIABLE}.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = "auto",
    debug: options.Debug = False,
) -> None:
    """Open a page in the browser: pairs from text, depth maps and photos, to look at and to change."""
    del debug
    auth = read_auth(auth_file)
    if auth is None and host not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError(f"on {host} everybody can reach the page: say who may with --auth-file or {AUTH_VARIABLE}")
    if find_spec("gradio") is None:
        raise ConfigError("the page needs Gradio: pip install 'stereodiffusion[web]'")
    from stereodiffusion.synthesis import load
    from stereodiffusion.web.server import serve

    loaded = load(model, device=usable_device(device), depth_estimator=AUTO)
    typer.echo(f"http://{host}:{port}")
    serve(loaded, host=host, port=port, auth=auth)


def read_auth(file: Path | None) -> str | None:
    """The user and the password that the page asks for, None if it lets everybody in.

    Raises:
        ConfigError: If they are not `user:password`.
        FormatError: If the file cannot be read.
    """
    if file is None:
        said, where = os.environ.get(AUTH_VARIABLE), AUTH_VARIABLE
    else:
        from stereodiffusion.formats.files import read_bytes

        said, where = read_bytes(file).decode("utf-8", "replace").strip(), str(file)
    if said is None:
        return None
    user, colon, password = said.partition(":")
    if not (user and colon and password) or "\n" in said:
        raise ConfigError(f"{where}: expected user:password in one line, got something else")
    return said
