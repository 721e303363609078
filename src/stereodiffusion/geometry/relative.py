"""Relief without units: min-max normalisation, as section 3.1 does it ("we normalize the range to be in [0, 1]")."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def unit_range(values: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Stretch the known cells of each picture to [0, 1]; unknown cells become 0.

    A constant map has no relief and becomes all zeros.
    """
    low = torch.where(known, values, torch.inf).amin(dim=(1, 2, 3), keepdim=True)
    high = torch.where(known, values, -torch.inf).amax(dim=(1, 2, 3), keepdim=True)
    # The range may be more than a float can hold where both of its ends are not.
    part = torch.where((high - low).isinf() & low.isfinite(), 0.5, 1.0).to(values.dtype)
    span = high * part - low * part
    stretched = (values * part).sub_(low * part).div_(span)  # in place: of large pictures each map is much memory
    return stretched.masked_fill_(~(known & (span > 0)), 0.0)
