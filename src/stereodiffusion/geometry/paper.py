"""The authors' preparation of a disparity map for the shift of the latent (section 3.1).

Normalising throws the absolute parallax away; prefer `Disparity.resize`, which keeps it.
"""

import math

import torch
from torch.nn import functional

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.disparity import Disparity, check_disparity
from stereodiffusion.geometry.relative import unit_range


def paper_disparity(disparity: Disparity, *, max_disparity: float, height: int, width: int) -> Disparity:
    """Normalise to [0, 1], resize (bicubic), normalise again, and give the nearest `max_disparity` of the width.

    Each picture of the batch is normalised on its own. A constant map, which has no relief, becomes zeros
    (the authors' code stops there). The map must be dense: bicubic resizing has no notion of unknown cells.

    Args:
        disparity: map of any size and unit.
        max_disparity: parallax of the nearest cell, as a fraction of the width (0.08 in the paper's preset).
        height: rows of the result.
        width: columns of the result.
    """
    check_disparity(disparity)
    if not (math.isfinite(max_disparity) and max_disparity >= 0):
        raise GeometryError(f"max_disparity must be a fraction of the width >= 0, got {max_disparity}")
    if height < 1 or width < 1:
        raise GeometryError(f"height and width must be at least 1, got {height} x {width}")
    unknown = int((~disparity.known).sum())
    if unknown:
        raise GeometryError(f"{unknown} cells are unknown; make the map dense with disparity.filled()")
    # In float32 as theirs: what lies on the edge of a cell must be truncated to the same side.
    relief = unit_range(disparity.pixels.float(), disparity.known)
    relief = functional.interpolate(relief, size=(height, width), mode="bicubic", align_corners=False)
    known = torch.ones_like(relief, dtype=torch.bool)
    return Disparity(pixels=unit_range(relief, known) * (max_disparity * width), known=known)
