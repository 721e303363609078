"""Errors of disparity on maps whose errors are known."""

import math

import pytest
import torch
from torch import Tensor

from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import end_point_error, outlier_rate
from stereodiffusion.metrics.accuracy import known_rate


def disparity(values: list[float], known: list[bool] | None = None) -> Disparity:
    return Disparity.from_pixels(
        torch.tensor([values], dtype=torch.float32), None if known is None else torch.tensor([known])
    )


EVERYWHERE = torch.ones(1, 1, 1, 4, dtype=torch.bool)
REQUESTED = disparity([10, 10, 100, 100])
MEASURED = disparity([10, 13.5, 104, 106])


def test_end_point_error_is_the_mean_difference() -> None:
    assert float(end_point_error(MEASURED, REQUESTED, EVERYWHERE)) == pytest.approx((0 + 3.5 + 4 + 6) / 4)


@pytest.mark.parametrize(
    ("over_px", "over_share", "wrong"), [(1, 0, 3), (3.5, 0, 2), (4, 0, 1), (6, 0, 0), (3, 0.05, 2), (3, 0.5, 0)]
)
def test_outliers_are_over_both_thresholds(over_px: float, over_share: float, wrong: int) -> None:
    rate = outlier_rate(MEASURED, REQUESTED, EVERYWHERE, over_px=over_px, over_share=over_share)
    assert float(rate) == wrong / 4


def test_what_was_not_measured_is_wrong_but_has_no_error() -> None:
    measured = disparity([10, 0, 0, 100], known=[True, False, False, True])
    assert float(end_point_error(measured, REQUESTED, EVERYWHERE)) == 0
    assert float(outlier_rate(measured, REQUESTED, EVERYWHERE, over_px=4)) == 0.5
    assert float(known_rate(measured, EVERYWHERE)) == 0.5


def test_what_was_not_requested_does_not_count() -> None:
    requested = disparity([10, 0, 0, 100], known=[True, False, False, True])
    assert float(end_point_error(MEASURED, requested, EVERYWHERE)) == 3
    assert float(outlier_rate(MEASURED, requested, EVERYWHERE, over_px=1)) == 0.5


@pytest.mark.parametrize(
    ("region", "expected"),
    [([True, True, False, False], 1.75), ([False] * 4, math.nan), ([False, False, True, True], 5)],
)
def test_only_the_region_counts(region: list[bool], expected: float) -> None:
    inside: Tensor = torch.tensor([[[region]]])
    assert float(end_point_error(MEASURED, REQUESTED, inside)) == pytest.approx(expected, nan_ok=True)
    share = outlier_rate(MEASURED, REQUESTED, inside, over_px=1)
    assert math.isnan(float(share)) == math.isnan(expected)
