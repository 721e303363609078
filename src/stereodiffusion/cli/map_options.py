"""What is said about a map of depth or disparity: options of the commands that take one."""

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, TypeAlias

import typer

from stereodiffusion.cli.choices import MAP_KINDS, UNKNOWNS
from stereodiffusion.errors import ConfigError

_MAP = "Map"

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
        help="Values that mean 'not known': nonfinite (NaN, inf), zero, negative, a number such as -9999, none.",
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
        if self.unknown not in UNKNOWNS and not _is_number(self.unknown):
            raise ConfigError(f"--map-unknown must be one of {', '.join(UNKNOWNS)}, or a number, got {self.unknown!r}")
        if (self.focal_px is None) != (self.baseline_m is None):
            raise ConfigError("--focal-px and --baseline-m belong together, got one of them")
        if self.focal_px is not None and self.kind != "depth-m":
            raise ConfigError("--focal-px and --baseline-m are for --map-kind depth-m")


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False
