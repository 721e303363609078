"""Laws of the procedural scenes: geometry against the pictures, and truth against independent computations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from stereodiffusion.datasets.scenes import (
    COLOURS,
    SHAPES,
    VOCABULARY,
    RenderedPair,
    Rig,
    Scene,
    Toy,
    caption,
    captions,
    render,
    render_disparity,
    render_image,
    sample_scene,
)

seeds = st.integers(0, 2**31 - 1)


def bilinear_rows(image: NDArray[np.float32], columns: NDArray[np.floating]) -> NDArray[np.floating]:
    """``image[row, columns[row, x]]`` with linear interpolation between columns; ``columns`` is (h, w)."""
    width = image.shape[1]
    first = np.clip(np.floor(columns).astype(int), 0, width - 2)
    part = (columns - first)[..., None]
    rows = np.arange(image.shape[0])[:, None]
    return (1 - part) * image[rows, first] + part * image[rows, first + 1]


@pytest.mark.parametrize("seed", range(12))
def test_the_left_view_fetched_by_the_right_disparity_is_the_right_view_where_visible(seed: int) -> None:
    pair = render(sample_scene(seed), (192, 192))
    columns = np.arange(192)[None] + pair.right.disparity  # x_left = x_right + d
    fetched = bilinear_rows(pair.left.image, columns)
    visible = ~pair.right.occluded & (columns <= 191)
    assert visible.mean() > 0.8
    psnr = peak_signal_noise_ratio(pair.right.image[visible], fetched[visible], data_range=1.0)
    unshifted = peak_signal_noise_ratio(pair.right.image[visible], pair.left.image[visible], data_range=1.0)
    assert psnr > 29
    assert psnr > unshifted + 6


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_disparity_is_focal_length_times_baseline_over_depth_and_never_negative(seed: int) -> None:
    pair = render(sample_scene(seed), (48, 64))
    for view in (pair.left, pair.right):
        np.testing.assert_allclose(view.disparity, pair.focal_px * pair.baseline_m / view.depth_m, rtol=1e-5)
        assert view.disparity.min() >= 0
        assert (view.depth_m > 0).all()


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    one, other = (render(sample_scene(seed), (32, 40)) for _ in range(2))
    assert one.left.image.tobytes() == other.left.image.tobytes()
    assert one.right.depth_m.tobytes() == other.right.depth_m.tobytes()
    assert captions(sample_scene(seed)) == captions(sample_scene(seed))


def hidden_by_marching(scene: Scene, pair: RenderedPair, eye_x_m: float, other_x_m: float) -> NDArray[np.bool_]:
    """Is the segment from a seen point to the other eye blocked?  Found by walking along it, solid by solid."""
    view = pair.left if eye_x_m < other_x_m else pair.right
    height, width = view.depth_m.shape
    hidden = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            depth = min(float(view.depth_m[row, column]), 1e4)
            slope_x = ((column + 0.5) / width - 0.5) / scene.rig.focal
            slope_y = (scene.rig.horizon - (row + 0.5) / height) * height / width / scene.rig.focal
            point = np.array([eye_x_m + slope_x * depth, scene.rig.height_m + slope_y * depth, depth])
            eye = np.array([other_x_m, scene.rig.height_m, 0.0])
            near = np.linspace(0.8, min(depth * 0.995, 5.5), 900)[:, None] / depth
            hidden[row, column] = any(inside(toy, eye + near * (point - eye)).any() for toy in scene.toys)
    return hidden


def inside(toy: Toy, points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Membership in the solid, written without the ray equations; shrunk by a hair against self-hits."""
    x, y, z = points[:, 0] - toy.x_m, points[:, 1], points[:, 2] - toy.z_m
    radius, tall = toy.radius_m * 0.995, toy.height_m
    if toy.shape == "ball":
        return x**2 + (y - toy.radius_m) ** 2 + z**2 < radius**2
    within = (y > 0) & (y < tall * 0.995)
    if toy.shape == "cube":
        turned = (x + 1j * z) * np.exp(1j * toy.yaw)
        return within & (np.abs(turned.real) < radius) & (np.abs(turned.imag) < radius)
    limit = radius if toy.shape == "cylinder" else radius * (1 - y / tall)
    return within & (np.hypot(x, z) < limit)


