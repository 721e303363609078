"""Parts on several threads: the same results in the same order, and nothing that others notice."""

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from stereodiffusion.geometry import in_bands
from stereodiffusion.geometry.threads import side_by_side, threads_for, workers


@pytest.fixture
def own_threads() -> Iterator[int]:
    """What torch may use in this thread and in later ones; neither number is the other's default."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_what_is_made_of_parts_comes_in_their_order(threads: int) -> None:
    assert list(side_by_side(lambda part: part**2, range(20), threads=threads)) == [part**2 for part in range(20)]


def test_several_parts_are_computed_at_a_time() -> None:
    met = threading.Barrier(3, timeout=20)  # nobody passes before all three are there
    assert len(list(side_by_side(lambda _: met.wait(), range(3), threads=3))) == 3


def test_operators_have_one_thread_in_each_and_as_many_as_before_elsewhere(own_threads: int) -> None:
    later: list[int] = []

    def asks_in_a_new_thread() -> None:
        asking = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        asking.start()
        asking.join()

    with workers(2) as each:
        assert list(each(lambda _: torch.get_num_threads(), range(4))) == [1] * 4
        assert torch.get_num_threads() == own_threads
        asks_in_a_new_thread()
    asks_in_a_new_thread()
    assert torch.get_num_threads() == own_threads
    assert later == [own_threads] * 2


def test_threads_are_what_torch_may_use_of_processors(own_threads: int) -> None:
    assert threads_for(torch.device("cpu")) == own_threads
    assert threads_for(torch.device("cuda")) == 1


def test_bands_on_threads_are_what_one_thread_gives(own_threads: int) -> None:
    field = torch.rand((1, 3, 60, 7), generator=torch.Generator().manual_seed(0))
    seen: set[int] = set()

    def summed(field: Tensor) -> tuple[Tensor]:
        seen.add(threading.get_ident())
        return (field.cumsum(dim=-1),)

    (banded,) = in_bands(summed, field, cells=60)
    assert threading.get_ident() not in seen
    assert torch.equal(banded, summed(field)[0])


def test_modes_of_the_caller_hold_in_its_threads() -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    for outer in (torch.no_grad(), torch.inference_mode(), torch.enable_grad()):
        with outer:
            assert list(side_by_side(modes, range(4), threads=2)) == [modes(0)] * 4


def test_an_error_comes_through_as_it_is() -> None:
    def fails(part: int) -> int:
        if part == 2:
            raise ValueError("the third")
        return part

    with pytest.raises(ValueError, match="the third"):
        list(side_by_side(fails, range(5), threads=2))
