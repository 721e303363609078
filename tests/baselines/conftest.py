"""A tiny real model, and a box before a wall."""

import pytest
import torch
from tests import tiny
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion


@pytest.fixture(scope="session")
def backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("epsilon"), name="tiny")


@pytest.fixture
def picture() -> Tensor:
    """Noise, so that every pixel can be told from every other."""
    return torch.rand((1, 3, 24, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def relief() -> Disparity:
    """A slanted wall with a box before it and a patch that is not known."""
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(40.0), indexing="ij")
    pixels = 1.3 + 0.05 * rows + 0.03 * columns
    pixels[6:18, 15:27] = 9
    known = torch.ones(24, 40, dtype=torch.bool)
    known[2:4, 30:34] = False
    return Disparity.from_pixels(pixels, known)
