"""What options choose from.

Spelled out, not imported: the modules that own these names import torch, and `--help` does not wait for it. A test
keeps them equal to their originals.
"""

from typing import Literal, TypeAlias

from stereodiffusion.settings import PrecisionChoice
from stereodiffusion.viewpoint import SourceEye

FORMATS = (
    "sbs",
    "sbs-half",
    "cross-eyed",
    "top-bottom",
    "top-bottom-half",
    "interlaced-rows",
    "interlaced-columns",
    "checkerboard",
    "anaglyph",
    "anaglyph-green-magenta",
    "anaglyph-amber-blue",
    "anaglyph-color",
    "anaglyph-half-color",
    "anaglyph-gray",
    "anaglyph-true",
    "mpo",
    "jps",
    "spatial",
    "vr180",
    "vr180-sbs",
    "rgbd",
    "rgbd-half",
    "wiggle-gif",
    "wiggle-webp",
    "wiggle-mp4",
    "wiggle-webm",
    "eyes",
)
READABLE = (
    "sbs",
    "sbs-half",
    "cross-eyed",
    "top-bottom",
    "top-bottom-half",
    "interlaced-rows",
    "interlaced-columns",
    "checkerboard",
    "anaglyph-gray",
    "anaglyph-true",
    "mpo",
    "jps",
    "spatial",
    "vr180",
    "vr180-sbs",
    "rgbd",
    "rgbd-half",
    "wiggle-gif",
    "wiggle-webp",
    "quilt",
    "eyes",
)
VIEW_FORMATS = ("views", "quilt")
Extra: TypeAlias = Literal["disparity", "disparity-kitti", "disparity-exr", "occlusion", "left", "right"]
EXTRAS: tuple[Extra, ...] = ("disparity", "disparity-kitti", "disparity-exr", "occlusion", "left", "right")
Names: TypeAlias = Literal["plain", "players"]
NAMES: tuple[Names, ...] = ("plain", "players")
Bundle: TypeAlias = Literal["folder", "middlebury", "kitti", "webdataset"]
BUNDLES: tuple[Bundle, ...] = ("folder", "middlebury", "kitti", "webdataset")
SOURCES: tuple[SourceEye, ...] = ("left", "right", "centre")
DTYPES: tuple[PrecisionChoice, ...] = ("auto", "float32", "float16", "bfloat16")
