"""What every command takes, as types for typer's signatures, and what is made of it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import typer

from stereodiffusion.cli.choices import DTYPES, EXTRAS, FORMATS, MAP_KINDS, SOLVERS, SPACINGS, UNKNOWNS, Extra
from stereodiffusion.config import (
    Mode,
    PresetName,
    StereoConfig,
    preset,
    preset_names,
)
from stereodiffusion.errors import ConfigError, FormatError

_OUTPUT, _METHOD, _RUNNING, _MAP = "Output", "Method", "Running", "Map"

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
        help=f"Repeat it, or list several with commas: {', '.join(FORMATS)}. Several are written to FILE-FORMAT.",
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
        show_default="the preset's",
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

MapKind: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--map-kind",
        metavar="KIND",
        rich_help_panel=_MAP,
        show_default=False,
        help="What the map's values are: disparity-px (pixels), depth-m (metres), near-is-bright, near-is-dark.",
    ),
]
MapScale: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--map-scale",
        metavar="N",
        rich_help_panel=_MAP,
        show_default=False,
        help="Value / scale is in pixels or metres; files of whole numbers need it (KITTI 256, millimetres 1000).",
    ),
]
MapUnknown: TypeAlias = Annotated[
    str,
    typer.Option(
        "--map-unknown",
        metavar="WHICH",
        rich_help_panel=_MAP,
        help="Values that mean 'not known': nonfinite (NaN, inf), zero, none.",
    ),
]
FocalPx: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--focal-px",
        metavar="N",
        rich_help_panel=_MAP,
        show_default=False,
        help="Of depth-m: focal length in pixels of the map, with --baseline-m.",
    ),
]
BaselineM: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--baseline-m",
        metavar="M",
        rich_help_panel=_MAP,
        show_default=False,
        help="Of depth-m: distance between the eyes in metres. Without the two the nearest point gets --max-disparity.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """The options that all commands share, checked.

    Attributes:
        config: The preset of the mode, with the settings that were changed.
        photo: The same of photo mode, for the second of two steps.
        deepened: Whether a maximum disparity was asked for.
        formats: Names of output formats.
        also: What to write besides.
    """

    config: StereoConfig
    photo: StereoConfig
    deepened: bool
    formats: tuple[str, ...]
    also: tuple[Extra, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOptions:
    """What the user says about a map.

    Attributes:
        kind: What the values are; None if nothing is said.
        scale: Value / scale is in pixels or metres.
        unknown: Which values mean "not known".
        focal_px: Of depth in metres.
        baseline_m: Of depth in metres.
    """

    kind: str | None = None
    scale: float | None = None
    unknown: str = "nonfinite"
    focal_px: float | None = None
    baseline_m: float | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in MAP_KINDS:
            raise ConfigError(f"--map-kind must be one of {', '.join(MAP_KINDS)}, got {self.kind!r}")
        if self.unknown not in UNKNOWNS:
            raise ConfigError(f"--map-unknown must be one of {', '.join(UNKNOWNS)}, got {self.unknown!r}")
        if (self.focal_px is None) != (self.baseline_m is None):
            raise ConfigError("--focal-px and --baseline-m belong together, got one of them")
        if self.focal_px is not None and self.kind != "depth-m":
            raise ConfigError("--focal-px and --baseline-m are for --map-kind depth-m")


def common(
    mode: Mode,
    *,
    preset_name: str,
    steps: int | None,
    solver: str | None,
    spacing: str | None,
    guidance: float | None,
    max_disparity: float | None,
    convergence: float | None,
    formats: Sequence[str],
    also: Sequence[str],
    dtype: str,
    seed: int,
    crops: int | None = None,
) -> Common:
    """Check what can be checked without looking at any file.

    Raises:
        ConfigError: If a setting is unknown or out of range.
        FormatError: If an output format is unknown.
    """
    for option, value, known in (("--solver", solver, SOLVERS), ("--spacing", spacing, SPACINGS)):
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
    }
    changes = cast(dict[str, Any], {name: value for name, value in asked.items() if value is not None})
    if preset_name not in preset_names():
        raise ConfigError(f"--preset must be one of {', '.join(preset_names())}, got {preset_name!r}")
    config, photo = (replace(preset(cast(PresetName, preset_name), each), **changes) for each in (mode, "photo"))
    if dtype not in DTYPES:
        raise ConfigError(f"--dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"--seed must be a whole number from 0 to 2^63 - 1, got {seed}")
    return Common(
        config=config,
        photo=photo,
        deepened=max_disparity is not None,
        formats=listed(formats, FORMATS, "--format") or ("sbs",),
        also=cast(tuple[Extra, ...], listed(also, EXTRAS, "--also")),
    )


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


def require_file(path: Path) -> Path:
    """The path, if there is a file.

    Raises:
        FormatError: If not.
    """
    with usable(path):
        if path.is_dir():
            raise FormatError(f"{path}: expected a file, got a folder")
        if not path.exists():
            raise FormatError(f"{path}: no such file")
    return path


@contextmanager
def usable(path: Path) -> Generator[None]:
    """Turns what the system says against a path, such as that its name is too long, into a refusal.

    Raises:
        FormatError: If it says something.
    """
    try:
        yield
    except OSError as refused:
        raise FormatError(f"{path} cannot be used: {refused.strerror}") from refused


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
