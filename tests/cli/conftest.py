"""The command line on a tiny model."""

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import torch
from tests import tiny
from typer.testing import CliRunner, Result

from stereodiffusion.cli.main import app

Run = Callable[..., Result]


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Generator[None, None, None]:
    """Tiny networks are not worth more, and on a busy machine threads that wait cost minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text-conditioned model with its depth-conditioned sibling."""
    return tiny.save_with_depth(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A depth estimator."""
    return tiny.save_depth_estimator(tmp_path_factory.mktemp("models") / "tiny-depth")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(loaded_once: None) -> Run:
    """`run("text", "a ball")` runs a command line in this process."""

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return invoke
