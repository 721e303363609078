"""Relief spread anew between far and near, so that no two points change their order."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.disparity import Disparity


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
    if len(curve) < 2 or (curve[0], curve[-1]) != (0, 1) or any(one > other for one, other in pairwise(curve)):
        raise GeometryError(f"a curve must begin with 0, never fall and end with 1, got {list(curve)}")
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
