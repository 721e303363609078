"""Laws of the splat."""

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, SplatMode, heading, splat, splat_eyes, take, warp_disparity

MODES: tuple[SplatMode, ...] = ("paper", "subpixel")
REFUSED = (GeometryError, TypeCheckError)  # the latter where the declared shapes are checked at run time
each_mode = pytest.mark.parametrize("mode", MODES)
each_dtype = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def integers(*shape: int, below: int, seed: int = 0) -> Tensor:
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(seed)).float()


@each_mode
@each_dtype
def test_zero_disparity_is_the_identity(mode: SplatMode, dtype: torch.dtype) -> None:
    view = noise(2, 5, 6, 9).to(dtype)
    warped = splat(view, Disparity.from_pixels(torch.zeros(2, 6, 9)), mode=mode)
    assert warped.view.dtype == dtype
    assert torch.equal(warped.view, view)
    assert not bool(warped.occlusion.any())
    assert torch.equal(warped.source, torch.arange(9).expand(2, 1, 6, 9))


@each_mode
@each_dtype
@pytest.mark.parametrize("d", [1, 4, 8, 9, 50])
def test_constant_disparity_is_an_exact_shift(mode: SplatMode, dtype: torch.dtype, d: int) -> None:
    view = noise(1, 4, 3, 9).to(dtype)
    expected = torch.zeros_like(view)
    expected[..., : max(0, 9 - d)] = view[..., d:]
    warped = splat(view, Disparity.from_pixels(torch.full((3, 9), float(d))), mode=mode)
    assert torch.equal(warped.view, expected)
    assert int(warped.occlusion.sum()) == 3 * min(d, 9)
    assert torch.equal(warped.source == -1, warped.occlusion)
    assert torch.equal(warped.visible, ~warped.occlusion)


@given(st.floats(0, 6))
@settings(deadline=None, max_examples=40)
def test_fractional_constant_disparity_is_linear_interpolation(d: float) -> None:
    view = noise(1, 2, 2, 12).double()
    whole, part = int(d), d - int(d)
    interpolated = (1 - part) * view[..., whole:-1] + part * view[..., whole + 1 :]
    warped = splat(view, Disparity.from_pixels(torch.full((2, 12), d, dtype=torch.float64)))
    assert not bool(warped.occlusion[..., : 11 - whole].any())
    torch.testing.assert_close(warped.view[..., : 11 - whole], interpolated, atol=1e-4, rtol=0)


@given(st.integers(1, 12), st.integers(1, 24), st.integers(0, 2**31), st.sampled_from(MODES), st.floats(0, 2))
@settings(deadline=None, max_examples=60)
def test_the_other_eye_is_the_mirror_image(h: int, w: int, seed: int, mode: SplatMode, fraction: float) -> None:
    view, pixels = noise(1, 2, h, w, seed=seed), noise(1, 1, h, w, seed=seed + 1).abs() * 3
    to_left = splat(view, Disparity.from_pixels(pixels), to="left", mode=mode, fraction=fraction)
    mirrored = splat(view.flip(-1), Disparity.from_pixels(pixels.flip(-1)), mode=mode, fraction=fraction)
    assert torch.equal(to_left.view, mirrored.view.flip(-1))
    assert torch.equal(to_left.occlusion, mirrored.occlusion.flip(-1))


# In `subpixel` mode neighbours that differ by one cell are joined, which a round trip cannot undo where the
# joined surface hides a third one; even disparities leave nothing to join.
@given(st.integers(1, 12), st.integers(1, 24), st.integers(0, 2**31), st.sampled_from(MODES))
@settings(deadline=None, max_examples=60)
def test_there_and_back_is_the_identity_where_both_eyes_see(h: int, w: int, seed: int, mode: SplatMode) -> None:
    view = noise(2, 3, h, w, seed=seed)
    disparity = Disparity.from_pixels(integers(2, h, w, below=4, seed=seed) * (2 if mode == "subpixel" else 1))
    right, disparity_right = splat(view, disparity, mode=mode), warp_disparity(disparity, mode=mode)
    back = splat(right.view, disparity_right, to="left", mode=mode)
    assert torch.equal(back.view, view.masked_fill(back.occlusion, 0))
    # What the right eye saw of the left view is exactly what comes back.
    seen = torch.zeros_like(right.source).scatter_reduce(
        -1, right.source.clamp(min=0), (~right.occlusion).long(), "amax"
    )
    assert torch.equal(seen.bool(), ~back.occlusion)


