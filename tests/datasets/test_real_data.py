"""The readers on the published data: counts, scales, and pictures that agree with their maps."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from stereodiffusion.datasets import StereoSample, open_dataset
from stereodiffusion.errors import DatasetError
from stereodiffusion.geometry import splat

DATA = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"left out: no stereo photographs at {DATA} (set STEREO_DATA to where they are)"
    ),
]

LEVELS_PER_PIXEL = {"2001": 8, "2003": 4, "2005": 3, "2006": 3}


def scenes_of(name: str, folder: str) -> list[str]:
    return list(open_dataset(name, DATA / folder).scenes) if (DATA / folder).is_dir() else []


def agreement(sample: StereoSample, *factors: float) -> list[float]:
    """Correlation of fine detail at points both eyes see, were the disparity these factors times what is said."""
    assert sample.disparity is not None
    left, right = detail(sample.left), detail(sample.right)
    rows, columns = sample.disparity.known[0, 0].nonzero()[::7].T
    d = sample.disparity.pixels[0, 0, rows, columns]
    found: list[float] = []
    for factor in factors:
        reached = columns - (factor * d).round().long()
        inside = (reached >= 0) & (reached < left.shape[-1])
        seen_left, seen_right = (
            view[:, rows[inside], at[inside]].flatten() for view, at in ((left, columns), (right, reached))
        )
        found.append(float(torch.corrcoef(torch.stack([seen_left, seen_right]))[0, 1]))
    return found


def assert_disparity_is_right(sample: StereoSample) -> None:
    said, *others = agreement(sample, 1, -1, 0, 0.8, 1.2, 2)
    assert said > 0.25 + max(others)


def detail(view: Tensor) -> Tensor:
    """What a blur of nine pixels takes away, (3, h, w); the eyes may be of different brightness."""
    return (view - avg_pool2d(view, 9, 1, 4, count_include_pad=False))[0]


def quality(a: Tensor, b: Tensor, where: Tensor) -> float:
    return float(-10 * ((a - b) ** 2)[where.expand_as(a)].mean().log10())


@pytest.mark.parametrize("scene", scenes_of("middlebury", "middlebury"))
def test_middlebury(scene: str) -> None:
    sample = open_dataset("middlebury", DATA / "middlebury").read(scene)
    if scene.startswith("2021"):
        assert sample.disparity is None
        return
    assert sample.disparity is not None
    assert sample.right_disparity is not None
    assert_disparity_is_right(sample)
    if (levels := LEVELS_PER_PIXEL.get(scene[:4])) is not None:
        stored = sample.disparity.pixels * levels
        assert torch.equal(stored, stored.round())
        assert float(stored.max()) <= 255
    warped = splat(sample.left, sample.disparity)
    back = splat(sample.right, sample.right_disparity, to="left")
    assert quality(warped.view, sample.right, warped.visible) > 20
    assert quality(back.view, sample.left, back.visible) > 20


@pytest.mark.parametrize("scene", scenes_of("kitti", "kitti"))
def test_kitti(scene: str) -> None:
    sample = open_dataset("kitti", DATA / "kitti").read(scene)
    assert sample.disparity is not None
    assert 0.1 < float(sample.disparity.known.float().mean()) < 0.35
    assert_disparity_is_right(sample)


def test_all_years_are_found() -> None:
    scenes = open_dataset("auto", DATA / "middlebury").scenes
    years = {scene.split("/")[0] for scene in scenes}
    assert years == {path.name for path in (DATA / "middlebury").iterdir() if path.is_dir()}
    assert len(scenes) == sum(1 for year in years for path in (DATA / "middlebury" / year).iterdir() if path.is_dir())
    kitti = open_dataset("auto", DATA / "kitti").scenes
    assert len(kitti) == len(list((DATA / "kitti").glob("*/training/disp_occ*/*_10.png")))


@pytest.mark.parametrize("lost", ["im6.png", "disp2.png"])
def test_a_download_that_broke_off_is_named(tmp_path: Path, lost: str) -> None:
    shutil.copytree(DATA / "middlebury" / "2003", tmp_path / "2003")
    scene = sorted(path.name for path in (tmp_path / "2003").iterdir())[0]
    whole = (tmp_path / "2003" / scene / lost).read_bytes()
    (tmp_path / "2003" / scene / lost).write_bytes(whole[: len(whole) // 2])
    data = open_dataset("middlebury", tmp_path)
    with pytest.raises(DatasetError, match=rf"{scene}/{lost}: the file is damaged or truncated"):
        data.read(f"2003/{scene}")
    assert data.read(data.scenes[1]).disparity is not None
