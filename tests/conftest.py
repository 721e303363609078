"""What all tests share."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import pytest
import torch
from hypothesis import settings
from jaxtyping import config
from tests import typechecking

# The run-time type checker that pyproject.toml names must have been imported before the package is.
assert callable(typechecking.checked)

# A shell that starts the tests with `&` ignores interrupts, `nohup` hang-ups; programs that they start would, too.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

# How long an example takes is no law of the package, and machines are busy.
settings.register_profile("untimed", deadline=None, max_examples=40)
settings.load_profile("untimed")

# Tiny networks lose more to threads than they gain.
torch.set_num_threads(1)


@cache
def _keeping() -> tuple[Callable[..., Any], Callable[..., Any]]:
    from stereodiffusion.models.backbones import load_backbone
    from stereodiffusion.models.estimators import load_depth_estimator

    return lru_cache(8)(load_backbone), lru_cache(8)(load_depth_estimator)


@pytest.fixture
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that were loaded stay for other tests, as in a server; that loading works is tested by itself."""
    backbone, estimator = _keeping()
    monkeypatch.setattr("stereodiffusion.models.backbones.load_backbone", backbone)
    monkeypatch.setattr("stereodiffusion.synthesis.model.load_depth_estimator", estimator)


@pytest.fixture
def shapes_unchecked() -> Generator[None]:
    """For tests that call many times over what others call, too: checks of shapes would be a quarter of their time."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes are copies of this one, which need not import anything; others start afresh."""
    if sys.platform != "win32":
        monkeypatch.setattr("stereodiffusion.processes.get_context", lambda _: multiprocessing.get_context("fork"))


@pytest.fixture
def fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that say nothing of steps have three, and of size, a quarter of the model's own."""
    from stereodiffusion.request import TextRequest
    from stereodiffusion.synthesis import StereoDiffusion

    whole = StereoDiffusion.run

    def short(self: StereoDiffusion, request: Any, **kwargs: Any) -> Any:
        small = {"size": (128, 128)} if isinstance(request, TextRequest) and request.size is None else {}
        return whole(self, replace(request, changes={"sampling.steps": 3, **request.changes}, **small), **kwargs)

    monkeypatch.setattr(StereoDiffusion, "run", short)