@each_mode
@pytest.mark.parametrize("jump", [2, 3, 7])
def test_a_step_leaves_an_occlusion_of_exactly_the_jump(mode: SplatMode, jump: int) -> None:
    pixels = torch.full((1, 30), 2.0)
    pixels[:, 10:18] = 2.0 + jump
    warped = splat(noise(1, 1, 1, 30), Disparity.from_pixels(pixels), mode=mode)
    hole = warped.occlusion.flatten().nonzero().flatten().tolist()
    first = 18 - 2 - jump  # right behind the object
    assert hole == [*range(first, first + jump), 28, 29]


@given(st.floats(-0.95, 0.95), st.floats(0, 5), st.sampled_from(["left", "right"]))
@settings(deadline=None, max_examples=60)
def test_slanted_surfaces_have_no_cracks(slope: float, d: float, to: Literal["left", "right"]) -> None:
    x = torch.arange(40.0)
    pixels = (d + slope * x - min(0.0, slope * 39)).clamp(min=0).reshape(1, 40)
    view = x.reshape(1, 1, 1, 40).double()
    warped = splat(view, Disparity.from_pixels(pixels.double()), to=to)
    covered = (~warped.occlusion).flatten().nonzero().flatten()
    if len(covered):
        assert int(covered.max() - covered.min()) + 1 == len(covered)
    # The surface is a line, so each target column t knows its source: t = x -/+ d(x).
    ends = view.flatten() + (1 if to == "left" else -1) * pixels.double().flatten()
    inner = covered[(covered >= ends[0]) & (covered <= ends[-1])]
    exact = (inner - ends[0]) / (1 + (slope if to == "left" else -slope))
    torch.testing.assert_close(warped.view.flatten()[inner], exact, atol=2e-3, rtol=0)


def test_a_free_end_and_a_stretched_piece_together_cover_three_columns() -> None:
    pixels = torch.tensor([[9, 9, 1.625, 0.625, 0.625]])  # lands at 0.375, 2.375 and 3.375
    warped = splat(torch.arange(5.0).reshape(1, 1, 1, 5), Disparity.from_pixels(pixels))
    assert warped.view.flatten().tolist() == [2.0, 2.3125, 2.8125, 3.625, 0.0]


def test_a_jump_of_one_cell_is_joined_however_float_rounds_it() -> None:
    thirds = torch.tensor([193, 194, 385, 386])  # k / 3 - (k - 3) / 3 is not 1 in float32
    near, far = thirds / 3, (thirds - 3) / 3
    pixels = torch.stack([near, far], dim=1).repeat_interleave(150, dim=1)
    occlusion = splat(torch.ones(1, 1, *pixels.shape), Disparity.from_pixels(pixels)).occlusion[0, 0]
    assert not bool((occlusion & (torch.arange(300) < 299 - far[:, None])).any())


@pytest.mark.parametrize(("d", "column"), [(0.25, 3), (0.5, 4), (0.75, 4), (1.25, 4)])
def test_the_source_is_the_closest_column(d: float, column: int) -> None:
    warped = splat(noise(1, 1, 1, 9), Disparity.from_pixels(torch.full((1, 9), d)))
    assert warped.source[0, 0, 0, 3] == column


def test_paper_mode_leaves_cracks_open() -> None:
    pixels = torch.linspace(6, 0, 24).reshape(1, 24)
    assert bool(splat(noise(1, 1, 1, 24), Disparity.from_pixels(pixels), mode="paper").occlusion.any())
    assert not bool(splat(noise(1, 1, 1, 24), Disparity.from_pixels(pixels)).occlusion.any())


