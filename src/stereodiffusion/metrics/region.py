"""Averages over a part of a picture: the visible pixels, the occluded ones, or all."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.accept import check_picture
from stereodiffusion.types import Image, Region


def mean_over(values: Float[Tensor, "b c h w"], region: Region | None) -> Float[Tensor, " b"]:
    """The mean of each picture over its region and all channels; NaN where the region is empty."""
    if region is None:
        return values.mean(dim=(1, 2, 3))
    return weighted_mean(values, region.to(values.dtype)).mean(dim=1)


def weighted_mean(values: Float[Tensor, "b c h w"], weight: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c"]:
    """The mean of each channel where every cell counts `weight` times; NaN where all weights are 0."""
    return torch.where(weight > 0, values, 0).mul(weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))


def named_regions(visible: Region | None, further: Mapping[str, Region] | None) -> dict[str, Region | None]:
    """What numbers over a region have after their name, and the region: "" is the whole picture.

    Args:
        visible: The pixels that the left eye sees as well; the others are `_occluded`.
        further: More regions by name.
    """
    seen = {} if visible is None else {"_visible": visible, "_occluded": ~visible}
    return {"": None, **seen, **{f"_{name}": region for name, region in (further or {}).items()}}


def check_alike(first: Image, second: Image, region: Region | None = None) -> None:
    """Refuse pictures that cannot be compared cell by cell.

    Raises:
        GeometryError: If they are no pictures, or of different sizes, or the region is.
    """
    for picture in (first, second):
        check_picture(picture, name="a picture")
    if first.shape != second.shape:
        raise GeometryError(f"two pictures of one size are needed, got {tuple(first.shape)} and {tuple(second.shape)}")
    if region is not None and region.shape != (len(first), 1, *first.shape[2:]):
        raise GeometryError(f"the region is {tuple(region.shape)}, the pictures are {tuple(first.shape)}")
