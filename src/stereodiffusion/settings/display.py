"""How a pair is looked at: how wide its picture is, from how far, and what its parallax then is to the eyes.

Parallax here is a fraction of the picture's width, positive in front of the screen, as disparity is. On a screen that
both eyes share, parallax 0 lies on the screen. In a viewer with a lens before each eye the two pictures are centred
on the two axes, so that parallax 0 is infinitely far, wherever the lenses have the eyes focus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import atan, degrees, isfinite, radians, tan
from types import MappingProxyType
from typing import Literal, TypeAlias

from stereodiffusion.errors import ConfigError

DisplayName: TypeAlias = Literal["phone", "headset", "monitor", "tv", "cinema"]

EYES_M = 0.063
"""Between the pupils of adults, on average (Dodgson 2004); 0.05 m is that of few adults and of most children."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A picture before somebody's eyes.

    Attributes:
        width_m: Width of the picture, or of its virtual image.
        distance_m: Of the picture, or of its virtual image, from the eyes: where they focus.
        zero: Where parallax 0 is seen: on the `screen`, or at `infinity`.
    """

    width_m: float
    distance_m: float
    zero: Literal["screen", "infinity"] = "screen"

    def __post_init__(self) -> None:
        for name, value in (("width_m", self.width_m), ("distance_m", self.distance_m)):
            if not (isfinite(value) and value > 0):
                raise ConfigError(f"{name} of a display must be positive metres, got {value}")

    @property
    def focus_dioptres(self) -> float:
        """Where the eyes focus, in dioptres (1 / metres)."""
        return 1 / self.distance_m

    def vergence(self, parallax: float) -> float:
        """Where the eyes converge, in dioptres: below 0 they diverge."""
        shared = EYES_M if self.zero == "screen" else 0.0
        return (shared + parallax * self.width_m) / (EYES_M * self.distance_m)

    def parallax_at(self, vergence: float) -> float:
        """The parallax that has the eyes converge at so many dioptres: the inverse of `vergence`."""
        shared = EYES_M if self.zero == "screen" else 0.0
        return (vergence * EYES_M * self.distance_m - shared) / self.width_m

    def degrees(self, parallax: float) -> float:
        """The visual angle that a parallax takes on the screen."""
        return degrees(2 * atan(parallax * self.width_m / (2 * self.distance_m)))

    def parallax_of(self, angle_degrees: float) -> float:
        """The parallax that takes so many degrees: the inverse of `degrees`."""
        return 2 * self.distance_m * tan(radians(angle_degrees) / 2) / self.width_m


def _filling(field_degrees: float, distance_m: float) -> float:
    """The width that fills a field of view."""
    return 2 * distance_m * tan(radians(field_degrees) / 2)


def _wide(diagonal_inches: float) -> float:
    """The width of a 16:9 screen."""
    return diagonal_inches * 0.0254 * 16 / (16**2 + 9**2) ** 0.5


DISPLAYS: Mapping[DisplayName, Display] = MappingProxyType(
    {
        # A lens viewer of 80 degrees for each eye. Where its lenses put the picture differs from one to the next and
        # is seldom told; 2 m is that of most headsets.
        "phone": Display(width_m=_filling(80, 2.0), distance_m=2.0, zero="infinity"),
        "headset": Display(width_m=_filling(40, 2.0), distance_m=2.0),  # a flat picture that hangs in the room
        "monitor": Display(width_m=_wide(27), distance_m=0.6),
        "tv": Display(width_m=_wide(65), distance_m=2.5),
        "cinema": Display(width_m=12.0, distance_m=15.0),
    }
)
"""Displays by name, the picture as wide as the display. A picture that is shown narrower has less parallax."""
