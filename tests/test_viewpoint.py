from itertools import pairwise
from math import inf, nan

import pytest

import stereodiffusion
from stereodiffusion.errors import ConfigError
from stereodiffusion.viewpoint import EYES, checked_positions, spread


def test_the_eyes_are_one_baseline_apart() -> None:
    assert all(right - left == 1 for left, right in EYES.values())


@pytest.mark.parametrize(("count", "last"), [(2, 0.5), (45, 0.5), (48, 1.3), (7, 0.3)])
def test_a_spread_is_even_and_has_its_ends(count: int, last: float) -> None:
    positions = spread(count, -last, last)
    assert (len(positions), positions[0], positions[-1]) == (count, -last, last)
    assert positions == tuple(-position for position in reversed(positions))  # exactly: the middle one is the source
    gaps = [after - before for before, after in pairwise(positions)]
    assert gaps == pytest.approx([2 * last / (count - 1)] * (count - 1))


@pytest.mark.parametrize("wrong", [(), (1.0, 0.5), (0.5, 0.5), (nan,), (0.0, inf), (0.0, nan, 1.0)])
def test_positions_out_of_order_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="expected the positions of views from left to right, in baselines, got"):
        checked_positions(wrong)


def test_a_spread_to_the_left_is_refused() -> None:
    with pytest.raises(ConfigError, match="from left to right"):
        stereodiffusion.spread(3, 0.5, -0.5)
    with pytest.raises(ConfigError, match="at least two views to spread, got 1"):
        stereodiffusion.spread(1, -0.5, 0.5)
