"""The left view shown to the right eye as well: what a method has to beat before anything else counts."""

from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image


def identity(left: Image, disparity: Disparity) -> Image:
    """The left view itself, (b, 3, h, w); the disparity is not looked at."""
    return left
