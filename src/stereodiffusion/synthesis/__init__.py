"""The three modes of Sec. 3.4: they compose geometry, diffusion, backbones and depth, and do nothing else.

text      prompt             -> pair
depth     depth map + prompt -> pair; and the two-step way of Fig. 7
photo     photo              -> pair
model     all of them behind one loaded model
"""

from stereodiffusion.synthesis.depth import depth_to_stereo, two_step_to_stereo
from stereodiffusion.synthesis.model import StereoDiffusion, load
from stereodiffusion.synthesis.photo import photo_to_stereo
from stereodiffusion.synthesis.run import Progress, Run
from stereodiffusion.synthesis.text import text_to_stereo

__all__ = [
    "Progress",
    "Run",
    "StereoDiffusion",
    "depth_to_stereo",
    "load",
    "photo_to_stereo",
    "text_to_stereo",
    "two_step_to_stereo",
]
