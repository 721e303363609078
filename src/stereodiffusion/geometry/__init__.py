"""Disparity, the pair of cameras, and moving pictures and latents from one eye to the other (section 3.1)."""

from stereodiffusion.geometry.bands import CELLS_AT_ONCE, Band, bands, in_bands
from stereodiffusion.geometry.disparity import Disparity
from stereodiffusion.geometry.extend import extend_background
from stereodiffusion.geometry.frame import hidden_beyond_frame
from stereodiffusion.geometry.matte import Layers, rows_around_borders, split_at_borders
from stereodiffusion.geometry.paper import paper_disparity
from stereodiffusion.geometry.refine import snap_to_edges
from stereodiffusion.geometry.rig import StereoRig
from stereodiffusion.geometry.warp import Eye, SplatMode, Warped, heading, splat, splat_eyes, take, warp_disparity

__all__ = [
    "CELLS_AT_ONCE",
    "Band",
    "Disparity",
    "Eye",
    "Layers",
    "SplatMode",
    "StereoRig",
    "Warped",
    "bands",
    "extend_background",
    "heading",
    "hidden_beyond_frame",
    "in_bands",
    "paper_disparity",
    "rows_around_borders",
    "snap_to_edges",
    "splat",
    "splat_eyes",
    "split_at_borders",
    "take",
    "warp_disparity",
]
