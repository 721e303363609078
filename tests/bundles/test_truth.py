"""What a bundle says is true: pictures, disparity, occlusion and cameras of both eyes are one geometry."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.bundles.making import planes

from stereodiffusion.bundles import annotate, annotate_all, camera_of
from stereodiffusion.bundles.measuring import measure, summarise
from stereodiffusion.bundles.scenes import annotated_scenes
from stereodiffusion.datasets.scenes import render, sample_scene
from stereodiffusion.errors import FormatError
from stereodiffusion.formats import write_map
from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.request import DepthRequest
from stereodiffusion.request.inputs import MapFile
from stereodiffusion.synthesis.inputs import disparity_of
from stereodiffusion.synthesis.parallax import effective


@pytest.mark.parametrize("seed", range(6))
def test_whole_disparities_of_planes_are_exact_in_every_pixel(seed: int) -> None:
    truth = planes(seed)
    found = annotate(truth.pair(), "planes")
    right = found.right_disparity
    assert np.array_equal(np.where(right.known[0, 0], right.pixels[0, 0], -1), truth.right_disparity)
    assert np.array_equal(found.occlusion[0, 0], truth.right_disparity < 0)
    assert np.array_equal(found.left_occlusion[0, 0], truth.left_occlusion)
    # The left picture moved by its map is the right one, to the bit, and the maps agree where both eyes see.
    rows, columns = np.nonzero(~truth.left_occlusion)
    there = columns - found.disparity.pixels[0, 0].long().numpy()[rows, columns]
    assert len(rows) > 800
    assert np.array_equal(found.left.numpy()[0][:, rows, columns], found.right.numpy()[0][:, rows, there])
    assert np.array_equal(right.pixels.numpy()[0, 0][rows, there], truth.disparity[rows, columns])
    assert measure(found)["correspondence"] == {"within_a_level": 1.0, "mean_levels": 0.0}


def test_what_is_measured_is_of_the_pair_and_of_all() -> None:
    truth = [planes(seed) for seed in (0, 1)]
    each = [measure(annotate(one.pair(), "planes")) for one in truth]
    for one, found in zip(truth, each, strict=True):
        values, counts = np.unique(one.disparity, return_counts=True)
        assert found["histogram"] == {str(value): count for value, count in zip(values, counts, strict=True)}
        assert found["occluded"]["left"] == pytest.approx(one.left_occlusion.mean(), abs=1e-5)
        assert found["occluded"]["right"] == pytest.approx((one.right_disparity < 0).mean(), abs=1e-5)
        assert (found["disparity"]["least_px"], found["disparity"]["largest_px"]) == (1, 11)
    both = summarise(each)
    assert sum(both["histogram"].values()) == 2 * truth[0].disparity.size
    assert both["mean"]["occluded.left"] == pytest.approx(
        np.mean([one.left_occlusion.mean() for one in truth]), abs=1e-5
    )
    # A picture that does not fit is told of.
    wrong = planes(0).pair()
    wrong = StereoPair(left=wrong.left, right=1 - wrong.right, disparity=wrong.disparity, occlusion=wrong.occlusion)
    assert measure(annotate(wrong, "wrong"))["correspondence"]["within_a_level"] < 0.05


def test_depth_of_a_scene_is_what_its_calibration_says() -> None:
    """Depth = baseline * focal / (disparity + doffs), and rays through the principal point meet the scene's points."""
    seed = 7
    (pair,) = annotated_scenes(seed, (48, 64), [1.0])
    rendered = render(sample_scene(seed), (48, 64))
    assert pair.calibration is not None
    depth = pair.calibration.rig.depth(pair.disparity)[0, 0].numpy()
    assert np.allclose(depth, rendered.left.depth_m, rtol=1e-5)
    rows, columns = np.nonzero(rendered.left.toy == -1)
    x, y = pair.calibration.centre_px
    below = (rows - y) * depth[rows, columns] / pair.calibration.rig.focal_px
    floor = np.isfinite(below) & (below > 0.8)
    assert floor.sum() > 100
    assert np.allclose(
        below[floor], sample_scene(seed).rig.height_m, atol=1e-4
    )  # the floor is level, the eyes above it
    assert x == 31.5


