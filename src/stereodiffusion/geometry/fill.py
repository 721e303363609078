"""Dense maps from sparse ones: what is not known is taken to lie behind what is.

Unknown cells beside an object are mostly those that only one camera sees, which belong to the background.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stereodiffusion.geometry.bands import in_bands


def fill_from_behind(
    values: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]
) -> tuple[Float[Tensor, "b 1 h w"], Bool[Tensor, "b 1 h w"]]:
    """Give each unknown cell the farther of its nearest known neighbours on the row, then on the column.

    The column only serves rows without any known cell. Cells of a map that knows nothing stay unknown.
    """
    values, known = in_bands(_fill_rows, values, known)
    if bool(known.all()):
        return values, known
    values, known = in_bands(_fill_rows, values.mT, known.mT)
    return values.mT.contiguous(), known.mT.contiguous()


def _fill_rows(
    values: Float[Tensor, "b 1 h w"], known: Bool[Tensor, "b 1 h w"]
) -> tuple[Float[Tensor, "b 1 h w"], Bool[Tensor, "b 1 h w"]]:
    size = values.shape[-1]
    column = torch.arange(size, device=values.device)
    before = torch.where(known, column, -1).cummax(dim=-1).values
    after = torch.where(known, column, size).flip(-1).cummin(dim=-1).values.flip(-1)
    has_before, has_after = before >= 0, after < size
    d_before = torch.where(has_before, values.gather(-1, before.clamp(min=0)), torch.inf)
    d_after = torch.where(has_after, values.gather(-1, after.clamp(max=size - 1)), torch.inf)
    found = has_before | has_after
    return torch.where(found, torch.minimum(d_before, d_after), 0.0), found
