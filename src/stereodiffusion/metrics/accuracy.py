"""How far a measured disparity is from the one that was asked for: end-point error and rates of outliers."""

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics.region import mean_over
from stereodiffusion.types import Region


def end_point_error(measured: Disparity, requested: Disparity, region: Region) -> Float[Tensor, " b"]:
    """Mean |measured - requested| in pixels, over the cells of the region where both are known.

    It says nothing of what was not measured: read it together with a rate of outliers.
    """
    error = (measured.pixels - requested.pixels).abs().double()
    return mean_over(error, region & measured.known & requested.known)


def outlier_rate(
    measured: Disparity, requested: Disparity, region: Region, *, over_px: float, over_share: float = 0.0
) -> Float[Tensor, " b"]:
    """The fraction of the region's cells, of those with a known request, that are wrong.

    Wrong is what is off by more than `over_px` pixels and more than `over_share` of the requested disparity, or was
    not measured. Middlebury's bad-n has `over_px=n`; KITTI's D1 has `over_px=3, over_share=0.05`.
    """
    error = (measured.pixels - requested.pixels).abs()
    wrong = ~measured.known | ((error > over_px) & (error > over_share * requested.pixels.abs()))
    return mean_over(wrong.double(), region & requested.known)


def known_rate(measured: Disparity, region: Region) -> Float[Tensor, " b"]:
    """The fraction of the region's cells that were measured."""
    return mean_over(measured.known.to(torch.float64), region)