def test_eyes_further_away_see_the_same_scene_with_more_parallax() -> None:
    half, one, two = annotated_scenes(3, (48, 64), [0.5, 1.0, 2.0])
    assert torch.equal(half.left, one.left)
    assert torch.equal(one.left, two.left)
    torch.testing.assert_close(2 * half.disparity.pixels, one.disparity.pixels)
    torch.testing.assert_close(2 * one.disparity.pixels, two.disparity.pixels)
    assert not torch.equal(one.right, two.right)
    assert bool((half.left_occlusion <= one.left_occlusion).float().mean() > 0.99)
    assert [each.calibration.rig.baseline_m for each in (half, one, two) if each.calibration] == [0.0325, 0.065, 0.13]
    for pair in (half, one, two):  # of every eye: the two maps agree where both see
        height, width = pair.size
        at = torch.arange(width) - pair.disparity.pixels[0, 0]
        nearest = at.round().long().clamp(0, width - 1)
        other = pair.right_disparity.pixels[0, 0].gather(1, nearest)
        seen = ~pair.left_occlusion[0, 0] & (at > 0)
        error = (other - pair.disparity.pixels[0, 0]).abs()[seen]
        assert float((error < 0.3).float().mean()) > 0.97
        assert int(seen.sum()) > height * width / 2


@pytest.mark.parametrize("convergence", [0.0, 0.02])
@pytest.mark.parametrize("camera", [{"fov_degrees": 60.0}, {"focal_px": 80.0}])
def test_cameras_that_a_request_says_give_the_depth_that_it_handed_in(
    convergence: float, camera: dict[str, float], tmp_path: Path
) -> None:
    depth_m = torch.full((24, 64), 2.0)
    depth_m[12:] = 5.0
    path = tmp_path / "depth.pfm"
    write_map(path, Disparity.from_pixels(depth_m))
    request = DepthRequest(
        map=MapFile(path=str(path), kind="depth-m", baseline_m=0.1, **camera),  # pyright: ignore[reportArgumentType]
        prompt="a ball",
        changes={"parallax.convergence": convergence} if convergence else {},
    )
    disparity = disparity_of(request, [])
    assert disparity is not None
    settings = request.settings()
    disparity = effective(disparity.resize(48, 128), settings.parallax)
    grey = torch.full((1, 3, 48, 128), 0.5)
    resolved = {"settings": settings.plain()}
    pair = StereoPair(
        left=grey, right=grey, disparity=disparity, occlusion=~disparity.known, provenance={"resolved": resolved}
    )
    rig = camera_of(request, pair)
    assert rig is not None
    assert rig.doffs_px == pytest.approx(convergence * 128)
    back = rig.depth(disparity)[0, 0]
    torch.testing.assert_close(back[:20], torch.full((20, 128), 2.0))
    torch.testing.assert_close(back[28:], torch.full((20, 128), 5.0))
    # Relief that was scaled afterwards has no such cameras.
    assert camera_of(request.changed({"parallax.curve": [0.0, 0.7, 1.0]}), pair) is None


def test_a_batch_is_taken_apart() -> None:
    one = planes(0).pair()
    both = StereoPair(
        left=one.left.repeat(2, 1, 1, 1),
        right=one.right.repeat(2, 1, 1, 1),
        disparity=Disparity(
            pixels=one.disparity.pixels.repeat(2, 1, 1, 1), known=one.disparity.known.repeat(2, 1, 1, 1)
        ),
        occlusion=one.occlusion.repeat(2, 1, 1, 1),
        provenance={"request": {"prompt": ["a", "b"]}},
    )
    assert [(each.name, each.caption) for each in annotate_all(both, "x")] == [("x-0", "a"), ("x-1", "b")]
    with pytest.raises(FormatError, match="one pair at a time, got a batch of 2"):
        annotate(both, "x")
