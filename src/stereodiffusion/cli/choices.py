"""What options choose from.

Spelled out, not imported: the modules that own these names import torch, and `--help` does not wait for it. A test
keeps them equal to their originals.
"""

from typing import Literal, TypeAlias, get_args

from stereodiffusion.settings import PrecisionChoice
from stereodiffusion.viewpoint import SourceEye

FORMATS = (
    "sbs",
    "sbs-half",
    "cross-eyed",
    "top-bottom",
    "top-bottom-half",
    "anaglyph",
    "anaglyph-green-magenta",
    "anaglyph-amber-blue",
    "anaglyph-color",
    "anaglyph-half-color",
    "anaglyph-gray",
    "anaglyph-true",
    "mpo",
    "wiggle-gif",
    "wiggle-webp",
    "eyes",
)
Layout: TypeAlias = Literal["sbs", "sbs-half", "cross-eyed", "top-bottom", "top-bottom-half", "mpo", "eyes"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
VIEW_FORMATS = ("views", "quilt")
Extra: TypeAlias = Literal["disparity", "occlusion", "left", "right"]
EXTRAS: tuple[Extra, ...] = ("disparity", "occlusion", "left", "right")
SOURCES: tuple[SourceEye, ...] = ("left", "right", "centre")
DTYPES: tuple[PrecisionChoice, ...] = ("auto", "float32", "float16", "bfloat16")
