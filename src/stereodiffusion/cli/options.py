"""What every command takes, as types for typer's signatures, and what is made of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import typer

from stereodiffusion.cards import preset_for
from stereodiffusion.cli.choices import (
    DTYPES,
    EXTRAS,
    FORMATS,
    REFINEMENTS,
    SOLVERS,
    SOURCES,
    SPACINGS,
    VIEW_FORMATS,
    Extra,
)
from stereodiffusion.config import (
    Mode,
    PresetName,
    StereoConfig,
    preset_names,
)
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.viewpoint import EYES, Source, checked_positions, spread

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
Compile: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--compile",
        rich_help_panel=_RUNNING,
        help="Compile the network's layers (torch.compile), which takes minutes at first.",
    ),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", rich_help_panel=_RUNNING, help="No progress and no notes, errors only.")
]
Debug: TypeAlias = Annotated[
    bool, typer.Option("--debug", rich_help_panel=_RUNNING, help="Show tracebacks and warnings.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """The options that all commands share, checked.

    Attributes:
        config: The preset of the mode, with the settings that were changed.
        photo: The same of photo mode, for the second of two steps.
        deepened: Whether a maximum disparity was asked for.
        formats: Names of output formats, of pairs or of views.
        also: What to write besides.
        source: Which eye the source is.
        positions: Of several views, from left to right; None for a pair.
    """

    config: StereoConfig
    photo: StereoConfig
    deepened: bool
    formats: tuple[str, ...]
    also: tuple[Extra, ...]
    source: Source = "left"
    positions: tuple[float, ...] | None = None


def common(
    mode: Mode,
    *,
    model: str,
    preset_name: str,
    steps: int | None,
    solver: str | None,
    spacing: str | None,
    guidance: float | None,
    max_disparity: float | None,
    convergence: float | None,
    source: str,
    views: int | None,
    baselines: str | None,
    formats: Sequence[str],
    also: Sequence[str],
    dtype: str,
    seed: int,
    crops: int | None = None,
    refine: str | None = None,
) -> Common:
    """Check what can be checked without looking at any file.

    Raises:
        ConfigError: If a setting is unknown or out of range.
        FormatError: If an output format is unknown.
    """
    options = (
        ("--solver", solver, SOLVERS),
        ("--spacing", spacing, SPACINGS),
        ("--source", source, SOURCES),
        ("--refine", refine, REFINEMENTS),
    )
    for option, value, known in options:
        if value is not None and value not in known:
            raise ConfigError(f"{option} must be one of {', '.join(known)}, got {value!r}")
    asked = {
        "steps": steps,
        "solver": solver,
        "spacing": spacing,
        "guidance": guidance,
        "max_disparity": max_disparity,
        "convergence": convergence,
        "crops": crops,
        "refine": refine,
    }
    changes = cast(dict[str, Any], {name: value for name, value in asked.items() if value is not None})
    if preset_name not in preset_names():
        raise ConfigError(f"--preset must be one of {', '.join(preset_names())}, got {preset_name!r}")
    name = cast(PresetName, preset_name)
    config, photo = (replace(preset_for(model, name, each), **changes) for each in (mode, "photo"))
    if dtype not in DTYPES:
        raise ConfigError(f"--dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"--seed must be a whole number from 0 to 2^63 - 1, got {seed}")
    eye = cast(Source, source)
    positions = parse_positions(eye, views, baselines)
    if preset_name == "paper" and (positions is not None or eye != "left"):
        raise ConfigError("the preset paper makes the right eye together with its source: choose fast or best")
    return Common(
        config=config,
        photo=photo,
        deepened=max_disparity is not None,
        formats=_formats(formats, several=positions is not None),
        also=_extras(also, several=positions is not None),
        source=eye,
        positions=positions,
    )


def parse_positions(source: Source, views: int | None, baselines: str | None) -> tuple[float, ...] | None:
    """Where views are wanted, None if a pair is.

    Raises:
        ConfigError: If that makes no sense.
    """
    if baselines is None:
        return None if views is None else spread(views, *EYES[source])
    if source != "left":
        raise ConfigError(
            f"--baselines are distances from the source, whichever eye it is: leave out --source {source}"
        )
    try:
        positions = checked_positions([float(place) for place in baselines.split(",")])
    except ValueError as refused:
        raise ConfigError(
            f"--baselines must be numbers from left to right, such as 0.25,0.5,1, got {baselines!r}"
        ) from refused
    return positions if views is None else spread(views, positions[0], positions[-1])


def _formats(formats: Sequence[str], *, several: bool) -> tuple[str, ...]:
    asked = listed(formats, (*FORMATS, *VIEW_FORMATS), "--format")
    wrong = [name for name in asked if (name in VIEW_FORMATS) != several]
    if wrong and several:
        raise FormatError(f"several views go into {' and '.join(VIEW_FORMATS)}, got --format {', '.join(wrong)}")
    if wrong:
        raise FormatError(f"--format {', '.join(wrong)} is for several views: say which with --views or --baselines")
    return asked or (("views",) if several else ("sbs",))


def _extras(also: Sequence[str], *, several: bool) -> tuple[Extra, ...]:
    asked = listed(also, EXTRAS, "--also")
    if asked and several:
        raise FormatError(f"--also is for a pair, not for several views, got {', '.join(asked)}")
    return cast(tuple[Extra, ...], asked)


def parse_size(size: str | None) -> tuple[int, int] | None:
    """(height, width) of `256x384`.

    Raises:
        ConfigError: If it is not written so.
    """
    if size is None:
        return None
    height, _, width = size.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ConfigError(f"--size must be height x width in pixels, such as 256x384, got {size!r}")
    return int(height), int(width)


def split(given: Sequence[str]) -> tuple[str, ...]:
    """The names in repeated options and comma lists, each once."""
    return tuple(dict.fromkeys(name.strip() for entry in given for name in entry.split(",") if name.strip()))


def listed(given: Sequence[str], known: Sequence[str], option: str) -> tuple[str, ...]:
    """As `split`, of names that are known.

    Raises:
        FormatError: If one is not.
    """
    names = split(given)
    for name in names:
        if name not in known:
            raise FormatError(f"{option} must be one or several of {', '.join(known)}, got {name!r}")
    return names
