"""The procedural scenes as a data set: what is promised holds between its parts."""

import pytest
import torch

from stereodiffusion.datasets import StereoSample, open_scenes
from stereodiffusion.geometry import splat, warp_disparity


@pytest.fixture(scope="module", params=[3, 4, 11])
def sample(request: pytest.FixtureRequest) -> StereoSample:
    data = open_scenes(12, size=(96, 128))
    return data.read(data.scenes[request.param])


def test_seed_count_and_size() -> None:
    data = open_scenes(3, seed=41, size=(24, 40))
    assert data.scenes == ("000041", "000042", "000043")
    again = open_scenes(1, seed=42, size=(24, 40)).read("000042")
    assert torch.equal(data.read("000042").right, again.right)
    assert not torch.equal(data.read("000041").right, again.right)
    assert tuple(again.left.shape) == (1, 3, 24, 40)
    assert data.read("000041").caption != again.caption != ""


def test_the_left_warped_is_the_right_where_the_left_sees_it(sample: StereoSample) -> None:
    assert sample.disparity is not None
    assert sample.occlusion is not None
    warped = splat(sample.left, sample.disparity)
    seen = warped.visible & ~sample.occlusion
    difference = (warped.view - sample.right).abs().mean(dim=1, keepdim=True)
    assert float(difference[seen].median()) < 0.005
    assert float(difference[seen].mean()) < 0.2 * float((sample.left - sample.right).abs().mean())


def test_the_maps_of_both_eyes_are_one_surface(sample: StereoSample) -> None:
    assert sample.disparity is not None
    assert sample.right_disparity is not None
    assert sample.occlusion is not None
    moved = warp_disparity(sample.disparity)
    seen = moved.known & ~sample.occlusion
    error = (moved.pixels - sample.right_disparity.pixels).abs()[seen]
    assert float(error.median()) < 1e-3
    assert float((error > 0.5).float().mean()) < 0.02


def test_occlusion_is_what_the_warped_left_leaves_open(sample: StereoSample) -> None:
    assert sample.disparity is not None
    assert sample.occlusion is not None
    left_open = splat(sample.left, sample.disparity).occlusion
    both = (left_open & sample.occlusion).sum()
    either = (left_open | sample.occlusion).sum()
    assert int(either) > 50
    assert float(both / either) > 0.6
