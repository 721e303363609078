"""The parallax that eyes bear: the zone of comfort (Shibata et al. 2011), and no divergence; and how to fit a pair in.

T. Shibata, J. Kim, D. M. Hoffman, M. S. Banks: The zone of comfort: Predicting visual discomfort with stereo displays.
Journal of Vision 11(8):11, 2011. Its bounds are straight lines in dioptres: with the focus at D, eyes converge in
comfort on what lies between (D - 0.442) / 1.129 (far) and (D + 0.626) / 1.035 (near).
"""

from dataclasses import dataclass

from stereodiffusion.settings import Display

FAR_SLOPE, FAR_OFFSET = 1.129, 0.442
NEAR_SLOPE, NEAR_OFFSET = 1.035, -0.626

_MARGIN = 0.01  # of the zone, at either end


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The parallax that a display can show in comfort, in fractions of the width, positive in front of the screen.

    Attributes:
        farthest: The zone of comfort ends there, or the eyes' axes are parallel.
        nearest: The zone of comfort ends there.
    """

    farthest: float
    nearest: float

    @property
    def inner(self) -> "Bounds":
        """A little less, so that what is fitted stays in when it is rounded, or covered in part."""
        margin = _MARGIN * (self.nearest - self.farthest)
        return Bounds(farthest=self.farthest + margin, nearest=self.nearest - margin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A pair's new strength and screen.

    Attributes:
        factor: Of all its parallax; 1 where it fits as it is.
        shift: What is subtracted after that, as a fraction of the width.
    """

    factor: float
    shift: float


def far_vergence(display: Display) -> float:
    """The least comfortable convergence of the eyes, in dioptres; below 0 where all distances are comfortable."""
    return (display.focus_dioptres - FAR_OFFSET) / FAR_SLOPE


def near_vergence(display: Display) -> float:
    """The largest comfortable convergence of the eyes, in dioptres."""
    return (display.focus_dioptres - NEAR_OFFSET) / NEAR_SLOPE


def bounds_of(display: Display) -> Bounds:
    """What a display can show in comfort, and without divergence."""
    return Bounds(
        farthest=display.parallax_at(max(far_vergence(display), 0.0)),
        nearest=display.parallax_at(near_vergence(display)),
    )


def fit(farthest: float, nearest: float, display: Display, *, at_sides: float | None = None) -> Fit:
    """The least change that brings a pair into the bounds of a display.

    Parallax is scaled only if all of it is more than the bounds hold, and the screen is moved as little as possible. It
    is moved to what the sides of the frame cut (`at_sides`), too, where that stands before it, as long as what is
    farthest stays in the nearer half of the zone behind the screen: a floating window mends the rest at no such cost.

    Args:
        farthest: Parallax of the farthest point of the pair as it is, as a fraction of the width.
        nearest: Of the nearest.
        display: Where it is looked at.
        at_sides: Of the nearest thing at the frame's sides; None if that does not matter.
    """
    bounds = bounds_of(display)
    if farthest < bounds.farthest or nearest > bounds.nearest:
        bounds = bounds.inner
    held, asked = bounds.nearest - bounds.farthest, nearest - farthest
    factor = held / asked if asked > held else 1.0
    least, most = factor * nearest - bounds.nearest, factor * farthest - bounds.farthest
    wanted = 0.0
    if at_sides is not None:
        wanted = max(0.0, min(factor * at_sides, factor * farthest - bounds.farthest / 2))
    return Fit(factor=factor, shift=min(max(wanted, least), max(most, least)))
