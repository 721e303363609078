"""What every command takes, as types for typer's signatures."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from stereodiffusion.cli.choices import (
    DTYPES,
    EXTRAS,
    FORMATS,
    SOLVERS,
    SOURCES,
    SPACINGS,
    VIEW_FORMATS,
)

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
Model: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        rich_help_panel=_METHOD,
        help="A name of `stereodiffusion models`, a repository of the hub, a folder or a .safetensors file.",
    ),
]
Estimator: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--depth-estimator",
        metavar="NAME",
        rich_help_panel=_METHOD,
        show_default="the one that suits the model",
        help="What estimates depth: a name, a repository or a folder.",
    ),
]
Preset: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_METHOD,
        help="Settings of the method: fast is the least cost, best goes beyond the paper, paper follows the authors' "
        "code. The options below change single settings of it.",
    ),
]
Steps: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N", rich_help_panel=_METHOD, show_default="the preset's", help="Denoising steps, at least 2."
    ),
]
Solver: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_METHOD,
        show_default="the preset's",
        help=f"{', '.join(SOLVERS)}: dpm++ needs fewer steps than ddim; lcm is for checkpoints made for it.",
    ),
]
Spacing: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_METHOD,
        show_default="the preset's",
        help=f"{', '.join(SPACINGS)}: where the steps lie; Turbo checkpoints want trailing.",
    ),
]
Guidance: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="W",
        rich_help_panel=_METHOD,
        show_default="the model's, or else the preset's",
        help="How strictly to follow the prompt; 1 is the least.",
    ),
]
MaxDisparity: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        rich_help_panel=_METHOD,
        show_default="the preset's",
        help="Depth of the scene: parallax of its nearest point as a fraction of the width, 0 to 0.5.",
    ),
]
Convergence: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        rich_help_panel=_METHOD,
        show_default="the preset's",
        help="Parallax that lies on the screen, as a fraction of the width; 0 has everything before the screen.",
    ),
]
SourceEye: TypeAlias = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="EYE",
        rich_help_panel=_METHOD,
        help=f"{', '.join(SOURCES)}: which eye the photo is, or the picture that is drawn first; beside centre both "
        "eyes are made.",
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
Crops: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        rich_help_panel=_METHOD,
        show_default="the preset's",
        help="With preset best: make the occlusions of a large photo again in up to N crops, at a finer scale than the "
        "model's. Each costs as much as the photo; 0 makes none.",
    ),
]
Refine: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--refine",
        metavar="MAPS",
        rich_help_panel=_METHOD,
        show_default="the preset's",
        help="Which maps have their borders moved to the photo's, hair included: off, estimated, or all, for a "
        "--disparity that was estimated elsewhere and is soft or a little off.",
    ),
]
Seed: TypeAlias = Annotated[
    int,
    typer.Option(metavar="N", rich_help_panel=_METHOD, help="Same command, same seed: same picture."),
]
Negative: TypeAlias = Annotated[
    str, typer.Option(metavar="TEXT", rich_help_panel=_METHOD, show_default=False, help="What to steer away from.")
]
Size: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HxW",
        rich_help_panel=_METHOD,
        show_default="the model's",
        help="Height x width of each eye in pixels, as 256x384.",
    ),
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
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", rich_help_panel=_RUNNING, help="No progress and no notes, errors only.")
]
Debug: TypeAlias = Annotated[
    bool, typer.Option("--debug", rich_help_panel=_RUNNING, help="Show tracebacks and warnings.")
]
