"""3D Photography (Shih et al., CVPR 2020): a layered depth image with connectivity, continued behind its depth edges.

photography   the method, layer by layer            layered    pixels behind one another, and which are connected
edges         depth edges, linked                   regions    context and synthesis region of each edge
fill          colour for the synthesis region       exemplar   the default: patches of the context
render        what the right eye sees
"""

from stereodiffusion.baselines.ldi.fill import Fill, exemplar_fill, smooth_fill
from stereodiffusion.baselines.ldi.photography import photography_3d

__all__ = ["Fill", "exemplar_fill", "photography_3d", "smooth_fill"]
