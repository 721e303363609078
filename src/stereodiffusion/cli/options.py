"""Options that are no part of a request: what is written, where, and how a command runs."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from stereodiffusion.cli.choices import BUNDLES, DTYPES, EXTRAS, FORMATS, NAMES, READABLE, SOURCES, VIEW_FORMATS
from stereodiffusion.errors import FormatError

_OUTPUT, _METHOD, _RUNNING = "Output", "Method", "Running"

Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        rich_help_panel=_OUTPUT,
        show_default=False,
        help="Where to write; an existing file is replaced. Without it, or with a folder, the name is made from the "
        "prompt or the photo's name, and numbered if it is taken.",
    ),
]
Formats: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        rich_help_panel=_OUTPUT,
        show_default="sbs",
        help=f"Repeat it, or list several with commas: {', '.join(FORMATS)}. Several are written to FILE-FORMAT. "
        f"Of several views: {', '.join(VIEW_FORMATS)}, by default views.",
    ),
]
Also: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--also",
        metavar="WHAT",
        rich_help_panel=_OUTPUT,
        show_default=False,
        help=f"Write besides: {', '.join(EXTRAS)}. Repeat it, or list several with commas.",
    ),
]
Bundle: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="|".join(BUNDLES),
        rich_help_panel=_OUTPUT,
        show_default=False,
        help="Write besides, for research: both eyes with exact disparity, occlusion and calibration in the layout of "
        "a data set, a folder FILE-LAYOUT. docs/datasets.md has its conventions.",
    ),
]
FloatingWindow: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--floating-window",
        rich_help_panel=_OUTPUT,
        help="Black bars at the sides of a pair where the frame cuts what stands before the screen.",
    ),
]
FileNames: TypeAlias = Annotated[
    str,
    typer.Option(
        "--names",
        metavar="|".join(NAMES),
        rich_help_panel=_OUTPUT,
        help="players ends names as players of 3D pictures expect it, such as FILE_LRF_Full_SBS.png.",
    ),
]
FromFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FORMAT",
        show_default="recognised",
        rich_help_panel="Pair",
        help=f"What the file is: {', '.join(READABLE)}.",
    ),
]
Views: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--views",
        metavar="N",
        rich_help_panel=_OUTPUT,
        show_default=False,
        help="Make N views instead of a pair, evenly from the left eye to the right, or from the first of --baselines "
        "to the last.",
    ),
]
Baselines: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--baselines",
        metavar="LIST",
        rich_help_panel=_OUTPUT,
        show_default=False,
        help="Make views at these places instead of a pair, from left to right, such as 0.25,0.5,1: distances from the "
        "source in baselines, to its left if negative.",
    ),
]
SourceEye: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="|".join(SOURCES),
        rich_help_panel=_METHOD,
        show_default="left",
        help="Which eye the photo is, or the picture that is drawn first; beside centre both eyes are made.",
    ),
]
Changes: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        rich_help_panel=_METHOD,
        show_default=False,
        help="Change any setting, such as shift.at=0.3 or views.attention.mode=off; repeat it for several.",
    ),
]
RequestFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--request",
        metavar="FILE",
        rich_help_panel=_RUNNING,
        show_default=False,
        help="Take the request in a JSON file; what is said besides changes it.",
    ),
]
PrintRequest: TypeAlias = Annotated[
    bool,
    typer.Option("--print-request", rich_help_panel=_RUNNING, help="Print the request as JSON and make nothing."),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=_RUNNING, help="auto (cuda if there is one, otherwise cpu), cpu, cuda, mps ..."
    ),
]
Dtype: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_RUNNING,
        help=f"Precision: {', '.join(DTYPES)}; auto is the fastest that the device is good at.",
    ),
]
OffloadParts: TypeAlias = Annotated[
    str,
    typer.Option(
        "--offload",
        metavar="off|model|sequential",
        rich_help_panel=_RUNNING,
        help="For a graphics card with little memory: model keeps one part of the model there at a time, sequential "
        "one layer, which is several times slower.",
    ),
]
Tiles: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--tiles", rich_help_panel=_RUNNING, help="For the same: let the autoencoder work on large pictures in tiles."
    ),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", rich_help_panel=_RUNNING, help="No progress and no notes, errors only.")
]
Debug: TypeAlias = Annotated[
    bool, typer.Option("--debug", rich_help_panel=_RUNNING, help="Show tracebacks and warnings.")
]


def check_from_format(name: str | None) -> None:
    """Refuse what pairs cannot be read from.

    Raises:
        FormatError: If there is no such format, or its eyes cannot be taken apart.
    """
    if name not in (None, *READABLE):
        raise FormatError(f"--from must be one of {', '.join(READABLE)}, got {name!r}")
