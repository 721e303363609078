"""A tiny real model and what the method needs around it."""

import pytest
import torch
from tests import tiny
from torch import Tensor

from stereodiffusion.diffusion.shift import CellMap
from stereodiffusion.models.backbones.sd import StableDiffusion


@pytest.fixture(scope="session")
def backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("epsilon"), name="tiny")


@pytest.fixture(scope="session")
def v_backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("v_prediction"), name="tiny-v")


@pytest.fixture(scope="session")
def depth_backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("depth"), name="tiny-depth")


@pytest.fixture
def relief() -> Tensor:
    """A disparity map with slopes and steps, (2, 1, 64, 128)."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 128), indexing="ij")
    slope = 0.1 + rows * 0.5 + 0.1 * torch.sin(9 * columns)
    box = ((rows - 0.5).abs() < 0.2) & ((columns - 0.55).abs() < 0.15)
    first = torch.where(box, 0.95, slope)
    return torch.stack([first, first.flip(1)])[:, None]


@pytest.fixture
def cells() -> CellMap:
    """Right cell x shows left cell x + 1; the last column is occluded."""
    source = (torch.arange(8) + 1).expand(1, 1, 8, 8).clone()
    source[..., -1] = -1
    return CellMap(source=source)
