"""Maps that are known to be soft get the borders of the picture."""

import pytest
import torch

from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import MapFitting
from stereodiffusion.synthesis.borders import refined


@pytest.mark.parametrize("half_width", [2, 4, 6])
def test_a_ramp_becomes_a_step_where_the_colours_change(half_width: int) -> None:
    column = torch.arange(96).expand(64, 96)
    ramp = 2 + 8 * ((column - 48 + half_width) / (2 * half_width)).clamp(0, 1)
    near = column >= 48
    grain = 0.05 * torch.rand((1, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    picture = torch.where(near, 0.7, 0.2) + grain
    sharp = refined(Disparity.from_pixels(ramp), picture, MapFitting(refine="all", hair=False)).pixels[0, 0]
    step = torch.where(near, 10.0, 2.0)
    before, after = ((values - step).abs()[16:-16] for values in (ramp, sharp))
    assert float(after.max()) < 2  # a quarter of the step; the ramp is half of it away where the colours change
    assert float(after.mean()) < 0.25 * float(before.mean())