@pytest.mark.parametrize("seed", [2, 5, 9, 14])
def test_occlusion_agrees_with_walking_to_the_other_eye(seed: int) -> None:
    scene = sample_scene(seed, count=2)
    pair = render(scene, (40, 40))
    baseline = scene.rig.baseline_m
    for view, eye, other in ((pair.left, 0.0, baseline), (pair.right, baseline, 0.0)):
        column = np.arange(40)[None] + 0.5 + (view.disparity if eye > other else -view.disparity)
        outside = (column < 0) | (column > 40)
        expected = hidden_by_marching(scene, pair, eye, other) | outside
        assert (view.occluded != expected).mean() < 0.005  # pixels cut by an outline may differ


def test_the_eyes_of_a_rig_without_baseline_see_the_same() -> None:
    pair = render(sample_scene(3, rig=Rig(baseline_m=0.0)), (48, 48))
    np.testing.assert_array_equal(pair.left.image, pair.right.image)
    assert not pair.left.occluded.any()
    assert (pair.left.disparity == 0).all()


def test_disparity_in_pixels_scales_with_the_width_and_depth_does_not() -> None:
    scene = sample_scene(11)
    small, large = render(scene, (64, 64)), render(scene, (320, 320))
    middle = large.left.disparity[2::5, 2::5]  # centres of the small pixels
    np.testing.assert_allclose(5 * small.left.disparity, middle, rtol=1e-4, atol=1e-4)


def test_the_fast_paths_equal_the_full_rendering() -> None:
    scene = sample_scene(8)
    pair = render(scene, (60, 80))
    np.testing.assert_array_equal(render_image(scene, (60, 80), eye="right"), pair.right.image)
    np.testing.assert_array_equal(render_disparity(scene, (60, 80)), pair.left.disparity)


def test_pictures_are_srgb_in_the_unit_range_of_the_asked_size() -> None:
    image = render_image(sample_scene(1), (50, 70))
    assert image.shape == (50, 70, 3)
    assert image.dtype == np.float32
    assert 0 <= image.min() < image.max() <= 1


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_captions_use_the_vocabulary_and_name_every_object(seed: int) -> None:
    scene = sample_scene(seed)
    said = captions(scene)
    assert len(said) == 6
    for words in said:
        assert set(words.replace(",", " ").split()) <= set(VOCABULARY)
        for toy in scene.toys:
            assert toy.colour in words


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_a_mirrored_scene_swaps_left_and_right_in_its_captions(seed: int) -> None:
    scene = sample_scene(seed, count=2)
    plain = caption(scene, np.random.default_rng(0))
    mirrored = caption(scene.mirrored(), np.random.default_rng(0))
    swapped = plain.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")
    assert mirrored == swapped
    assert scene.mirrored().mirrored() == scene


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 3))
def test_objects_stand_apart_and_inside_the_left_view(seed: int, count: int) -> None:
    scene = sample_scene(seed, count=count)
    assert len(scene.toys) == count
    assert [toy.z_m for toy in scene.toys] == sorted(toy.z_m for toy in scene.toys)
    for i, one in enumerate(scene.toys):
        assert abs(scene.rig.focal * one.x_m / one.z_m) < 0.5
        for other in scene.toys[i + 1 :]:
            gap = np.hypot(one.x_m - other.x_m, one.z_m - other.z_m)
            assert gap > one.radius_m + other.radius_m


def test_every_shape_and_colour_is_drawn_and_visible() -> None:
    seen = set()
    for seed in range(300):
        scene = sample_scene(seed, count=1)
        seen.add((scene.toys[0].shape, scene.toys[0].colour))
    assert len(seen) == len(SHAPES) * len(COLOURS)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_nearest_point_of_a_toy_ahead_has_the_depth_of_its_front(shape: str) -> None:
    toy = replace(sample_scene(0, count=1).toys[0], shape=shape, x_m=0.0, z_m=2.0, radius_m=0.3, height_m=0.6, yaw=0.0)
    scene = replace(sample_scene(0, count=1), toys=(toy,))
    view = render(scene, (201, 201)).left
    on_toy = view.depth_m[view.toy == 0]
    assert on_toy.min() == pytest.approx(1.7, abs=0.02)
    assert on_toy.max() < 2.31


def test_wrong_arguments_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match="count must be 1, 2 or 3, got 4"):
        sample_scene(0, count=4)
    with pytest.raises(ValueError, match="non-negative"):
        sample_scene(-1)
    with pytest.raises(ValueError, match="positive"):
        render(sample_scene(0), (0, 10))
