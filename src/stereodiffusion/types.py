"""Shapes and ranges of the tensors that travel between modules."""

from typing import TypeAlias

from jaxtyping import Bool, Float, Int
from torch import Tensor

Image: TypeAlias = Float[Tensor, "b 3 h w"]
"""sRGB pictures in [0, 1]."""

Latent: TypeAlias = Float[Tensor, "b c lh lw"]
"""Latents, already multiplied by the autoencoder's scaling factor."""

Map: TypeAlias = Float[Tensor, "b 1 h w"]
"""One real number per cell: disparity, depth, weights."""

Region: TypeAlias = Bool[Tensor, "b 1 h w"]
"""A set of cells: `known`, `visible` or `occlusion`; never called a mask."""

SourceIndex: TypeAlias = Int[Tensor, "b 1 h w"]
"""For each cell of a view, the column of the cell it came from on the same row; -1 where none did."""
