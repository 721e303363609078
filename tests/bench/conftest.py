"""Small scenes, and a tiny network that estimates their depth."""

from collections.abc import Generator

import pytest
import torch
from tests import tiny
from transformers import DPTImageProcessorPil

from stereodiffusion.datasets import StereoDataset, open_scenes


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Generator[None, None, None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def scenes() -> StereoDataset:
    """Three scenes with exact truth, 64 x 64."""
    return open_scenes(3, size=(64, 64))


@pytest.fixture(scope="session")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a depth estimator of random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny-depth"
    tiny.depth_estimator().save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a diffusion model of random weights."""
    return str(tiny.save(tmp_path_factory.mktemp("models") / "tiny"))
