"""The three modes of Sec. 3.4: they compose geometry, diffusion, backbones and depth, and do nothing else.

text      prompt             -> source -> pair
depth     depth map + prompt -> source -> pair; and the two-step way of Fig. 7
photo     photo              -> source -> pair
stereo    source             -> pair, or any number of views
model     all of them behind one loaded model
"""

from stereodiffusion.synthesis.depth import depth_source, depth_to_stereo, two_step_source, two_step_to_stereo
from stereodiffusion.synthesis.model import StereoDiffusion, load
from stereodiffusion.synthesis.photo import photo_source, photo_to_stereo
from stereodiffusion.synthesis.run import Progress, Run, ViewRun
from stereodiffusion.synthesis.stereo import pair_beside, views_beside
from stereodiffusion.synthesis.text import text_source, text_to_stereo

__all__ = [
    "Progress",
    "Run",
    "StereoDiffusion",
    "ViewRun",
    "depth_source",
    "depth_to_stereo",
    "load",
    "pair_beside",
    "photo_source",
    "photo_to_stereo",
    "text_source",
    "text_to_stereo",
    "two_step_source",
    "two_step_to_stereo",
    "views_beside",
]
