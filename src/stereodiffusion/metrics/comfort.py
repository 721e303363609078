"""What a pair asks of its viewer's eyes: how much parallax, and what is cut off by the frame in front of the screen."""

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics.matching import MatchedPair
from stereodiffusion.metrics.region import mean_over

_STRIP = 0.02  # of the width
_IN_FRONT = 0.005  # of the width: clear of what measuring gets wrong


def parallax_percentile(disparity: Disparity, percent: float) -> Float[Tensor, " b"]:
    """The parallax that `percent` of the known cells stay at or below, in percent of the picture's width.

    Positive is in front of the screen. Pairs made for a desktop display stay within some 3 %.

    Raises:
        GeometryError: If `percent` is not in [0, 100].
    """
    return 100 * disparity.percentile(percent) / disparity.width


def window_violation(matched: MatchedPair, *, screen_px: float = 0.0) -> Float[Tensor, " b"]:
    """How much of the picture's side borders shows things that stand before the screen and are cut off by the frame.

    Such things seem to be nearer than the window they are seen through, which is impossible. What counts is the
    view that sees less of them: the right eye's at the left border, the left eye's at the right. A parallel pair
    that is shown as it is stands wholly before the screen.

    Args:
        matched: Measured on the pair.
        screen_px: The disparity that is shown on the screen, as for `Disparity.converged_at`.

    Returns:
        Of the measured cells within 2 % of the width of the two borders, the fraction that is more than 0.5 % of the
        width before the screen, in [0, 1]; NaN where none was measured.
    """
    width = matched.left.width
    strip, nearer_than = max(round(_STRIP * width), 1), screen_px + _IN_FRONT * width
    shares: list[Tensor] = []
    for eye, border in ((matched.right, slice(None, strip)), (matched.left, slice(-strip, None))):
        before = (eye.pixels[..., border] > nearer_than).double()
        shares.append(mean_over(before, eye.known[..., border]))
    return (shares[0] + shares[1]) / 2
