"""Where views are looked at from, in baselines to the right of their source.

A baseline is the distance between the two eyes, for which disparity is given; a source is the picture that the others
are made beside. Half a baseline away everything moves half as far.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from numbers import Real
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

from stereodiffusion.errors import ConfigError

SourceEye: TypeAlias = Literal["left", "right", "centre"]
"""Which eye the source is: the left, the right, or neither, and both are made beside it."""

EYES: Mapping[SourceEye, tuple[float, float]] = MappingProxyType(
    {"left": (0.0, 1.0), "right": (-1.0, 0.0), "centre": (-0.5, 0.5)}
)
"""Positions of the left and of the right eye."""


def spread(count: int, first: float, last: float) -> tuple[float, ...]:
    """Positions of views at even distances.

    `spread(45, -0.5, 0.5)` has the source in the middle and the two eyes at its ends.

    Args:
        count: How many, at least two.
        first: The leftmost.
        last: The rightmost.

    Raises:
        ConfigError: If there are fewer, or `first` is not to the left of `last`.
    """
    if count < 2:
        raise ConfigError(f"expected at least two views to spread, got {count}")
    return checked_positions([(first * (count - 1 - k) + last * k) / (count - 1) for k in range(count)])


def checked_positions(positions: Sequence[float]) -> tuple[float, ...]:
    """The positions of a row of views.

    Raises:
        ConfigError: If there are none, or they are not finite numbers in order from left to right.
    """
    expected = "expected the positions of views from left to right, in baselines, got"
    given: object = positions
    if not isinstance(given, Sequence) or not all(isinstance(each, Real) for each in cast(Sequence[object], given)):
        raise ConfigError(f"{expected} {given!r}")
    ordered = all(one < other for one, other in pairwise(positions))
    if not positions or not ordered or not all(map(isfinite, positions)):
        got = ", ".join(f"{position:g}" for position in positions) or "none"
        raise ConfigError(f"{expected} {got}")
    return tuple(positions)
