"""KITTI's layouts, on small trees."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.datasets import trees

from stereodiffusion.datasets import open_kitti
from stereodiffusion.errors import DatasetError


def write_frame(part: Path, frame: str, left: str, right: str, truth: str | None) -> None:
    trees.write_views(part / left / f"{frame}.png", part / right / f"{frame}.png")
    if truth is not None:
        trees.write_levels(part / truth / f"{frame}.png", 256, bits=16)


def test_2015(tmp_path: Path) -> None:
    part = tmp_path / "data_scene_flow" / "training"
    for frame in ("000000_10", "000001_10"):
        write_frame(part, frame, "image_2", "image_3", "disp_occ_0")
    write_frame(part, "000000_11", "image_2", "image_3", "disp_occ_1")
    data = open_kitti(tmp_path)
    assert data.scenes == ("data_scene_flow/training/000000_10", "data_scene_flow/training/000001_10")
    sample = data.read(data.scenes[1])
    trees.check(sample)
    assert sample.name == data.scenes[1]
    assert sample.right_disparity is None
    assert open_kitti(part).scenes == ("000000_10", "000001_10")
    trees.check(open_kitti(part).read("000000_10"))


def test_of_2012_colour_is_preferred_to_grey(tmp_path: Path) -> None:
    part = tmp_path / "training"
    write_frame(part, "000003_10", "colored_0", "colored_1", "disp_occ")
    for name in ("image_0", "image_1"):
        trees.write(part / name / "000003_10.png", np.zeros(trees.SIZE, np.uint8))
    trees.check(open_kitti(tmp_path).read("training/000003_10"))


def test_grey_pictures_have_three_equal_channels(tmp_path: Path) -> None:
    part = tmp_path / "training"
    for name, levels in zip(("image_0", "image_1"), trees.views(), strict=True):
        trees.write(part / name / "000003_10.png", levels[..., 0])
    trees.write_levels(part / "disp_occ" / "000003_10.png", 256, bits=16)
    sample = open_kitti(tmp_path).read("training/000003_10")
    left = torch.from_numpy(trees.views()[0][..., 0]) / 255
    assert torch.equal(sample.left, left.expand(1, 3, -1, -1))
    assert sample.disparity is not None
    assert float(sample.disparity.pixels.max()) == trees.SHIFT_PX


def test_fractions_of_pixels_are_kept(tmp_path: Path) -> None:
    write_frame(tmp_path, "000003_10", "image_2", "image_3", None)
    levels = np.full(trees.SIZE, 1000, np.uint16)
    levels[:, ::2] = 0
    trees.write(tmp_path / "disp_occ_0" / "000003_10.png", levels)
    found = open_kitti(tmp_path).read("000003_10").disparity
    assert found is not None
    assert not bool(found.known[..., ::2].any())
    assert torch.equal(found.pixels[..., 1::2], torch.full((1, 1, 12, 10), 1000 / 256))


def test_without_the_occluded_the_visible_alone_serve(tmp_path: Path) -> None:
    write_frame(tmp_path, "000003_10", "image_2", "image_3", "disp_noc_0")
    trees.check(open_kitti(tmp_path).read("000003_10"))


def test_testing_has_no_disparity(tmp_path: Path) -> None:
    write_frame(tmp_path / "training", "000003_10", "image_2", "image_3", "disp_occ_0")
    write_frame(tmp_path / "testing", "000004_10", "image_2", "image_3", None)
    data = open_kitti(tmp_path)
    assert data.scenes == ("testing/000004_10", "training/000003_10")
    assert data.read("testing/000004_10").disparity is None


@pytest.mark.parametrize("lost", ["image_2", "image_3", "disp_occ_0"])
def test_a_file_that_is_missing_is_named_and_the_others_are_read(tmp_path: Path, lost: str) -> None:
    for frame in ("000003_10", "000004_10"):
        write_frame(tmp_path, frame, "image_2", "image_3", "disp_occ_0")
    (tmp_path / lost / "000004_10.png").unlink()
    data = open_kitti(tmp_path)
    assert data.scenes == ("000003_10", "000004_10")
    with pytest.raises(DatasetError, match=rf"{lost}/000004_10\.png: no such file"):
        data.read("000004_10")
    trees.check(data.read("000003_10"))


@pytest.mark.parametrize("cut", ["image_2", "image_3", "disp_occ_0"])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, cut: str) -> None:
    write_frame(tmp_path, "000003_10", "image_2", "image_3", "disp_occ_0")
    path = tmp_path / cut / "000003_10.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DatasetError, match=rf"{cut}/000003_10\.png: "):
        open_kitti(tmp_path).read("000003_10")


def test_a_map_of_false_colours_is_refused(tmp_path: Path) -> None:
    write_frame(tmp_path, "000003_10", "image_2", "image_3", None)
    (tmp_path / "disp_occ_0").mkdir()
    Image.fromarray(trees.views()[0]).save(tmp_path / "disp_occ_0" / "000003_10.png")
    with pytest.raises(DatasetError, match=r"disp_occ_0/000003_10\.png: .*coloured"):
        open_kitti(tmp_path).read("000003_10")


def test_maps_of_eight_bits_are_refused(tmp_path: Path) -> None:
    part = tmp_path / "training"
    write_frame(part, "000000_10", "image_2", "image_3", None)
    trees.write_levels(part / "disp_occ_0" / "000000_10.png", 5)
    with pytest.raises(DatasetError, match=r"000000_10\.png: expected disparity in 16 bits as KITTI has it, got 8"):
        open_kitti(tmp_path).read("training/000000_10")
