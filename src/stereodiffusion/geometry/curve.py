"""Relief spread anew between far and near, so that no two points change their order."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.disparity import Disparity

STRAIGHT: Final = (0.0, 1.0)
"""The curve that changes nothing."""


def check_curve(curve: Sequence[float]) -> None:
    """Refuse what is no curve.

    Raises:
        GeometryError: If it does not begin with 0, falls somewhere, or does not end with 1.
    """
    if len(curve) < 2 or (curve[0], curve[-1]) != (0, 1) or not all(one <= other for one, other in pairwise(curve)):
        raise GeometryError(f"a curve must begin with 0, never fall and end with 1, got {list(curve)}")


def along_curve(disparity: Disparity, curve: Sequence[float]) -> Disparity:
    """The map with its relief taken along a curve; its farthest and nearest values stay.

    With t the place of a point between the farthest (0) and the nearest (1) of its picture, the new place is
    interpolated linearly between the curve's values, which stand at even steps of t. The result never reverses two
    points, not by a rounding error either: each piece is a product and a sum of rounded numbers, which never fall
    where t does not, and is held within the values at its ends.

    Args:
        disparity: The known cells of each picture are spread between their own farthest and nearest.
        curve: At least two values, from 0 to 1, none smaller than the one before.

    Raises:
        GeometryError: If the curve is none.
    """
    check_curve(curve)
    pixels, known = disparity.pixels, disparity.known
    low = torch.where(known, pixels, torch.inf).amin((1, 2, 3), keepdim=True)
    high = torch.where(known, pixels, -torch.inf).amax((1, 2, 3), keepdim=True)
    low, high = torch.where(high < low, 0.0, low), torch.where(high < low, 0.0, high)  # nothing is known
    span = torch.where(high > low, high - low, 1.0)
    steps = len(curve) - 1
    at = ((pixels - low) / span * steps).clamp(0, steps)
    piece = at.floor().clamp(max=steps - 1).long()
    values = pixels.new_tensor(curve)
    start, end = values[piece], values[piece + 1]
    place = torch.minimum(start + (at - piece) * (end - start), end)
    moved = torch.where(at < steps, torch.minimum(low + place * (high - low), high), high)
    return Disparity(pixels=torch.where(known, moved, 0.0), known=known)


def from_curve_to_curve(
    values: Float[Tensor, "*cells"], ends: tuple[float, float], was: Sequence[float], now: Sequence[float]
) -> Float[Tensor, "*cells"]:
    """Relief that was taken along one curve, along another one instead.

    Args:
        values: Disparity.
        ends: Of the farthest and the nearest point, which stay.
        was: The curve that it has.
        now: The one that it gets.

    Raises:
        GeometryError: If one is no curve, or `was` has a level piece: what lay in it cannot be told apart any more.
    """
    check_curve(was)
    check_curve(now)
    if any(one == other for one, other in pairwise(was)):
        raise GeometryError(f"a curve with a level piece cannot be undone, got {list(was)}")
    even = [np.linspace(0, 1, len(curve)) for curve in (was, now)]
    corners = np.union1d(*even)  # along both curves the relief is straight between these
    at, to = (
        torch.tensor(np.interp(corners, places, curve), dtype=values.dtype, device=values.device)
        for places, curve in zip(even, (was, now), strict=True)
    )
    low, high = ends
    place = ((values - low) / ((high - low) or 1.0)).clamp_(0, 1)
    piece = torch.bucketize(place, at[1:-1], right=True)
    steepness = to.diff() / at.diff()
    return low + (high - low) * (to[piece] + (place - at[piece]) * steepness[piece])


def joined(was: Sequence[float], now: Sequence[float]) -> tuple[float, ...]:
    """The curve that takes relief from one curve to another: straight if both are the same.

    Its corners are kept to 1/32 of the relief.

    Raises:
        GeometryError: As for `from_curve_to_curve`.
    """
    if tuple(was) == tuple(now):
        return STRAIGHT
    if tuple(was) == STRAIGHT:
        return tuple(now)
    even = torch.linspace(0, 1, 33, dtype=torch.float64)
    inner = from_curve_to_curve(even, (0.0, 1.0), was, now)[1:-1]
    return (0.0, *(round(float(place), 4) for place in inner), 1.0)