@given(st.floats(1.5, 9))
@settings(deadline=None, max_examples=30)
def test_objects_neither_shrink_nor_grow(d: float) -> None:
    pixels = torch.zeros(1, 40)
    pixels[:, 20:26] = d
    view = (pixels > 0).float().reshape(1, 1, 1, 40)
    warped = splat(view, Disparity.from_pixels(pixels))
    columns = warped.view.flatten().nonzero().flatten()
    assert len(columns) == 6
    assert abs(columns[0].item() - (20 - d)) <= 0.5 + 1e-3


@each_mode
def test_unknown_cells_are_not_drawn(mode: SplatMode) -> None:
    pixels, known = torch.full((1, 8), 1.0), torch.ones(1, 8, dtype=torch.bool)
    known[0, 3:5] = False
    warped = splat(torch.arange(1.0, 9).reshape(1, 1, 1, 8), Disparity.from_pixels(pixels, known=known), mode=mode)
    assert warped.view.flatten().tolist() == [2, 3, 0, 0, 6, 7, 8, 0]
    nothing = Disparity.from_pixels(pixels, known=torch.zeros_like(known))
    assert bool(splat(noise(1, 1, 1, 8), nothing, mode=mode).occlusion.all())


@each_mode
def test_convergence_moves_the_frame_and_keeps_the_order(mode: SplatMode) -> None:
    view, disparity = noise(1, 1, 6, 20), Disparity.from_pixels(integers(6, 20, below=6))
    warped, converged = splat(view, disparity, mode=mode), splat(view, disparity.converged_at(3.0), mode=mode)
    assert torch.equal(converged.view[..., 3:], warped.view[..., :-3])


@each_mode
def test_both_eyes_from_the_centre(mode: SplatMode) -> None:
    centre, disparity = noise(1, 3, 4, 16), Disparity.from_pixels(torch.full((4, 16), 4.0))
    left, right = splat_eyes(centre, disparity, mode=mode)
    assert torch.equal(left.view[..., 2:], centre[..., :-2])
    assert torch.equal(right.view[..., :-2], centre[..., 2:])


@pytest.mark.parametrize(("position", "column"), [(-1.0, 12), (-0.5, 10), (0.0, 8), (0.25, 7), (2.0, 0)])
def test_from_further_right_near_things_are_further_left(position: float, column: int) -> None:
    pixels, point = torch.full((1, 1, 1, 16), 4.0), torch.zeros((1, 1, 1, 16))
    point[..., 8] = 1
    to, fraction = heading(position)
    moved = splat(point, Disparity.from_pixels(pixels), to=to, fraction=fraction)
    assert moved.view.flatten().nonzero().flatten().tolist() == [column]


def test_a_mirrored_map_is_of_the_mirrored_picture() -> None:
    view, known = noise(2, 3, 5, 9), integers(2, 1, 5, 9, below=4) > 0
    disparity = Disparity.from_pixels(integers(2, 1, 5, 9, below=4), known)
    moved, mirrored = splat(view, disparity, to="left"), splat(view.flip(-1), disparity.mirrored(), to="right")
    assert torch.equal(mirrored.view.flip(-1), moved.view)
    assert torch.equal(disparity.mirrored().mirrored().pixels, disparity.pixels)
    assert torch.equal(disparity.mirrored().mirrored().known, disparity.known)


@each_mode
def test_a_fraction_is_a_shorter_baseline(mode: SplatMode) -> None:
    view, disparity = noise(1, 3, 4, 16), Disparity.from_pixels(noise(4, 16).abs() * 4)
    part, scaled = splat(view, disparity, mode=mode, fraction=0.25), splat(view, disparity.scaled(0.25), mode=mode)
    assert torch.equal(part.view, scaled.view)
    assert torch.equal(splat(view, disparity, mode=mode, fraction=0.0).view, view)


