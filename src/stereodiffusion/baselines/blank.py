"""Leave blank (table 1): the left view moved to the right eye, black where the left eye does not see."""

from typing import Literal, TypeAlias

from stereodiffusion.geometry import Disparity, Warped, splat
from stereodiffusion.types import Image

Registration: TypeAlias = Literal["nearest", "subpixel"]
"""`nearest`: each pixel moves by a whole number of columns, rounded, and leaves cracks open on slanted surfaces.
`subpixel`: surfaces move as a whole, are interpolated and have no cracks."""


def leave_blank(left: Image, disparity: Disparity, *, registration: Registration = "nearest") -> Image:
    """The right view, black at its occlusions.

    Args:
        left: (b, 3, h, w), sRGB in [0, 1].
        disparity: of the left view on the same grid; unknown cells are not drawn.
        registration: see there.

    Raises:
        GeometryError: If the disparity is of another size.
    """
    return warp(left, disparity, registration=registration).view


def warp(left: Image, disparity: Disparity, *, registration: Registration = "nearest") -> Warped:
    """As `leave_blank`, with the cells that it leaves blank."""
    if registration == "subpixel":
        return splat(left, disparity, mode="subpixel")
    # The paper's splat truncates: half a pixel on average that no benchmark should see.
    rounded = Disparity(pixels=disparity.pixels.round(), known=disparity.known)
    return splat(left, rounded, mode="paper")
