"""A floating window: black bars that bring the frame as near as what it cuts off.

What stands before the screen and is cut by the frame seems to be nearer than the window it is seen through, which is
impossible. A bar at the left side of the left eye's picture moves that side to the right in the left eye alone, which
is what parallax is: the side floats before the screen, by the bar's width. The same holds for a bar at the right side
of the right eye's picture. Sides that cut nothing in front get no bar. (B. Mendiburu: 3D Movie Making, 2009.)
"""

from math import ceil

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.accept import check_picture
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.geometry.frame import border_parallax


def window_bars(disparity: Disparity) -> tuple[int, int]:
    """How wide the bars of the left and the right side have to be, in pixels: as the nearest thing that they cut.

    Args:
        disparity: Of the left picture, of one pair, as it is shown. Cells that are not known count for nothing.

    Raises:
        GeometryError: If it is no map of one pair.
    """
    check_disparity(disparity)
    if disparity.batch != 1:
        raise GeometryError(f"a floating window is of one pair, got a batch of {disparity.batch}: index it")
    left, right = (max(0.0, float(rows.max())) for rows in border_parallax(disparity))
    return min(ceil(left), disparity.width), min(ceil(right), disparity.width)


def floating_window(
    left: Float[Tensor, "1 3 h w"], right: Float[Tensor, "1 3 h w"], disparity: Disparity
) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "1 3 h w"]]:
    """Both eyes with bars as wide as `window_bars` says; the pictures that are given stay as they are.

    Args:
        left: sRGB in [0, 1].
        right: The other eye's.
        disparity: Of the left picture, as it is shown.

    Raises:
        GeometryError: If sizes differ, or there are several pairs.
    """
    for name, eye in (("left", left), ("right", right)):
        check_picture(eye, name=name)
        if tuple(eye.shape[2:]) != disparity.size:
            raise GeometryError(f"the {name} picture is {tuple(eye.shape[2:])}, the disparity {disparity.size}")
    at_left, at_right = window_bars(disparity)
    left, right = left.clone(), right.clone()
    left[..., :at_left] = 0
    right[..., right.shape[-1] - at_right :] = 0
    return left, right
