"""Which maps users may hand in, and what is said about the others: nothing is repaired silently."""

import torch
from jaxtyping import Shaped
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.types import Map, Region

DECLARE_UNKNOWN = "pass known= to say which cells count, for example known=torch.isfinite(map)"


def as_maps(values: Shaped[Tensor, "..."], known: Shaped[Tensor, "..."] | None, *, name: str) -> tuple[Map, Region]:
    """Give user input the shape (b, 1, h, w); half precision becomes float32, which can hold columns of a picture."""
    if not values.is_floating_point():
        raise GeometryError(f"{name} must be floating point, got {values.dtype}; decode it to its unit first")
    region = torch.ones_like(values, dtype=torch.bool) if known is None else known
    if region.dtype != torch.bool:
        raise GeometryError(f"known must be bool, got {region.dtype}")
    if region.shape != values.shape:
        raise GeometryError(f"known must have the shape of {name} {tuple(values.shape)}, got {tuple(region.shape)}")
    shape = tuple(values.shape)
    if values.ndim not in (2, 3, 4) or (values.ndim == 4 and shape[1] != 1):
        raise GeometryError(f"{name} must be (h, w), (b, h, w) or (b, 1, h, w), got shape {shape}")
    if values.numel() == 0:
        raise GeometryError(f"{name} must have at least one cell, got shape {shape}")
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    height, width = shape[-2:]
    return values.reshape(-1, 1, height, width), region.reshape(-1, 1, height, width)


def refuse(bad: Region, known: Region, *, name: str, what: str, then: str) -> None:
    """Raise if any known cell is bad, saying how many there are and what to do."""
    count = int((bad & known).sum())
    if count:
        raise GeometryError(f"{name}: {count} of {int(known.sum())} known cells are {what}; {then}")
