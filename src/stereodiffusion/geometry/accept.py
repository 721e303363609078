"""Which pictures and maps users may hand in, and what is said about the others: nothing is repaired silently."""

from typing import TypeGuard

import torch
from jaxtyping import Shaped
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.types import Image, Map, Region

RANGE_SLACK = 1 / 510
"""Half a level: what rounding to float16 may add to a picture in [0, 1]."""

DECLARE_UNKNOWN = "pass known= to say which cells count, for example known=torch.isfinite(map)"


def check_picture(given: object, *, name: str) -> None:
    """Refuse what is not a batch of pictures: NumPy arrays, bytes, single pictures without a batch.

    Raises:
        GeometryError: If it is no such tensor. The range is looked at by `check_range` alone.
    """
    if not _is_batch(given) or given.shape[1] != 3:
        raise GeometryError(f"{name} must be a (b, 3, h, w) float tensor in [0, 1], got {described(given)}")


def check_view(given: object, *, name: str) -> None:
    """As `check_picture`, of pictures and latents of any number of channels.

    Raises:
        GeometryError: If it is no such tensor.
    """
    if not _is_batch(given):
        raise GeometryError(f"{name} must be a (b, c, h, w) float tensor, not empty, got {described(given)}")


def check_range(picture: Image, *, name: str) -> None:
    """Refuse pictures whose levels are not those of sRGB in [0, 1], such as 0 ... 255.

    Raises:
        GeometryError: If a value lies outside, or is NaN.
    """
    lowest, highest = (float(bound) for bound in picture.detach().float().aminmax())
    if not (lowest >= -RANGE_SLACK and highest <= 1 + RANGE_SLACK):
        raise GeometryError(f"{name} must be a (b, 3, h, w) float tensor in [0, 1], got {lowest:g} ... {highest:g}")


def described(given: object) -> str:
    """What somebody handed in, in a few words."""
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    kind = type(given).__name__
    return kind if shape is None else f"{kind} of shape {tuple(shape)}, {str(dtype).removeprefix('torch.')}"


def _is_batch(given: object) -> TypeGuard[Tensor]:
    return isinstance(given, Tensor) and given.is_floating_point() and given.ndim == 4 and given.numel() > 0


def as_maps(values: Shaped[Tensor, "..."], known: Shaped[Tensor, "..."] | None, *, name: str) -> tuple[Map, Region]:
    """Give user input the shape (b, 1, h, w); half precision becomes float32, which can hold columns of a picture."""
    handed: list[tuple[str, object]] = [(name, values), *([] if known is None else [("known", known)])]
    for part, given in handed:
        if not isinstance(given, Tensor):
            raise GeometryError(f"{part} must be a tensor (h, w), (b, h, w) or (b, 1, h, w), got {described(given)}")
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
