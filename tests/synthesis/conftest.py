"""Tiny real models of every kind, and a tiny real depth estimator."""

from typing import Any

import pytest
import torch
from tests import tiny
from torch import Tensor
from transformers import DPTImageProcessorPil

from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth


@pytest.fixture(scope="session")
def text_backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("epsilon"), name="tiny")


@pytest.fixture(scope="session")
def depth_backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("depth"), name="tiny-depth")


@pytest.fixture(scope="session")
def estimator() -> MonocularDepth:
    processor: Any = DPTImageProcessorPil(size={"height": 32, "width": 32})
    return MonocularDepth(name="tiny-dpt", model=tiny.depth_estimator(), processor=processor, predicts="inverse-depth")


@pytest.fixture
def photo() -> Tensor:
    """A smooth picture of 96 x 160 pixels with a bright box."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 160), indexing="ij")
    picture = torch.stack([rows, columns, 1 - rows])
    picture[:, 30:60, 60:100] = 0.9
    return picture[None]


@pytest.fixture
def disparity_px() -> Tensor:
    """The disparity of that picture: the box is near."""
    pixels = torch.linspace(1, 4, 96)[:, None].expand(96, 160).clone()
    pixels[30:60, 60:100] = 16
    return pixels
