"""Seconds and memory."""

import sys
import time

import pytest
import torch

from stereodiffusion.bench.cost import Seconds, measured


def test_seconds() -> None:
    with measured() as cost:
        time.sleep(0.05)
    assert 0.05 <= cost.seconds < 0.5


def test_sleeping_takes_no_seconds_of_a_core() -> None:
    begun = Seconds.now(torch.device("cpu"))
    time.sleep(0.2)
    slept = Seconds.now(torch.device("cpu")) - begun
    assert slept.core < 0.1 < 0.2 <= slept.wall
    assert 2 * slept - slept == slept
    assert slept + slept == 2 * slept


@pytest.mark.skipif(sys.platform != "linux", reason="left out: only Linux forgets its peak")
def test_memory_is_that_of_the_work_and_not_of_what_was_before() -> None:
    def peak_of(megabytes: int) -> float:
        with measured() as cost:
            torch.ones(megabytes * 1_000_000, dtype=torch.uint8).add_(1)
        return cost.peak_memory_mb

    nothing = peak_of(1)
    assert peak_of(400) > nothing + 300
    assert peak_of(1) < nothing + 100
