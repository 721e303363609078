"""A tiny model, a depth estimator, and what a batch is made of."""

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

import pytest
import torch
from tests import tiny
from tests.batch.killing import write_photos
from transformers import DPTImageProcessorPil

from stereodiffusion.batch import Entry, Making, Output, jobs_of, read_rows, run

Batch = Callable[..., list[Entry]]


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Generator[None, None, None]:
    """Tiny networks are not worth more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_with_depth(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="package")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-depth"
    tiny.depth_estimator().save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three photos."""
    write_photos(tmp_path / "photos", 3)
    return tmp_path / "photos"


@pytest.fixture
def batch(model: Path, estimator: Path) -> Batch:
    """`batch(source, folder)` makes all of it, on the tiny model."""
    return partial(_batch, model, estimator)


def _batch(
    model: Path,
    estimator: Path,
    source: Path,
    folder: Path,
    output: Output | None = None,
    *,
    workers: int = 1,
    retries: int = 2,
) -> list[Entry]:
    defaults = {"model": str(model), "estimator": str(estimator), "preset": "fast", "changes": {"sampling.steps": 2}}
    jobs, refused = jobs_of(read_rows(source, without=folder), defaults)
    return list(
        run(jobs, Making(folder=folder, output=output or Output()), refused=refused, workers=workers, retries=retries)
    )
