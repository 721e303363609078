"""The mean of what was summed with weights, however small they are."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def weighted_mean(
    sums: Float[Tensor, "..."], weights: Float[Tensor, "..."]
) -> tuple[Float[Tensor, "..."], Bool[Tensor, "..."]]:
    """Σ w v / Σ w, and where there is anything to average; the mean is 0 where there is not.

    Weights may be as small as normal numbers are, so the scale of what they are made of does not matter: what counts
    as something is divided by its own weight, never by a floor above it.

    Args:
        sums: Σ w v.
        weights: Σ w, w >= 0; its shape is that of `sums` or broadcasts to it.
    """
    least = torch.finfo(weights.dtype).tiny
    found = weights >= least
    return torch.where(found, sums / weights.clamp(min=least), 0.0), found
