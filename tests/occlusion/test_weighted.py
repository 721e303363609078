"""Weighted means: only the ratio of weights counts, not their size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from stereodiffusion.occlusion.weighted import weighted_mean

CASES = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        arrays(np.float32, n, elements=st.floats(-2, 2, width=32)),
        arrays(np.float32, n, elements=st.one_of(st.just(0.0), st.floats(2.0**-10, 1, width=32))),
    )
)


def mean_of(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return weighted_mean((weights * values).sum(), weights.sum())


@given(CASES, st.integers(-100, 0))
@settings(deadline=None)
def test_scaling_all_weights_changes_nothing(case: tuple[np.ndarray, np.ndarray], exponent: int) -> None:
    """By powers of two, which are exact; 2^-110 of the least weight is the least normal number about."""
    values, weights = (torch.from_numpy(part) for part in case)
    mean, found = mean_of(values, weights)
    scaled, scaled_found = mean_of(values, weights * 2.0**exponent)
    assert bool(found) == bool(scaled_found) == bool(weights.any())
    torch.testing.assert_close(scaled, mean, rtol=1e-6, atol=1e-6)


@given(CASES, st.integers(-100, 0))
@settings(deadline=None)
def test_a_mean_lies_between_its_least_and_its_greatest(case: tuple[np.ndarray, np.ndarray], exponent: int) -> None:
    values, weights = (torch.from_numpy(part) for part in case)
    mean, found = mean_of(values, weights * 2.0**exponent)
    if bool(found):
        counted = values[weights > 0]
        assert float(counted.min()) - 1e-5 <= float(mean) <= float(counted.max()) + 1e-5
    else:
        assert float(mean) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_cell_has_a_weight_of_its_own(dtype: torch.dtype) -> None:
    sums = torch.tensor([[3.0, 0.0, 3e-20], [1.0, 0.0, 1e-20]], dtype=dtype)
    weights = torch.tensor([[2.0, 0.0, 1e-20]], dtype=dtype)
    mean, found = weighted_mean(sums, weights)
    torch.testing.assert_close(mean, torch.tensor([[1.5, 0.0, 3.0], [0.5, 0.0, 1.0]], dtype=dtype))
    assert found.tolist() == [[True, False, True]]
