"""Where one eye sees what the other does not: borders of depth, what lies beyond them, and thin things before them."""

from stereodiffusion.occlusion.extend import extend_background
from stereodiffusion.occlusion.frame import hidden_beyond_frame
from stereodiffusion.occlusion.matte import Layers, rows_around_borders, split_at_borders
from stereodiffusion.occlusion.refine import snap_to_edges

__all__ = [
    "Layers",
    "extend_background",
    "hidden_beyond_frame",
    "rows_around_borders",
    "snap_to_edges",
    "split_at_borders",
]
