"""What strains eyes, rule by rule: each says what it found, where, and what that costs of a hundred points.

A rule is broken when its measure passes its limit, and costs the more the further it does; `docs/comfort.md` lists
limits and sources. How much a rule may cost is our judgement: nobody has published one scale for all of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from stereodiffusion.comfort.measuring import Measured
from stereodiffusion.comfort.zone import far_vergence, near_vergence
from stereodiffusion.settings import Display
from stereodiffusion.settings.display import EYES_M

RuleName: TypeAlias = Literal[
    "divergence", "too near", "too far", "gradient", "window", "vertical", "colour", "sharpness"
]

FARTHEST, NEAREST = 1.0, 99.0
"""Percentiles that count as the farthest and the nearest point: what fewer cells reach, people do not look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that a pair breaks.

    Attributes:
        rule: Its name.
        cost: Of a hundred points.
        text: What was found, for people.
    """

    rule: RuleName
    cost: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """Where a rule is broken, where it costs all it may, and what that is."""

    at: float
    worst: float
    cost: int

    def cost_of(self, value: float) -> int:
        share = (value - self.at) / (self.worst - self.at)
        return max(1, round(self.cost * min(share, 1.0)))


_DIVERGENCE = _Limit(at=0.0, worst=1.0, cost=40)  # degrees by which the eyes diverge
_ZONE = _Limit(at=0.0, worst=0.6, cost=40)  # dioptres beyond the zone; it reaches some 0.5 from the screen
_GRADIENT = _Limit(at=0.05, worst=0.4, cost=20)  # share of the points
_WINDOW = _Limit(at=0.02, worst=1.0, cost=25)  # share of a side
_VERTICAL = _Limit(at=10.0, worst=40.0, cost=40)  # minutes of arc
_COLOUR = _Limit(at=2.3, worst=12.0, cost=20)  # delta E, CIE 1976
_SHARPNESS = _Limit(at=0.5, worst=2.0, cost=20)  # octaves

_IN_FRONT = 0.005  # of the width: a side that cuts what is so little before the screen is not noticed
_ROUNDING = 1e-6


def broken_rules(measured: Measured, display: Display) -> tuple[Finding, ...]:
    """What a pair breaks on a display, the costliest first."""
    found = [finding for rule in _RULES if (finding := rule(measured, display)) is not None]
    return tuple(sorted(found, key=lambda each: (-each.cost, get_args(RuleName).index(each.rule))))


def _divergence(measured: Measured, display: Display) -> Finding | None:
    """Nothing real makes the axes of the eyes point apart: parallax behind the screen must not exceed their distance.

    N. A. Dodgson: Variation and extrema of human interpupillary distance, SPIE 5291, 2004: 63 mm on average.
    """
    vergence = display.vergence(measured.percentile(FARTHEST))
    apart = math.degrees(-vergence * EYES_M)
    if apart <= _DIVERGENCE.at + _ROUNDING:
        return None
    text = f"the farthest things make the eyes diverge, by {apart:.2f} degrees"
    return Finding(rule="divergence", cost=_DIVERGENCE.cost_of(apart), text=text)


def _too_near(measured: Measured, display: Display) -> Finding | None:
    """Shibata et al. 2011: convergence nearer than the focus allows."""
    vergence, bound = display.vergence(measured.percentile(NEAREST)), near_vergence(display)
    if vergence <= bound + _ROUNDING:
        return None
    text = f"the nearest things are seen at {_metres(vergence)}, comfortable is {_metres(bound)} and more"
    return Finding(rule="too near", cost=_ZONE.cost_of(vergence - bound), text=text)


def _too_far(measured: Measured, display: Display) -> Finding | None:
    """The same at the other end. Where the zone has no far end, divergence alone is the limit."""
    vergence, bound = display.vergence(measured.percentile(FARTHEST)), far_vergence(display)
    if bound <= 0 or vergence >= bound - _ROUNDING:
        return None
    text = f"the farthest things are seen at {_metres(vergence)}, comfortable is {_metres(bound)} and less"
    return Finding(rule="too far", cost=_ZONE.cost_of(bound - vergence), text=text)


def _gradient(measured: Measured, display: Display) -> Finding | None:
    """Burt & Julesz 1980, see `steepness`."""
    del display
    if not measured.steep > _GRADIENT.at:
        return None
    text = f"beside {measured.steep:.0%} of the points depth changes faster than the eyes can fuse"
    return Finding(rule="gradient", cost=_GRADIENT.cost_of(measured.steep), text=text)


def _window(measured: Measured, display: Display) -> Finding | None:
    """What stands before the screen must not be cut by its sides.

    B. Mendiburu: 3D Movie Making, 2009, "stereoscopic window". In a viewer whose pictures reach to the end of what the
    eyes see there is no window.
    """
    if display.zero == "infinity":
        return None
    width, places, largest = measured.disparity.width, list[str](), 0.0
    for side, rows, bar in zip(("left", "right"), measured.at_sides, measured.bars, strict=True):
        cut = rows > max(bar, _IN_FRONT * width)
        share = float(cut.double().mean())
        largest = max(largest, share)
        if share > _WINDOW.at:
            nearest = float(rows[cut].max()) / width
            places.append(f"{side} ({_extent(cut)} of the height, up to {nearest:.1%} of the width before the screen)")
    if not places:
        return None
    text = f"the frame cuts things that stand before the screen: {', '.join(places)}"
    return Finding(rule="window", cost=_WINDOW.cost_of(largest), text=text)


def _vertical(measured: Measured, display: Display) -> Finding | None:
    """Eyes do not move apart up and down; what is within ten minutes of arc they make up for."""
    minutes = 60 * display.degrees(abs(measured.vertical_px) / measured.disparity.width)
    if not minutes > _VERTICAL.at:
        return None
    text = f"one eye's picture is higher than the other's, by {minutes:.0f} minutes of arc"
    return Finding(rule="vertical", cost=_VERTICAL.cost_of(minutes), text=text)


def _colour(measured: Measured, display: Display) -> Finding | None:
    """M. Mahy et al.: Evaluation of uniform color spaces, Color Res. Appl. 19:105, 1994: 2.3 is just noticeable."""
    del display
    if not measured.colour > _COLOUR.at:
        return None
    text = f"the eyes differ in colour by {measured.colour:.1f} delta E"
    return Finding(rule="colour", cost=_COLOUR.cost_of(measured.colour), text=text)


def _sharpness(measured: Measured, display: Display) -> Finding | None:
    """F. L. Kooi, A. Toet: Visual comfort of binocular and 3D displays, Displays 25:99, 2004: blur of one eye."""
    del display
    if not abs(measured.sharpness) > _SHARPNESS.at:
        return None
    softer = "right" if measured.sharpness < 0 else "left"
    text = f"the {softer} eye is softer than the other, by {abs(measured.sharpness):.1f} octaves of detail"
    return Finding(rule="sharpness", cost=_SHARPNESS.cost_of(abs(measured.sharpness)), text=text)


_RULES: Sequence[Callable[[Measured, Display], Finding | None]] = (
    _divergence,
    _too_near,
    _too_far,
    _gradient,
    _window,
    _vertical,
    _colour,
    _sharpness,
)


def _metres(vergence: float) -> str:
    if vergence <= _ROUNDING:
        return "infinity" if vergence > -_ROUNDING else "beyond infinity"
    return f"{1 / vergence:.2f} m"


def _extent(cut: Tensor) -> str:
    """Where the cut rows are, from the top."""
    rows = torch.nonzero(cut)
    return f"{float(rows.min()) / len(cut):.0%} to {(float(rows.max()) + 1) / len(cut):.0%}"
