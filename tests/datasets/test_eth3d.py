"""ETH3D's two-view layout, on small trees."""

from pathlib import Path

import numpy as np
import pytest
from tests.datasets import trees

from stereodiffusion.datasets import open_eth3d
from stereodiffusion.errors import DatasetError


def write_scene(folder: Path, truth: Path | None) -> None:
    trees.write_views(folder / "im0.png", folder / "im1.png")
    if truth is not None:
        trees.write_pfm(truth / "disp0GT.pfm")
        trees.write(truth / "mask0nocc.png", np.full(trees.SIZE, 255, np.uint8))


@pytest.mark.parametrize("truth", ["two_view_training", "two_view_training_gt"])
def test_disparity_lies_beside_the_pictures_or_in_its_own_archive(tmp_path: Path, truth: str) -> None:
    write_scene(tmp_path / "two_view_training" / "forest_1s", tmp_path / truth / "forest_1s")
    write_scene(tmp_path / "two_view_testing" / "lakeside_1l", None)
    data = open_eth3d(tmp_path)
    assert data.scenes == ("two_view_testing/lakeside_1l", "two_view_training/forest_1s")
    trees.check(data.read("two_view_training/forest_1s"))
    assert data.read("two_view_testing/lakeside_1l").disparity is None
    inside = open_eth3d(tmp_path / "two_view_training")
    trees.check(inside.read("forest_1s"))
    alone = open_eth3d(tmp_path / "two_view_training" / "forest_1s").read(".")
    trees.check(alone)
    assert alone.name == "forest_1s"


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    for scene in ("forest_1s", "terrains_1l"):
        write_scene(tmp_path / "two_view_training" / scene, tmp_path / "two_view_training_gt" / scene)
    (tmp_path / "two_view_training_gt" / "forest_1s" / "disp0GT.pfm").unlink()
    (tmp_path / "two_view_training" / "terrains_1l" / "im1.png").unlink()
    data = open_eth3d(tmp_path)
    assert len(data) == 2
    with pytest.raises(DatasetError, match=r"two_view_training_gt/forest_1s/disp0GT\.pfm: no such file"):
        data.read(data.scenes[0])
    with pytest.raises(DatasetError, match=r"terrains_1l/im1\.png: no such file"):
        data.read(data.scenes[1])


def test_a_map_that_is_cut_off_is_named(tmp_path: Path) -> None:
    write_scene(tmp_path / "forest_1s", tmp_path / "forest_1s")
    path = tmp_path / "forest_1s" / "disp0GT.pfm"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"forest_1s/disp0GT\.pfm: .* 960 bytes of values, got 959"):
        open_eth3d(tmp_path).read("forest_1s")
