"""The three modes of Sec. 3.4: they compose geometry, diffusion, backbones and depth, and do nothing else.

text          prompt             -> source
depth         depth map + prompt -> source; and the two-step way of Fig. 7
photo         photo              -> source
stereo        source             -> pair, or any number of views
model         all of them behind one loaded model, which runs requests
inputs        what goes into a request, read                parallax   how large disparity is
controls      depth budget, curve, screen, comfort          borders    snapped to the picture's, and hair
noise         of a seed                                     compose    known pixels and the model's, put together
crops         occlusions of large photos at a finer scale   sizes      that a model works at
"""

from stereodiffusion.synthesis.model import StereoDiffusion, load
from stereodiffusion.synthesis.run import Note, Progress, Run, Turn, ViewRun

__all__ = ["Note", "Progress", "Run", "StereoDiffusion", "Turn", "ViewRun", "load"]
