"""What is measured of a pair that goes into a bundle, and of a whole set of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch

from stereodiffusion.bundles.annotated import AnnotatedPair
from stereodiffusion.geometry import splat

_LEVEL = 1.01 / 255
"""One of 255 levels: what rounding to 8 bits may do."""


def measure(pair: AnnotatedPair) -> dict[str, Any]:
    """A pair's numbers, as JSON values.

    `disparity` is of the left eye, in pixels, and `histogram` counts its cells by whole pixels, rounded down.
    `occluded` is the share of each eye that the other does not see. `correspondence` is how well the right picture is
    the left one moved by its disparity, where the left eye sees it: the share of cells that agree to one of 255 levels
    in every channel, and the mean absolute difference in levels.
    """
    values = pair.disparity.pixels[pair.disparity.known]
    moved = splat(pair.left, pair.disparity)
    seen = (moved.visible & ~pair.occlusion)[:, 0]
    difference = (moved.view - pair.right).abs().movedim(1, -1)[seen]
    columns, counts = values.floor().long().unique(return_counts=True)
    return {
        "disparity": {
            "known": _share(pair.disparity.known),
            "least_px": round(float(values.min()), 4) if len(values) else None,
            "largest_px": round(float(values.max()), 4) if len(values) else None,
        },
        "histogram": {str(int(column)): int(count) for column, count in zip(columns, counts, strict=True)},
        "occluded": {"left": _share(pair.left_occlusion), "right": _share(pair.occlusion)},
        "correspondence": {
            "within_a_level": _share((difference <= _LEVEL).all(dim=-1)) if len(difference) else None,
            "mean_levels": round(float(difference.mean()) * 255, 4) if len(difference) else None,
        },
    }


def summarise(measured: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of a set, from those of its pairs: means over the pairs, and one histogram of all cells."""
    histogram: Counter[int] = Counter()
    sums: dict[str, list[float]] = {}
    least, largest, count = None, None, 0
    for each in measured:
        count += 1
        cells: Mapping[str, int] = each["histogram"]
        histogram.update({int(column): number for column, number in cells.items()})
        disparity = cast(Mapping[str, float | None], each["disparity"])
        if disparity["least_px"] is not None and disparity["largest_px"] is not None:
            least = min(disparity["least_px"], disparity["least_px"] if least is None else least)
            largest = max(disparity["largest_px"], disparity["largest_px"] if largest is None else largest)
        for group in ("occluded", "correspondence"):
            for name, value in cast(Mapping[str, float | None], each[group]).items():
                if value is not None:
                    sums.setdefault(f"{group}.{name}", []).append(value)
    return {
        "pairs": count,
        "disparity": {"least_px": least, "largest_px": largest},
        "histogram": {str(column): histogram[column] for column in sorted(histogram)},
        "mean": {name: round(sum(values) / len(values), 5) for name, values in sorted(sums.items())},
    }


def _share(cells: torch.Tensor) -> float:
    return round(float(cells.float().mean()), 5)
