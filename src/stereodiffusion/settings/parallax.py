"""How large parallax is, what of it lies on the screen, and how relief is spread between far and near."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from stereodiffusion.errors import ConfigError
from stereodiffusion.settings.options import option

_METHOD = "Method"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallax:
    """What becomes of disparity.

    Attributes:
        scale: Of a disparity given in pixels: `metric` keeps it, `normalized` maps its range to [0, max_disparity]
            as the paper does. Relative maps are always scaled to `max_disparity`.
        max_disparity: Parallax of the nearest point, as a fraction of the width (Eq. 3's s).
        budget_percent: Parallax between the farthest and the nearest point, in percent of the width, of any map: what
            `max_disparity` is to maps without a unit. The relief is scaled about infinity, as by another baseline.
        budget_degrees: The same as the angle that it takes on the display of `viewing`.
        convergence: Parallax that is moved to zero, as a fraction of the width: what has it lies on the screen; or
            `auto`, which puts there what people look at, see `stereodiffusion.comfort.salience`.
        convergence_percentile: Or the percentile of the map that is moved there: 0 is the farthest point, 100 the
            nearest.
        convergence_at: Or a point of the source, (x, y) from its upper left corner in fractions of its sides.
        curve: Where the relief goes: at even steps from the farthest to the nearest point, straight between them. It
            begins with 0, ends with 1 and never falls, so that no two points change their order.
    """

    scale: Literal["metric", "normalized"] = "metric"
    max_disparity: float = option(
        0.08,
        "--max-disparity",
        panel=_METHOD,
        metavar="F",
        help="Depth of the scene: parallax of its nearest point as a fraction of the width, 0 to 0.5.",
    )
    budget_percent: float | None = option(
        None,
        "--depth-budget",
        panel=_METHOD,
        default_help="none",
        metavar="PERCENT",
        help="Instead of --max-disparity, and of any map: parallax from the farthest to the nearest point in percent "
        "of the width.",
    )
    budget_degrees: float | None = option(
        None,
        "--depth-budget-degrees",
        panel=_METHOD,
        default_help="none",
        metavar="DEG",
        help="The same in degrees on the display of --for, or of --screen-width-m and --viewing-distance-m.",
    )
    convergence: float | Literal["auto"] = option(
        0.0,
        "--convergence",
        panel=_METHOD,
        metavar="F|auto",
        help="Parallax that lies on the screen, as a fraction of the width; 0 has everything before the screen, auto "
        "has on it what people look at.",
    )
    convergence_percentile: float | None = option(
        None,
        "--convergence-percentile",
        panel=_METHOD,
        default_help="none",
        metavar="P",
        help="Instead: the percentile of the parallax that lies on the screen, 0 is the farthest point, 100 the "
        "nearest.",
    )
    convergence_at: tuple[float, float] | None = option(
        None,
        "--convergence-at",
        panel=_METHOD,
        default_help="none",
        metavar="X,Y",
        help="Instead: a point of the picture that lies on the screen, from its upper left corner in fractions of its "
        "sides, such as 0.5,0.6.",
    )
    curve: tuple[float, ...] = option(
        (0.0, 1.0),
        "--curve",
        panel=_METHOD,
        metavar="LIST",
        help="Relief for near and far: the parallax at even steps from the farthest point to the nearest, such as "
        "0,0.7,1 for more of it in what is far.",
    )

    def __post_init__(self) -> None:
        if not 0 <= self.max_disparity <= 0.5:
            raise ConfigError(
                f"parallax.max_disparity must be a fraction of the width in [0, 0.5], got {self.max_disparity}"
            )
        self._check_budget()
        self._check_screen()
        ordered = all(one <= other for one, other in pairwise(self.curve))
        if len(self.curve) < 2 or (self.curve[0], self.curve[-1]) != (0, 1) or not ordered:
            got = ", ".join(f"{value:g}" for value in self.curve) or "nothing"
            raise ConfigError(f"parallax.curve must begin with 0, never fall and end with 1, got {got}")

    def _check_budget(self) -> None:
        if self.budget_percent is not None and self.budget_degrees is not None:
            raise ConfigError("parallax.budget_percent and parallax.budget_degrees exclude each other, got both")
        for name, value, most in (
            ("budget_percent", self.budget_percent, 50),
            ("budget_degrees", self.budget_degrees, 60),
        ):
            if value is not None and not 0 <= value <= most:
                raise ConfigError(f"parallax.{name} must be in [0, {most}], got {value}")

    def _check_screen(self) -> None:
        said = {
            "convergence": self.convergence != 0,
            "convergence_percentile": self.convergence_percentile is not None,
            "convergence_at": self.convergence_at is not None,
        }
        several = [f"parallax.{name}" for name, given in said.items() if given]
        if len(several) > 1:
            raise ConfigError(f"{' and '.join(several)} exclude each other: one thing lies on the screen")
        if self.convergence != "auto" and not -0.5 <= self.convergence <= 0.5:
            raise ConfigError(
                f"parallax.convergence must be a fraction of the width in [-0.5, 0.5], got {self.convergence}"
            )
        if self.convergence_percentile is not None and not 0 <= self.convergence_percentile <= 100:
            raise ConfigError(f"parallax.convergence_percentile must be in [0, 100], got {self.convergence_percentile}")
        if self.convergence_at is not None and not all(0 <= place <= 1 for place in self.convergence_at):
            raise ConfigError(
                f"parallax.convergence_at must be two fractions of the sides in [0, 1], got {self.convergence_at}"
            )

    @property
    def straight(self) -> bool:
        """Whether the curve changes nothing."""
        steps = len(self.curve) - 1
        return all(value == step / steps for step, value in enumerate(self.curve))

    @property
    def plain(self) -> bool:
        """Whether all is said in numbers that need no look at the map."""
        asked = (self.budget_percent, self.budget_degrees, self.convergence_percentile, self.convergence_at)
        return self.straight and self.convergence != "auto" and all(each is None for each in asked)

    @property
    def zero(self) -> float:
        """The parallax that lies on the screen, as a fraction of the width.

        Raises:
            ConfigError: If it is yet to be found in the map.
        """
        if self.convergence == "auto":
            raise ConfigError("parallax.convergence auto has yet to be found in the map")
        return self.convergence
