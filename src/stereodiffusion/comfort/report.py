"""How comfortable a pair is on a display: a score, its reasons in words, and what to change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stereodiffusion.comfort.measuring import Measured
from stereodiffusion.comfort.rules import FARTHEST, NEAREST, Finding, broken_rules
from stereodiffusion.comfort.zone import Bounds, bounds_of, fit
from stereodiffusion.settings import Display

PERCENTILES = (1, 5, 50, 95, 99)
"""Of the parallax that a report shows."""

_BY_PARALLAX = ("divergence", "too near", "too far", "window")
_LEAST_CHANGE = 0.0005  # of the width: nobody sees less


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallax:
    """A percentile of a pair's parallax, positive in front of the screen.

    Attributes:
        percent: Of the cells that stay at or below it.
        pixels: Of the left picture.
        fraction: Of its width.
        degrees: On the display.
    """

    percent: int
    pixels: float
    fraction: float
    degrees: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a pair was made with.

    Attributes:
        max_disparity: Its strength, as a fraction of the width; None where its map had a unit.
        convergence: The parallax that lies on its screen, as a fraction of the width.
    """

    max_disparity: float | None
    convergence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to ask for instead.

    Attributes:
        strength: Parallax from the farthest to the nearest point, as a fraction of the width.
        convergence: The parallax that lies on the screen, as a fraction of the width.
        floating_window: Whether the frame still cuts what stands before the screen, which black bars mend.
        has_unit: Whether the pair's map has a unit, so that `max_disparity` has nothing to scale.
    """

    strength: float
    convergence: float
    floating_window: bool
    has_unit: bool = False

    @property
    def options(self) -> str:
        """As it is typed."""
        strength = (
            f"--depth-budget {100 * self.strength:.2f}" if self.has_unit else f"--max-disparity {self.strength:.4f}"
        )
        typed = f"{strength} --convergence {self.convergence:.4f}"
        return f"{typed} --floating-window" if self.floating_window else typed

    def plain(self) -> dict[str, Any]:
        """As plain JSON values: settings by name, and what is typed."""
        strength = (
            {"parallax.budget_percent": round(100 * self.strength, 2)}
            if self.has_unit
            else {"parallax.max_disparity": round(self.strength, 4)}
        )
        changes = {**strength, "parallax.convergence": round(self.convergence, 4)}
        return {"changes": changes, "floating_window": self.floating_window, "options": self.options}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A pair on a display.

    Attributes:
        name: What the display is called.
        display: What it is.
        score: 0 to 100: a hundred less what the findings cost.
        findings: Rules that are broken, the costliest first.
        parallax: By percentiles.
        bounds: What the display shows in comfort.
        change: What would mend it; None if parallax is not the reason, or nothing is broken.
    """

    name: str
    display: Display
    score: int
    findings: Sequence[Finding]
    parallax: Sequence[Parallax]
    bounds: Bounds
    change: Change | None

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "display": self.name,
            "width_m": round(self.display.width_m, 4),
            "distance_m": self.display.distance_m,
            "score": self.score,
            "findings": [{"rule": each.rule, "cost": each.cost, "text": each.text} for each in self.findings],
            "parallax": [
                {
                    "percentile": each.percent,
                    "px": round(each.pixels, 3),
                    "fraction_of_width": round(each.fraction, 5),
                    "degrees": round(each.degrees, 3),
                }
                for each in self.parallax
            ],
            "comfortable": {"farthest": round(self.bounds.farthest, 5), "nearest": round(self.bounds.nearest, 5)},
            "change": None if self.change is None else self.change.plain(),
        }


def report_on(measured: Measured, display: Display, name: str, made: Made | None = None) -> Report:
    """How comfortable a measured pair is on a display.

    Args:
        measured: See `measure` and `measure_by_matching`.
        display: See `stereodiffusion.settings.DISPLAYS`.
        name: What the display is called.
        made: What the pair was made with, so that what to change is said in the same terms; without it the farthest
            point is taken to be infinitely far.
    """
    findings = broken_rules(measured, display)
    shares = {percent: measured.percentile(percent) for percent in PERCENTILES}
    return Report(
        name=name,
        display=display,
        score=max(0, 100 - sum(each.cost for each in findings)),
        findings=findings,
        parallax=[
            Parallax(
                percent=percent, pixels=share * measured.disparity.width, fraction=share, degrees=display.degrees(share)
            )
            for percent, share in shares.items()
        ],
        bounds=bounds_of(display),
        change=_change(measured, display, findings, made),
    )


def _change(measured: Measured, display: Display, findings: Sequence[Finding], made: Made | None) -> Change | None:
    """The least strength and the least way of the screen that mend what parallax is the reason of."""
    broken = {each.rule for each in findings}
    if broken.isdisjoint(_BY_PARALLAX):
        return None
    cut = measured.sides if "window" in broken else None
    fitted = fit(measured.percentile(FARTHEST), measured.percentile(NEAREST), display, at_sides=cut)
    farthest, nearest = measured.percentile(0), measured.percentile(100)
    has_unit = made is not None and made.max_disparity is None
    strength = nearest - farthest if made is None or made.max_disparity is None else made.max_disparity
    screen = -farthest if made is None else made.convergence
    return Change(
        strength=fitted.factor * strength,
        convergence=fitted.factor * screen + fitted.shift,
        has_unit=has_unit,
        floating_window=cut is not None and fitted.factor * cut - fitted.shift > _LEAST_CHANGE,
    )
