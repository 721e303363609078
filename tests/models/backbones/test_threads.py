"""What threads do to one network at a time, each finds as if it were alone; afterwards the network is what it was."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any, TypeVar, cast

import pytest
import torch
from tests import tiny
from torch import Tensor

from stereodiffusion.models.backbones import StableDiffusion, StableDiffusionXL
from stereodiffusion.request import TextRequest
from stereodiffusion.synthesis import Run, load
from stereodiffusion.synthesis import StereoDiffusion as Model

pytestmark = pytest.mark.long

T = TypeVar("T")


def together(*works: Callable[[], T]) -> list[T]:
    """What functions give that run in a thread each, at one time."""
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(work) for work in works]
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
            raise error  # what broke a barrier, before that it is broken
        return [future.result() for future in futures]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def first_of_two(_: int, tokens: Tensor) -> Tensor:
    return tokens[:1].expand_as(tokens)


def second_of_two(_: int, tokens: Tensor) -> Tensor:
    return tokens[1:].expand_as(tokens)


Change = Callable[[StableDiffusion], AbstractContextManager[None]]


CHANGES: dict[str, Change] = {
    "nothing": lambda _: nullcontext(),
    "first": lambda model: model.attending(first_of_two),
    "second": lambda model: model.attending(second_of_two),
    "second again": lambda model: model.attending(second_of_two),
}


@pytest.fixture(params=["sd", "sdxl"])
def pipe(request: pytest.FixtureRequest) -> Any:
    return tiny.pipeline() if request.param == "sd" else tiny.xl_pipeline()


def around(pipe: Any) -> StableDiffusion:
    return (StableDiffusionXL if hasattr(pipe, "text_encoder_2") else StableDiffusion).from_pipeline(pipe)


def evaluations(model: StableDiffusion, change: Change, met: Barrier | None = None) -> Iterator[Tensor]:
    """A few, each with a change of its own; with a barrier all threads are inside theirs when any evaluates."""
    embedding, x_t = model.embed(["a red ball", ""]), normal(3, 2, 4, 8, 16)
    wait = (lambda: 0) if met is None else lambda: met.wait(timeout=30)
    for timestep in (900, 500, 100):
        with torch.no_grad(), change(model):
            wait()
            yield model.predict(x_t, timestep, embedding)
            wait()


@pytest.mark.parametrize("objects", ["one", "each its own"])
def test_each_thread_finds_its_own_changes_alone(pipe: Any, objects: str) -> None:
    """A thread for each kind of change; all are in place before any of them evaluates, and leave in any order."""
    changes = list(CHANGES.values())
    shared = around(pipe)
    models = [shared if objects == "one" else around(pipe) for _ in changes]
    alone = [list(evaluations(shared, change)) for change in changes]
    met = Barrier(len(changes))

    def work(model: StableDiffusion, change: Change) -> Callable[[], Sequence[Tensor]]:
        return lambda: list(evaluations(model, change, met))

    found = together(*(work(model, change) for model, change in zip(models, changes, strict=True)))
    for own, expected in zip(found, alone, strict=True):
        for one, other in zip(own, expected, strict=True):
            assert torch.equal(one, other)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not torch.equal(alone[one][0], alone[other][0])
    assert not tiny.patched(shared.unet)


def test_the_users_own_pipeline_is_left_alone(pipe: Any) -> None:
    model, start = around(pipe), normal(3, 1, 4, 8, 8)

    def picture() -> Tensor:
        made = pipe("a red ball", latents=start, num_inference_steps=2, height=64, width=64, output_type="pt")
        return made.images

    alone = picture()
    for change in CHANGES.values():
        with change(model):
            (beside,) = together(picture)
        assert torch.equal(beside, alone)


@pytest.mark.parametrize("objects", ["one", "each its own"])
def test_an_autoencoder_in_half_precision_serves_threads_in_turn(objects: str) -> None:
    pipe = cast(Any, tiny.xl_pipeline())
    pipe.vae.to(torch.float16).register_to_config(force_upcast=True)
    before = {name: value.clone() for name, value in pipe.vae.state_dict().items()}
    shared = StableDiffusionXL.from_pipeline(pipe)
    latents = normal(1, 1, 4, 8, 8)
    expected = shared.decode(latents)
    met = Barrier(4)

    def work() -> list[Tensor]:
        model = shared if objects == "one" else StableDiffusionXL.from_pipeline(pipe)
        met.wait(timeout=60)
        return [model.decode(latents) for _ in range(5)]

    for found in together(*[work] * 4):
        assert all(torch.equal(picture, expected) for picture in found)
    assert all(torch.equal(value, before[name]) for name, value in pipe.vae.state_dict().items())
    assert pipe.vae.dtype == torch.float16


def test_prompts_are_read_as_if_alone() -> None:
    model, met = around(tiny.pipeline()), Barrier(3)
    prompts = ["a red ball", "a blue cube", ""]
    alone = [model.embed([prompt]).tokens for prompt in prompts]

    def reading(prompt: str) -> Callable[[], list[Tensor]]:
        def work() -> list[Tensor]:
            met.wait(timeout=60)
            return [model.embed([prompt]).tokens for _ in range(60)]

        return work

    for found, expected in zip(together(*map(reading, prompts)), alone, strict=True):
        assert all(torch.equal(tokens, expected) for tokens in found)


def test_first_calls_from_two_threads_load_once_and_leave_the_process_as_it_was(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "tiny")
    request = TextRequest(
        model=str(folder), prompt="a red ball", estimator="toybox-depth", changes={"sampling.steps": 2}
    )

    def first(model: Model) -> Tensor:
        return cast(Run, model.run(request)).result.right

    expected = first(load(folder))
    shared = load(folder)
    for models in ([shared, shared], [load(folder), load(folder)]):
        for picture in together(*(partial(first, model) for model in models)):
            assert torch.equal(picture, expected)
    assert torch.get_default_dtype() == torch.float32
