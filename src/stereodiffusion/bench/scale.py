"""A unit for estimated depth: from the truth, or without any truth from how the photographed pair is matched."""

from math import sqrt

from stereodiffusion.baselines.stretch import stretch
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import SemiGlobalMatcher
from stereodiffusion.types import Image, Map

_FRACTIONS = (0.015, 0.24)  # of the width; what `SemiGlobalMatcher` finds
_COARSE, _FINE = 8, 4


def fitted(relief: Map, measured: Disparity) -> Disparity:
    """The disparity a + b relief that is closest to what was measured (least squares over its known cells).

    Two numbers of the truth come in, the order of the surfaces does not: b is not negative, and neither is a disparity.
    """
    x, y = (field[measured.known].double() for field in (relief, measured.pixels))
    variance = float((x - x.mean()).square().mean())
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    b = max(covariance / variance, 0.0) if variance > 0 else 0.0
    a = float(y.mean()) - b * float(x.mean())
    return Disparity.from_pixels((a + b * relief).clamp(min=0))


def parallax_by_sgbm(left: Image, right: Image, relief: Map) -> float:
    """The parallax of the nearest point, in pixels, with which a plain warp is most like the photographed pair.

    The relief is stretched to [0, s] (`Disparity.from_relative`), the left view is warped by it and its holes are
    stretched over, and SGBM measures the disparity of that pair. The s is taken whose disparity is closest, in root
    mean square, to the one that SGBM measures on the photographed pair (StereoSpace, arXiv 2512.10959). It is searched
    among eight values a constant factor apart, then between the neighbours of the best.

    Args:
        left: (1, 3, h, w), in [0, 1].
        right: As it was photographed.
        relief: Relative inverse depth of the left view.
    """
    matcher, width = SemiGlobalMatcher(), left.shape[3]
    photographed = matcher(left, right)

    def error(fraction: float) -> float:
        disparity = Disparity.from_relative(relief, fraction * width)
        made = matcher(left, stretch(left, disparity))
        both = photographed.known & made.known
        return float((photographed.pixels - made.pixels)[both].double().square().mean())

    low, high = _FRACTIONS
    factor = (high / low) ** (1 / (_COARSE - 1))
    errors = {fraction: error(fraction) for fraction in (low * factor**step for step in range(_COARSE))}
    for _ in range(_FINE // 2):
        best = min(errors, key=errors.__getitem__)
        factor = sqrt(factor)
        errors |= {fraction: error(fraction) for fraction in (best / factor, best * factor)}
    return min(errors, key=errors.__getitem__) * width
