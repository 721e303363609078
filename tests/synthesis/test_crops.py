"""Occlusions of photos that are larger than the model's size, made again in crops."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.making import photo_pair
from torch import Tensor

from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis import Progress, Run, ViewRun
from stereodiffusion.synthesis.conditioning import Prompted
from stereodiffusion.synthesis.crops import Crops, Window, blending, plan_crops
from stereodiffusion.synthesis.detail import window_beside
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.stereo import views_beside
from stereodiffusion.views import View

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

BEST = preset("best", "photo").changed({"sampling.steps": 6})


def holes(seed: int, height: int, width: int) -> Tensor:
    """Some upright strips of a picture, at most ten columns wide."""
    generator = torch.Generator().manual_seed(seed)
    occlusion = torch.zeros((2, 1, height, width), dtype=torch.bool)
    for _ in range(6):
        top, left = (int(torch.randint(side, (), generator=generator)) for side in (height, width))
        deep, wide = (int(torch.randint(1, most, (), generator=generator)) for most in (height, 11))
        occlusion[int(torch.randint(2, (), generator=generator)), :, top : top + deep, left : left + wide] = True
    return occlusion


def covered(plan: Crops, size: tuple[int, int]) -> Tensor:
    """The sum of what the windows have to say, (h, w)."""
    total = torch.zeros(size)
    for window in plan.windows:
        window.of(total).add_(blending(window, plan.windows, size))
    return total


pictures = st.tuples(st.integers(0, 2**31 - 1), st.integers(100, 240), st.integers(100, 240))


@given(pictures, st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_windows_cover_every_hole_and_are_no_more_than_allowed(picture: tuple[int, int, int], at_most: int) -> None:
    seed, height, width = picture
    occlusion = holes(seed, height, width)
    plan = plan_crops(occlusion, native=(64, 64), cell=8, at_most=at_most)
    assert len(plan.windows) <= at_most
    hole = occlusion.any(dim=0).squeeze(0)
    for window in plan.windows:
        assert 0 <= window.top <= height - window.height
        assert 0 <= window.left <= width - window.width
        assert window.height * window.width < height * width / 1.9  # finer than the whole picture by √2
        assert bool(window.of(hole).any())
    assert all(side % 8 == 0 and side <= 64 for side in plan.working)
    total = covered(plan, (height, width))
    assert float(total.max()) <= 1 + 1e-6
    if plan.windows:
        assert torch.allclose(total[hole], torch.tensor(1.0), atol=1e-6)


@given(pictures)
@settings(max_examples=20, deadline=None)
def test_overlapping_windows_of_one_affine_change_add_up_to_it(picture: tuple[int, int, int]) -> None:
    seed, *size = picture
    height, width = size
    occlusion = holes(seed, height, width)
    plan = plan_crops(occlusion, native=(64, 64), cell=8, at_most=99)
    affine = 0.1 + torch.linspace(0, 0.2, height)[:, None] - torch.linspace(0, 0.3, width)
    blended = torch.zeros_like(affine)
    for window in plan.windows:
        window.of(blended).add_(blending(window, plan.windows, (height, width)) * window.of(affine))
    hole = occlusion.any(dim=0).squeeze(0)
    assert plan.windows
    assert torch.allclose(blended[hole], affine[hole], atol=1e-6)


def test_a_window_fades_to_nothing_inside_the_picture_and_not_at_its_frame() -> None:
    window = Window(top=0, left=40, height=64, width=64)
    weight = blending(window, [window], (64, 200))
    assert torch.equal(weight[0], weight[-1])  # the frame above and below
    assert float(weight[:, 0].max()) < 0.15
    assert torch.equal(weight[:, 16:48], torch.ones(64, 32))
    steps = weight[0].diff().abs()
    assert float(steps.max()) < 0.3


def test_wide_holes_are_seen_from_farther_away_than_narrow_ones() -> None:
    narrow = torch.zeros((1, 1, 200, 400), dtype=torch.bool)
    wide = narrow.clone()
    narrow[..., 50:150, 100:104] = True
    wide[..., 50:150, 100:150] = True
    by_narrow, by_wide = (plan_crops(hole, native=(64, 64), cell=8, at_most=99).windows for hole in (narrow, wide))
    assert {window.width for window in by_narrow} == {64}
    assert {window.width for window in by_wide} == {100}


def test_no_windows_without_holes_or_where_nothing_is_gained() -> None:
    nothing = torch.zeros((1, 1, 200, 400), dtype=torch.bool)
    assert plan_crops(nothing, native=(64, 64), cell=8, at_most=99).windows == ()
    everywhere = ~nothing
    assert plan_crops(everywhere, native=(64, 64), cell=8, at_most=99).windows == ()  # wider than half the picture
    own_size = torch.zeros((1, 1, 64, 64), dtype=torch.bool)
    own_size[..., 20:22] = True
    assert plan_crops(own_size, native=(64, 64), cell=8, at_most=99).windows == ()


def test_the_left_s_window_shows_what_the_right_s_does() -> None:
    disparity = Disparity.from_pixels(torch.full((1, 1, 40, 100), 12.0))
    window = Window(top=8, left=30, height=16, width=20)
    assert window_beside(window, disparity) == replace(window, left=42)
    assert window_beside(window, disparity, 0.5) == replace(window, left=36)
    assert window_beside(window, disparity, -1.0) == replace(window, left=18)
    at_the_frame = replace(window, left=78)
    assert window_beside(at_the_frame, disparity) == replace(window, left=80)


def run(backbone: StableDiffusion, photo: Tensor, disparity: Tensor, config: Settings) -> list[Progress]:
    return list(Run(photo_pair(backbone, photo, Disparity.from_pixels(disparity), settings=config)))


def pair_of(backbone: StableDiffusion, photo: Tensor, disparity: Tensor, config: Settings) -> StereoPair:
    return Run(photo_pair(backbone, photo, Disparity.from_pixels(disparity), settings=config)).result


def test_crops_change_the_occlusions_and_nothing_else(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    without = pair_of(text_backbone, photo, disparity_px, BEST)
    pair = pair_of(text_backbone, photo, disparity_px, BEST.changed({"picture.crops": 9}))
    assert torch.equal(pair.left, photo)
    assert torch.equal(pair.occlusion, without.occlusion)
    hole = pair.occlusion.expand_as(photo)
    # A border that is mixed of two surfaces may show some of what is behind it: by less than a half.
    changed = (pair.right - without.right).abs()
    assert float(changed[hole].max()) > 1e-3
    beside = torch.nn.functional.max_pool2d(pair.occlusion.float(), 5, 1, 2).bool().expand_as(photo)
    assert float(changed[~beside].max()) == 0
    hard = [
        pair_of(text_backbone, photo, disparity_px, BEST.changed({"warp.borders": "hard", "picture.crops": crops}))
        for crops in (0, 9)
    ]
    seen = ~hard[0].occlusion.expand_as(photo)
    assert torch.equal(hard[0].right[seen], hard[1].right[seen])


def test_each_crop_costs_what_a_photo_costs(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    alone = sum(step.evaluations for step in run(text_backbone, photo, disparity_px, BEST))
    steps = run(text_backbone, photo, disparity_px, BEST.changed({"picture.crops": 9}))
    crops = [step for step in steps if step.stage == "crops"]
    assert 1 < len(crops) <= 9
    assert [(step.step, step.steps, step.evaluations) for step in crops] == [
        (number, len(crops), alone) for number in range(1, len(crops) + 1)
    ]
    assert sum(step.evaluations for step in steps) == alone * (1 + len(crops))


def view_at(backbone: StableDiffusion, photo: Tensor, disparity: Tensor, config: Settings, position: float) -> View:
    recording = photo_source(backbone, photo, Disparity.from_pixels(disparity), Prompted(prompts=[""]), config)
    (view,) = ViewRun(views_beside(recording, [position]), [position])
    return view


def test_crops_of_a_view_to_the_left_change_its_occlusions_and_nothing_else(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    hard = BEST.changed({"warp.borders": "hard"})
    without, cropped = (
        view_at(text_backbone, photo, disparity_px, hard.changed({"picture.crops": crops}), -1.0) for crops in (0, 9)
    )
    assert torch.equal(cropped.occlusion, without.occlusion)
    hole, changed = cropped.occlusion.expand_as(photo), (cropped.picture - without.picture).abs()
    assert float(changed[hole].max()) > 1e-3
    assert float(changed[~hole].max()) == 0


@pytest.mark.parametrize("wall", [4.0, 40.0])
def test_half_a_baseline_with_crops_is_half_the_disparity_with_crops(
    text_backbone: StableDiffusion, photo: Tensor, wall: float
) -> None:
    """Of a wall so near, too, that the windows of both views lie some cells apart."""
    pixels = torch.full((96, 160), wall)
    pixels[30:60, 60:100] = wall + 28
    config = BEST.changed({"picture.crops": 9, "parallax.convergence": 0.0})
    half_way = view_at(text_backbone, photo, pixels, config, 0.5)
    half_as_deep = view_at(text_backbone, photo, pixels / 2, config, 1.0)
    assert torch.equal(half_way.picture, half_as_deep.picture)
    assert not torch.equal(
        half_way.picture, view_at(text_backbone, photo, pixels, config.changed({"picture.crops": 0}), 0.5).picture
    )


def test_a_photo_of_the_model_s_size_has_no_crops(text_backbone: StableDiffusion) -> None:
    photo = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    pixels = torch.ones((64, 64))
    pixels[20:40, 20:40] = 9.0
    whole, cropped = (
        pair_of(text_backbone, photo, pixels, BEST.changed({"picture.crops": crops})) for crops in (0, 99)
    )
    assert bool(whole.occlusion.any())
    assert torch.equal(whole.right, cropped.right)


def test_crops_need_a_picture_whose_pixels_are_moved() -> None:
    with pytest.raises(ConfigError, match="there is no 'crops' in picture"):
        preset("fast", "photo").changed({"picture.crops": 4})
    with pytest.raises(ConfigError, match=r"picture\.crops needs views\.resync\.how pixels, .* got 'copy'"):
        preset("fast", "photo").changed({"picture": "own-pixels", "picture.crops": 4})
    with pytest.raises(ConfigError, match="at least 0"):
        BEST.changed({"picture.crops": -1})
