"""What a disparity map accepts, refuses and means."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, StereoRig


def row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize("shape", [(4, 6), (2, 4, 6), (2, 1, 4, 6)])
def test_from_pixels_takes_the_usual_ranks(shape: tuple[int, ...]) -> None:
    disparity = Disparity.from_pixels(torch.ones(shape))
    assert disparity.pixels.shape == (disparity.batch, 1, 4, 6)
    assert disparity.size == (disparity.height, disparity.width) == (4, 6)
    assert bool(disparity.known.all())


@pytest.mark.parametrize("shape", [(6,), (2, 3, 4, 6), (1, 1, 1, 4, 6)])
def test_other_ranks_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match=r"must be \(h, w\)"):
        Disparity.from_pixels(torch.ones(shape))


def test_nan_and_inf_are_counted_and_refused_unless_declared_unknown() -> None:
    pixels = row(1, torch.nan, 3, torch.inf)
    with pytest.raises(GeometryError, match=r"2 of 4 known cells are not finite; pass known="):
        Disparity.from_pixels(pixels)
    disparity = Disparity.from_pixels(pixels, known=pixels.isfinite())
    assert disparity.pixels.tolist() == row(1, 0, 3, 0).tolist()
    assert disparity.known.flatten().tolist() == [True, False, True, False]


def test_negative_disparity_is_refused_and_points_to_convergence() -> None:
    with pytest.raises(GeometryError, match=r"1 of 2 known cells are negative \(least -2.5\).*converged_at"):
        Disparity.from_pixels(row(1, -2.5))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integer_maps_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(GeometryError, match="must be floating point"):
        Disparity.from_pixels(torch.ones(2, 2, dtype=dtype))


def test_empty_maps_are_refused() -> None:
    with pytest.raises(GeometryError, match="at least one cell"):
        Disparity.from_pixels(torch.ones(0, 5))


def test_known_must_fit() -> None:
    with pytest.raises(GeometryError, match=r"shape of disparity \(2, 2\), got \(2, 3\)"):
        Disparity.from_pixels(torch.ones(2, 2), known=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(GeometryError, match="known must be bool"):
        Disparity.from_pixels(torch.ones(2, 2), known=torch.ones(2, 2))


def test_the_constructor_holds_the_invariant() -> None:
    everywhere = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    with pytest.raises(GeometryError, match="finite where known"):
        Disparity(pixels=row(1, torch.nan), known=everywhere)
    with pytest.raises(GeometryError, match="0 elsewhere"):
        Disparity(pixels=row(1, 1), known=~everywhere)
    with pytest.raises((GeometryError, TypeCheckError), match=r"must both have shape|jaxtyping"):
        Disparity(pixels=row(1, 1, 1), known=everywhere)
    with pytest.raises((GeometryError, TypeCheckError), match=r"known bool|jaxtyping"):
        Disparity(pixels=row(1, 1), known=row(1, 1))


def test_half_precision_is_widened_and_double_is_kept() -> None:
    assert Disparity.from_pixels(torch.ones(2, 2, dtype=torch.float16)).pixels.dtype == torch.float32
    assert Disparity.from_pixels(torch.ones(2, 2, dtype=torch.bfloat16)).pixels.dtype == torch.float32
    assert Disparity.from_pixels(torch.ones(2, 2, dtype=torch.float64)).pixels.dtype == torch.float64


def test_relative_depth_spans_the_parallax_in_each_picture() -> None:
    relief = torch.stack([torch.linspace(3, 5, 12).reshape(3, 4), torch.linspace(0, -80, 12).reshape(3, 4)])
    pixels = Disparity.from_relative(relief, 20.0).pixels
    torch.testing.assert_close(pixels.amin(dim=(1, 2, 3)), torch.zeros(2))
    torch.testing.assert_close(pixels.amax(dim=(1, 2, 3)), torch.full((2,), 20.0))
    assert pixels[0].argmax() == relief[0].argmax()  # near is large, and stays so


def test_relative_depth_ignores_unknown_cells() -> None:
    relief = row(-1000, 1, 2, 3, torch.nan)
    disparity = Disparity.from_relative(relief, 4.0, known=relief > 0)
    assert disparity.pixels.flatten().tolist() == [0, 0, 2, 4, 0]


def test_constant_relief_is_flat() -> None:
    assert not bool(Disparity.from_relative(torch.full((3, 3), 7.0), 20.0).pixels.any())


def test_relative_depth_refuses_what_has_no_meaning() -> None:
    with pytest.raises(GeometryError, match="not finite"):
        Disparity.from_relative(row(1, torch.inf), 4.0)
    with pytest.raises(GeometryError, match="nearest_px"):
        Disparity.from_relative(row(1, 2), -4.0)


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(0, 200))
@settings(deadline=None, max_examples=30)
def test_convergence_keeps_the_order_and_the_differences(a: float, b: float, zero_px: float) -> None:
    before = Disparity.from_pixels(row(a, b))
    after = before.converged_at(zero_px)
    torch.testing.assert_close(after.pixels.diff(), before.pixels.diff(), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.converged_at(-zero_px).pixels, before.pixels, atol=1e-4, rtol=1e-6)


def test_convergence_leaves_unknown_cells_alone() -> None:
    disparity = Disparity.from_pixels(row(1, 0, 3), known=row(1, 0, 1) > 0).converged_at(2.0)
    assert disparity.pixels.flatten().tolist() == [-1, 0, 1]


def test_scaled_is_a_longer_baseline() -> None:
    rig = StereoRig(focal_px=500.0, baseline_m=0.1)
    longer = StereoRig(focal_px=500.0, baseline_m=0.25)
    depth_m = torch.rand(1, 1, 4, 4) + 1
    torch.testing.assert_close(
        Disparity.from_depth(depth_m, rig).scaled(2.5).pixels, Disparity.from_depth(depth_m, longer).pixels
    )
    with pytest.raises(GeometryError, match="factor"):
        Disparity.from_depth(depth_m, rig).scaled(-1.0)


def test_crop_keeps_the_values_and_refuses_to_leave_the_map() -> None:
    pixels = torch.rand(1, 1, 5, 7)
    disparity = Disparity.from_pixels(pixels)
    assert torch.equal(disparity.crop(1, 2, 3, 4).pixels, pixels[..., 1:4, 2:6])
    for window in [(-1, 0, 2, 2), (0, 0, 6, 2), (0, 5, 2, 3), (0, 0, 0, 2)]:
        with pytest.raises(GeometryError, match="must lie inside 5 x 7"):
            disparity.crop(*window)


def test_filling_takes_the_farther_neighbour_then_the_nearest_rows() -> None:
    pixels = torch.tensor([[0.0, 0, 0, 0, 0], [0, 5, 0, 2, 0], [0, 0, 0, 0, 0], [0, 0, 4, 0, 0]])
    filled = Disparity.from_pixels(pixels, known=pixels > 0).filled()
    assert bool(filled.known.all())
    expected = [[5, 5, 2, 2, 2], [5, 5, 2, 2, 2], [4, 4, 2, 2, 2], [4, 4, 4, 4, 4]]
    assert filled.pixels[0, 0].tolist() == expected


def test_filling_a_dense_map_is_the_identity_and_an_unknown_map_is_refused() -> None:
    pixels = torch.rand(2, 1, 4, 5)
    assert torch.equal(Disparity.from_pixels(pixels).filled().pixels, pixels)
    known = torch.ones_like(pixels, dtype=torch.bool)
    known[1] = False
    with pytest.raises(GeometryError, match="no cell is known in 1 of 2 maps"):
        Disparity.from_pixels(pixels, known=known).filled()


def test_percentiles_count_known_cells_only() -> None:
    pixels = torch.arange(101.0).reshape(1, 1, 1, 101).repeat(2, 1, 1, 1)
    known = torch.ones_like(pixels, dtype=torch.bool)
    known[1, ..., 11:] = False
    disparity = Disparity.from_pixels(pixels, known=known)
    assert disparity.percentile(0.0).tolist() == [0, 0]
    assert disparity.percentile(50.0).tolist() == [50, 5]
    assert disparity.percentile(100.0).tolist() == [100, 10]


def test_moving_changes_the_precision_of_values_only() -> None:
    moved = Disparity.from_pixels(torch.rand(2, 2)).to("cpu", torch.float64)
    assert moved.pixels.dtype == torch.float64
    assert moved.known.dtype == torch.bool


def test_a_map_introduces_itself() -> None:
    pixels = torch.tensor([[1.5, 0, 30, 4]])
    assert repr(Disparity.from_pixels(pixels, known=pixels > 0)) == "Disparity(1 x 1 x 4, 1.5..30 px, 75% known)"
    assert "nothing known" in repr(Disparity.from_pixels(pixels, known=pixels > 99))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_relief_may_span_more_than_a_number_can_hold(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    ends = torch.tensor([-largest, 0.0, largest, largest / 2], dtype=dtype).reshape(1, 1, 2, 2)
    found = Disparity.from_relative(ends, nearest_px=8.0).pixels.flatten()
    torch.testing.assert_close(found, torch.tensor([0.0, 4.0, 8.0, 6.0], dtype=dtype))
    smallest = torch.finfo(dtype).smallest_normal
    small = torch.tensor([0.0, smallest, 2 * smallest, smallest], dtype=dtype).reshape(1, 1, 2, 2)
    assert Disparity.from_relative(small, nearest_px=8.0).pixels.flatten().tolist() == [0, 4, 8, 4]
