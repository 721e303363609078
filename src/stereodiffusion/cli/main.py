"""The program `stereodiffusion`: its commands, its errors in one line, its exit codes.

0    done                    2         refused: the message says what to change
1    a failure of ours       3         of a batch some rows failed
                             130, 143  interrupted, terminated: by the signal's number, see `signals`
"""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from stereodiffusion import __version__
from stereodiffusion.cli import batch, bench, models, study, video
from stereodiffusion.cli.check import check
from stereodiffusion.cli.convert import convert
from stereodiffusion.cli.disparity import disparity
from stereodiffusion.cli.generate import command
from stereodiffusion.cli.redo import redo
from stereodiffusion.cli.scenes import scenes
from stereodiffusion.cli.signals import end_on_signals, ignore_signals
from stereodiffusion.cli.web import web
from stereodiffusion.errors import StereoDiffusionError, printable
from stereodiffusion.request import DepthRequest, PhotoRequest, TextRequest

_PROGRAM = "stereodiffusion"
# What typer says of the command line itself: an unknown option, a missing argument. It has no public name.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class _Program(TyperGroup):
    """Typer's group, which ends with one line on stderr whatever goes wrong."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and end the program: 2 for what the user can mend, 1 for our failures, 130 if interrupted."""
        arguments = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in arguments
        try:
            code = super().main(arguments or ["--help"], _PROGRAM, complete_var, False, windows_expand_args, **extra)
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        except (StereoDiffusionError, _UsageError) as error:
            self._complain(error, debug)
            code = 2
        except Exception as error:
            # Whatever is not refused on purpose is a failure of ours.
            self._complain(error, debug, failure=True)
            code = 1
        if code == 130:
            typer.echo(f"{_PROGRAM}: interrupted", err=True)
        if not arguments:
            code = 2  # the help was shown because a command is missing
        sys.exit(code if isinstance(code, int) else 0)

    @staticmethod
    def _complain(error: Exception, debug: bool, *, failure: bool = False) -> None:
        if debug:
            traceback.print_exception(error)
        describe = getattr(error, "format_message", error.__str__)
        message = printable(" ".join(str(describe()).split()))
        if failure:
            message = f"internal error: {type(error).__name__}: {message}"
            message += "" if debug else " (--debug shows more)"
        else:
            message = f"error: {message}"
        typer.echo(f"{_PROGRAM}: {message}", err=True)


app = typer.Typer(
    name=_PROGRAM,
    cls=_Program,
    help="Stereo image pairs from a prompt, a depth map or a photo, with latent diffusion models.",
    epilog="Start here:  stereodiffusion text 'a red ball in front of a striped blue box'",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _show_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"{_PROGRAM} {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _start(  # pyright: ignore[reportUnusedFunction] - typer calls it
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    del version


app.command("text")(command(TextRequest, "Make a stereo pair from a prompt."))
app.command("depth")(command(DepthRequest, "Make a stereo pair from a depth map and a prompt."))
app.command("photo")(command(PhotoRequest, "Make a stereo pair from a photo."))
app.command("batch")(batch.command())
app.command("scenes")(scenes)
app.command("video")(video.command())
app.command("disparity")(disparity)
app.command("redo")(redo)
app.command("check")(check)
app.command("convert")(convert)
app.command("models")(models.models)
app.command("web")(web)
app.add_typer(bench.app, name="bench")
app.add_typer(study.app, name="study")


def main() -> NoReturn:
    """Run the program on the arguments of this process."""
    end_on_signals()
    if "--debug" not in sys.argv:
        warnings.simplefilter("ignore")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    # Torch then asks for pages of 2 MB; fetching those of 4 kB takes a tenth of the time of a large network.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        app()
    finally:
        ignore_signals()
    sys.exit(0)
