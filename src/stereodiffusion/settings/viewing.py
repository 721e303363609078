"""For whom a pair is made: the display it is looked at on, and whether its parallax is to be comfortable there."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings.display import DISPLAYS, Display, DisplayName
from stereodiffusion.settings.options import option

Comfort: TypeAlias = Literal["off", "fit"]

_VIEWING = "Viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """The viewer.

    Attributes:
        display: A display by its name, see `stereodiffusion.settings.display`.
        width_m: Or the width of the picture on another one, in metres,
        distance_m: and how far away the viewer is.
        comfort: `fit` lessens parallax and moves the screen as far as the display's zone of comfort asks for it;
            `off` leaves them.
    """

    display: DisplayName | None = option(
        None,
        "--for",
        panel=_VIEWING,
        default_help="none",
        help="The display that the pair is made for, with --comfort or a budget in degrees.",
    )
    width_m: float | None = option(
        None,
        "--screen-width-m",
        panel=_VIEWING,
        default_help="none",
        metavar="M",
        help="Another display, instead of --for: how wide the picture is there, in metres, with --viewing-distance-m.",
    )
    distance_m: float | None = option(
        None,
        "--viewing-distance-m",
        panel=_VIEWING,
        metavar="M",
        default_help="none",
        help="How far away its viewer is, in metres.",
    )
    comfort: Comfort = option(
        "off",
        "--comfort",
        panel=_VIEWING,
        help="fit lessens the parallax and moves the screen as far as the display's zone of comfort asks for it.",
    )

    def __post_init__(self) -> None:
        if (self.width_m is None) != (self.distance_m is None):
            raise ConfigError("viewing.width_m and viewing.distance_m belong together, got one of them")
        if self.display is not None and self.width_m is not None:
            raise ConfigError(
                f"viewing.display {self.display} has its own width and distance: leave out viewing.width_m and "
                "viewing.distance_m"
            )
        screen = self.screen  # refuses widths and distances that make no sense
        if self.comfort == "fit" and screen is None:
            raise ConfigError(
                "viewing.comfort fit needs a display: viewing.display, or viewing.width_m and viewing.distance_m"
            )

    @property
    def screen(self) -> Display | None:
        """The display, None if nothing is said of one."""
        if self.display is not None:
            return DISPLAYS[self.display]
        if self.width_m is None or self.distance_m is None:
            return None
        return Display(width_m=self.width_m, distance_m=self.distance_m)

    @property
    def name(self) -> str:
        """What the display is called."""
        if self.display is not None or self.width_m is None:
            return str(self.display)
        return f"{self.width_m:g} m wide at {self.distance_m:g} m"
