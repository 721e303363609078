"""What looks wrong with a parallax that is about to be drawn.

A map may be read without an error and still mean something else than its reader thinks: a stray value sets the scale
of all others, a number that stands for "unknown" is drawn, metres are taken for pixels. None of that can be proved from
the map alone, so it is said and not refused.
"""

from math import ceil
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from stereodiffusion.geometry.disparity import Disparity, check_disparity

LARGEST_SHARE: Final = 0.35
"""Of the picture's width, that a point moves at most; in Middlebury's deepest pairs it is 0.18."""

LEAST_RELIEF_PX: Final = 0.05
"""Between the farthest and the nearest point: less moves nothing that could be seen."""

LARGEST_UNKNOWN: Final = 0.9
"""Share of cells without a value beyond which most of what is drawn is made up; a lidar's map of a street has 0.88."""

OUTER_SHARE: Final = 0.02
"""Of the known cells, on either side: what only so few reach is an extreme."""

LEAST_OF_RANGE: Final = 0.1
"""Of the whole range, that all cells but the extremes fill at least; measured maps fill 0.44 and more."""

CROWDED_SHARE: Final = 0.75
"""Of the known cells, that lie within `CROWDED_RANGE` and are not the farthest at most; 0.61 in drawn scenes."""

CROWDED_RANGE: Final = 0.01
"""Of the whole range."""

STAND_IN_SHARES: Final = (0.005, 0.1)
"""Of the known cells, that have one and the same extreme value and may stand for unknown: fewer are stray values, of
which measured maps have some, more are a surface."""

STAND_IN_GAP: Final = 0.1
"""Of the range of all others, that such a value is apart from them at least."""

DECLARED_BY: Final = "--map-unknown"
"""The option that says which values of a map stand for unknown."""

CUT_OUT_JUMP: Final = 0.05
"""Of the range of all others, between a cell and its neighbour: half of a hole's border has more. A surface that ends
in the extreme value comes near to it gradually."""


def implausibilities(disparity: Disparity) -> list[str]:
    """What looks wrong, one line each; nothing for maps as they are measured, estimated or drawn.

    Args:
        disparity: As it will be drawn, in pixels of the picture, before unknown cells are filled. Maps of a batch are
            looked at one by one, and each thing is said once, of the first that has it.

    Raises:
        GeometryError: If it is no `Disparity`.
    """
    check_disparity(disparity)
    found: dict[str, str] = {}
    for pixels, known in zip(disparity.pixels, disparity.known, strict=True):
        for kind, line in _of_one(pixels[known], known.numel(), disparity.width).items():
            found.setdefault(kind, line)
    return list(found.values())


def is_cut_out(values: Shaped[Tensor, "h w"], region: Bool[Tensor, "h w"]) -> bool:
    """Whether a region lies in a map as holes do: with a jump from its values to those around, on most of its border.

    Args:
        values: Of a map, in any unit, finite.
        region: Cells that have one value.
    """
    others = values[~region].double()
    if not (len(others) and bool(region.any())):
        return False
    jumps = [
        (one - other).abs()[in_one ^ in_other]
        for one, other, in_one, in_other in (
            (values[1:].double(), values[:-1].double(), region[1:], region[:-1]),
            (values[:, 1:].double(), values[:, :-1].double(), region[:, 1:], region[:, :-1]),
        )
    ]
    return float(torch.cat(jumps).median()) > CUT_OUT_JUMP * float(others.max() - others.min())


def _of_one(values: Float[Tensor, " n"], cells: int, width: int) -> dict[str, str]:
    """Lines about the known values of one map, by kind."""
    if not len(values):
        return {"unknown": "no cell of the map is known"}
    ordered = torch.from_numpy(np.sort(values.cpu().numpy())).to(values.device).double()  # a sixth of torch's time
    low, high = float(ordered[0]), float(ordered[-1])
    farthest = max(low, high, key=abs)
    unknown = 1 - len(values) / cells
    found: dict[str, str] = {}
    if unknown > LARGEST_UNKNOWN:
        found["unknown"] = f"{unknown:.0%} of the map is unknown: most of the parallax is filled in"
    if abs(farthest) > LARGEST_SHARE * width:
        found["large"] = (
            f"points move by up to {farthest:.4g} px, {abs(farthest) / width:.0%} of the picture's width: is the map "
            "in another unit, or does a value stand for unknown?"
        )
    if high - low < LEAST_RELIEF_PX:
        found["flat"] = f"all of the map has one depth ({low:.4g} px): both eyes see the same picture"
    else:
        scale = _outliers(ordered) or _crowd(ordered) or _stand_in(ordered)
        found |= {"scale": scale} if scale else {}
    return found


def _outliers(ordered: Float[Tensor, " n"]) -> str | None:
    """Few values far from all others."""
    low, high, outer = float(ordered[0]), float(ordered[-1]), int(OUTER_SHARE * len(ordered))
    least, most = float(ordered[outer]), float(ordered[-1 - outer])
    if most - least >= LEAST_OF_RANGE * (high - low):
        return None
    side = "nearest" if high - most > least - low else "farthest"
    return (
        f"all but the {side} {OUTER_SHARE:.0%} of the map or less lies within {most - least:.3g} of {high - low:.4g} "
        "px: are those real, or do they stand for unknown?"
    )


def _crowd(ordered: Float[Tensor, " n"]) -> str | None:
    """Nearly all of the picture at one depth that is not the farthest, as skies and walls behind are."""
    low, span = float(ordered[0]), float(ordered[-1] - ordered[0])
    before = ceil(CROWDED_SHARE * len(ordered)) - 1
    if not bool((ordered[before:] <= ordered[: len(ordered) - before] + CROWDED_RANGE * span).any()):
        return None
    beyond = torch.searchsorted(ordered, ordered + CROWDED_RANGE * span, right=True)
    count = beyond - torch.arange(len(ordered), device=ordered.device)
    share, first = float(count.max()) / len(ordered), float(ordered[count.argmax()])
    if share < CROWDED_SHARE or first - low <= CROWDED_RANGE * span:
        return None
    return (
        f"{share:.0%} of the map lies within {CROWDED_RANGE:.0%} of its range: is what is farther real, or does it "
        "stand for unknown?"
    )


def _stand_in(ordered: Float[Tensor, " n"]) -> str | None:
    """One value that some cells have, apart from all others: invalid, as zeros or -1 are."""
    for name, value in (("farthest", ordered[0]), ("nearest", ordered[-1])):
        first, last = (int(torch.searchsorted(ordered, value, right=right)) for right in (False, True))
        others = ordered[last:] if first == 0 else ordered[:first]
        share = 1 - len(others) / len(ordered)
        gap, span = float((others[[0, -1]] - value).abs().min()), float(others[-1] - others[0])
        if STAND_IN_SHARES[0] <= share <= STAND_IN_SHARES[1] and gap > STAND_IN_GAP * span:
            return (
                f"{share:.1%} of the map, the {name}, have one value ({float(value):.4g} px), {gap:.3g} px from all "
                f"others: does it stand for unknown ({DECLARED_BY})?"
            )
    return None
