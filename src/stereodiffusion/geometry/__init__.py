"""Disparity, the pair of cameras, and moving pictures and latents from one eye to the other (section 3.1)."""

from stereodiffusion.geometry.bands import CELLS_AT_ONCE, Band, bands, in_bands
from stereodiffusion.geometry.disparity import Disparity
from stereodiffusion.geometry.paper import paper_disparity
from stereodiffusion.geometry.rig import StereoRig
from stereodiffusion.geometry.warp import Eye, SplatMode, Warped, heading, splat, splat_eyes, take, warp_disparity

__all__ = [
    "CELLS_AT_ONCE",
    "Band",
    "Disparity",
    "Eye",
    "SplatMode",
    "StereoRig",
    "Warped",
    "bands",
    "heading",
    "in_bands",
    "paper_disparity",
    "splat",
    "splat_eyes",
    "take",
    "warp_disparity",
]
