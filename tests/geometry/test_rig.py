"""Eq. 2 and its inverse."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, StereoRig

RIG = StereoRig(focal_px=700.0, baseline_m=0.2)


def test_equation_2() -> None:
    assert Disparity.from_depth(torch.full((1, 1), 2.0), RIG).pixels.item() == pytest.approx(700 * 0.2 / 2)


@given(st.floats(100, 5000), st.floats(0.01, 1), st.floats(-50, 50))
@settings(deadline=None, max_examples=30)
def test_depth_and_disparity_are_inverse(focal_px: float, baseline_m: float, doffs_px: float) -> None:
    rig = StereoRig(focal_px=focal_px, baseline_m=baseline_m, doffs_px=doffs_px)
    depth_m = torch.linspace(0.5, 80, 24, dtype=torch.float64).reshape(4, 6)
    disparity = Disparity.from_depth(depth_m, rig)
    torch.testing.assert_close(rig.depth(disparity)[0, 0], depth_m, rtol=1e-9, atol=0)
    torch.testing.assert_close(Disparity.from_depth(rig.depth(disparity), rig).pixels, disparity.pixels)


def test_infinite_depth_has_no_parallax_and_back() -> None:
    disparity = Disparity.from_depth(torch.tensor([[torch.inf, 2.0]]), RIG)
    assert disparity.pixels[0, 0, 0, 0] == 0
    assert rig_depth(disparity)[0] == math.inf


def test_doffs_moves_infinity() -> None:
    rig = StereoRig(focal_px=700.0, baseline_m=0.2, doffs_px=30.0)
    assert Disparity.from_depth(torch.tensor([[torch.inf]]), rig).pixels.item() == -30


def test_unknown_depth_is_zero_which_is_refused_as_depth() -> None:
    depth_m = torch.tensor([[2.0, torch.nan]])
    disparity = Disparity.from_depth(depth_m, RIG, known=~depth_m.isnan())
    assert rig_depth(disparity) == [pytest.approx(2.0), 0]


@pytest.mark.parametrize(("value", "message"), [(math.nan, "NaN"), (0.0, "not positive"), (-1.0, r"least -1\)")])
def test_impossible_depths_are_refused(value: float, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        Disparity.from_depth(torch.tensor([[2.0, value]]), RIG)


def test_points_behind_infinity_have_no_depth() -> None:
    with pytest.raises(GeometryError, match="1 cells have disparity"):
        RIG.depth(Disparity.from_pixels(torch.tensor([[1.0, 9.0]])).converged_at(5.0))


def test_resizing_the_rig_is_resizing_the_map() -> None:
    rig = StereoRig(focal_px=700.0, baseline_m=0.2, doffs_px=12.0)
    depth_m = torch.full((4, 8), 3.0)
    resized = Disparity.from_depth(depth_m, rig).resize(2, 4)
    torch.testing.assert_close(resized.pixels, Disparity.from_depth(depth_m[:2, :4], rig.resized(0.5)).pixels)


@pytest.mark.parametrize(
    "rig",
    [{"focal_px": 0.0}, {"focal_px": math.nan}, {"baseline_m": -0.1}, {"baseline_m": math.inf}, {"doffs_px": math.nan}],
)
def test_impossible_rigs_are_refused(rig: dict[str, float]) -> None:
    with pytest.raises(GeometryError, match=next(iter(rig))):
        StereoRig(**({"focal_px": 700.0, "baseline_m": 0.2} | rig))
    with pytest.raises(GeometryError, match="scale"):
        RIG.resized(0.0)


def rig_depth(disparity: Disparity) -> list[float]:
    return RIG.depth(disparity).flatten().tolist()
