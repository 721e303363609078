"""Runs wait in line: none is lost, order is kept, and what is called off frees the model."""

import threading
import time
from collections.abc import Generator
from typing import cast

import pytest
import torch

from stereodiffusion.errors import GeometryError, SynthesisError
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.run import Note, Progress, Run
from stereodiffusion.web.worker import CancelledError, Waiting, Worker, Working

pytestmark = pytest.mark.long


def pair(seed: int) -> StereoPair:
    picture = torch.full((1, 3, 2, 4), seed / 100)
    flat = torch.zeros(1, 1, 2, 4)
    return StereoPair(left=picture, right=picture, disparity=Disparity.from_pixels(flat), occlusion=flat > 0)


def run(seed: int, log: list[object], gate: threading.Event | None = None) -> Run:
    def steps() -> Generator[Progress | Note, None, StereoPair]:
        try:
            for step in range(1, 4):
                log.append((seed, step))
                yield Progress(stage="source", step=step, steps=3)
                if gate is not None:
                    gate.wait(10)
            yield Note("a note")
            return pair(seed)
        finally:
            log.append((seed, "freed"))

    return Run(steps())


def test_sixteen_clients_get_their_own_pairs_in_the_order_in_which_they_came() -> None:
    worker, log, gate = Worker(16), cast(list[object], []), threading.Event()
    jobs = [worker.submit(lambda seed=seed: run(seed, log, gate)) for seed in range(16)]
    waiting = next(news for news in jobs[-1].news() if isinstance(news, Waiting))
    assert waiting.ahead == 15
    got: dict[int, float] = {}
    threads = [
        threading.Thread(target=lambda number=number, job=job: got.update({number: float(job.result.left[0, 0, 0, 0])}))
        for number, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(10)
    assert got == pytest.approx({number: number / 100 for number in range(16)})
    assert [entry[0] for entry in cast(list[tuple[int, object]], log) if entry[1] == 1] == list(range(16))
    assert jobs[3].notes == ["a note"]


def test_what_is_called_off_frees_the_model_after_the_step_it_is_in() -> None:
    worker, log, gate = Worker(4), cast(list[object], []), threading.Event()
    first = worker.submit(lambda: run(1, log, gate))
    second = worker.submit(lambda: run(2, log))
    third = worker.submit(lambda: run(3, log))
    while (1, 1) not in log:
        time.sleep(0.01)
    first.cancel()
    second.cancel()
    gate.set()
    assert third.result is not None
    assert log == [(1, 1), (1, 2), (1, "freed"), (3, 1), (3, 2), (3, 3), (3, "freed")]
    for job in (first, second):
        with pytest.raises(CancelledError):
            _ = job.result


def test_it_tells_every_stage_and_a_refusal_reaches_who_asked_alone() -> None:
    worker = Worker(4)

    def refuse() -> Run:
        raise GeometryError("too flat")

    refused, fine = worker.submit(refuse), worker.submit(lambda: run(5, []))
    with pytest.raises(GeometryError, match="too flat"):
        _ = refused.result
    told = [news.at for news in fine.news() if isinstance(news, Working)]
    assert told[0] is None
    assert told[-1] == Progress(stage="source", step=3, steps=3)
    assert float(fine.result.left[0, 0, 0, 0]) == pytest.approx(0.05)


def test_a_line_that_is_too_long_is_refused() -> None:
    worker, gate = Worker(2), threading.Event()
    jobs = [worker.submit(lambda: run(0, [], gate)) for _ in range(3)]
    with pytest.raises(SynthesisError, match="2 runs are waiting already"):
        worker.submit(lambda: run(0, []))
    gate.set()
    for job in jobs:
        assert job.result is not None
