"""What is made of the options that every command takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

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
from stereodiffusion.config import Mode, PresetName, StereoConfig, preset_names
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.viewpoint import EYES, Source, checked_positions, spread


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