@each_mode
def test_pictures_of_a_batch_do_not_meet(mode: SplatMode) -> None:
    view, pixels = noise(3, 2, 4, 12), noise(3, 4, 12).abs() * 3
    together = splat(view, Disparity.from_pixels(pixels), mode=mode)
    for i in range(3):
        alone = splat(view[i : i + 1], Disparity.from_pixels(pixels[i]), mode=mode)
        assert torch.equal(together.view[i], alone.view[0])
        assert torch.equal(together.source[i], alone.source[0])


def test_one_map_serves_a_batch_and_other_numbers_are_refused() -> None:
    view, disparity = noise(3, 2, 4, 12), Disparity.from_pixels(integers(4, 12, below=5))
    warped = splat(view, disparity)
    assert torch.equal(warped.view[2:], splat(view[2:], disparity).view)
    assert warped.occlusion.shape == warped.source.shape == (3, 1, 4, 12)
    with pytest.raises(GeometryError, match="2 disparity maps for a batch of 3 views"):
        splat(view, Disparity.from_pixels(torch.ones(2, 4, 12)))


@each_mode
def test_large_maps_are_worked_on_in_parts(mode: SplatMode, monkeypatch: pytest.MonkeyPatch) -> None:
    view, disparity = noise(2, 3, 23, 17), Disparity.from_pixels(noise(2, 23, 17).abs() * 3)
    whole = splat(view, disparity, mode=mode)
    monkeypatch.setattr("stereodiffusion.geometry.warp._CELLS_AT_ONCE", 100)
    parts = splat(view, disparity, mode=mode)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 1)])
@each_mode
def test_tiny_maps(mode: SplatMode, height: int, width: int) -> None:
    warped = splat(noise(1, 1, height, width), Disparity.from_pixels(torch.ones(height, width)), mode=mode)
    assert int(warped.occlusion.sum()) == height


@each_mode
def test_absurd_disparities_leave_the_frame(mode: SplatMode) -> None:
    warped = splat(noise(1, 1, 2, 5), Disparity.from_pixels(torch.full((2, 5), 1e30)), mode=mode)
    assert bool(warped.occlusion.all())


def test_source_moves_other_views_the_same_way() -> None:
    view, disparity = noise(2, 3, 4, 16), Disparity.from_pixels(integers(2, 4, 16, below=6))
    warped = splat(view, disparity, mode="paper")
    assert torch.equal(take(view, warped.source), warped.view)
    with pytest.raises(REFUSED, match=r"one batch and size|jaxtyping"):
        take(view[..., 1:], warped.source)


def test_the_disparity_of_the_other_eye_travels_with_its_cells() -> None:
    disparity = Disparity.from_pixels(torch.tensor([[1.0, 1, 1, 1, 4, 4, 1, 1]]))
    right = warp_disparity(disparity)
    assert right.pixels.flatten().tolist() == [4, 4, 1, 0, 0, 1, 1, 0]
    assert right.known.flatten().tolist() == [True, True, True, False, False, True, True, False]


def test_a_view_and_its_disparity_must_have_one_size() -> None:
    with pytest.raises(GeometryError, match=r"view is 4 x 8 but its disparity 4 x 16; use disparity.resize"):
        splat(noise(1, 3, 4, 8), Disparity.from_pixels(torch.ones(4, 16)))


@pytest.mark.parametrize("fraction", [-1.0, float("nan"), float("inf")])
def test_impossible_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(GeometryError, match="fraction"):
        splat(noise(1, 3, 4, 8), Disparity.from_pixels(torch.ones(4, 8)), fraction=fraction)


@pytest.mark.parametrize(
    "view",
    [
        torch.ones(1, 3, 4, 8, dtype=torch.uint8),
        torch.ones(0, 3, 4, 8),
        torch.ones(3, 4, 8),
        torch.ones(1, 1, 4, 8) > 0,
    ],
)
def test_views_that_are_no_batch_of_real_numbers_are_refused(view: Tensor) -> None:
    with pytest.raises(REFUSED, match=r"float tensor, not empty|Float"):
        splat(view, Disparity.from_pixels(torch.ones(4, 8)))
