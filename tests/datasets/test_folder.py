"""Any folder of left, right and disparity."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.datasets import trees

from stereodiffusion.datasets import open_folder
from stereodiffusion.errors import DatasetError
from stereodiffusion.formats import write_map
from stereodiffusion.geometry import Disparity


def write_pair(place: Path, stem: str) -> None:
    trees.write_views(place / "left" / f"{stem}.png", place / "right" / f"{stem}.png")


def test_pictures_alone_are_pairs(tmp_path: Path) -> None:
    write_pair(tmp_path, "b")
    write_pair(tmp_path, "a.1")
    data = open_folder(tmp_path)
    assert data.scenes == ("a.1", "b")
    assert data.read("a.1").disparity is None


@pytest.mark.parametrize("suffix", [".pfm", ".npy", ".tif", ".png"])
def test_maps_as_this_package_writes_them_come_back(tmp_path: Path, suffix: str) -> None:
    write_pair(tmp_path / "kitchen", "07")
    values = torch.from_numpy(trees.disparity())
    for part in ("disparity", "right_disparity"):
        (tmp_path / "kitchen" / part).mkdir()
        known = values.isfinite()
        write_map(tmp_path / "kitchen" / part / f"07{suffix}", Disparity.from_pixels(values, known=known))
    sample = open_folder(tmp_path).read("kitchen/07")
    assert sample.name == "kitchen/07"
    trees.check(sample)
    assert sample.right_disparity is not None
    assert sample.disparity is not None
    assert torch.equal(sample.right_disparity.pixels, sample.disparity.pixels)


def test_kinds_of_pictures_may_differ(tmp_path: Path) -> None:
    left, right = (Image.fromarray(levels) for levels in trees.views())
    for part, picture, name in (("left", left, "x.bmp"), ("right", right, "x.TIFF")):
        (tmp_path / part).mkdir()
        picture.save(tmp_path / part / name)
    (tmp_path / "left" / "Thumbs.db").write_bytes(b"no picture")
    trees.write_pfm(tmp_path / "disparity" / "x.pfm")
    data = open_folder(tmp_path)
    assert data.scenes == ("x",)
    trees.check(data.read("x"))


def test_eight_bits_need_a_scale(tmp_path: Path) -> None:
    write_pair(tmp_path, "x")
    trees.write_levels(tmp_path / "disparity" / "x.png", 5)
    with pytest.raises(DatasetError, match=r"disparity/x\.png: a map of 8-bit integers needs scale"):
        open_folder(tmp_path).read("x")
    trees.check(open_folder(tmp_path, scale=5).read("x"))
    trees.write_levels(tmp_path / "disparity" / "x.png", 16, bits=16)
    trees.check(open_folder(tmp_path, scale=16).read("x"))


@pytest.mark.parametrize("lost", ["left", "right", "disparity"])
def test_a_file_that_is_missing_is_named_and_the_others_are_read(tmp_path: Path, lost: str) -> None:
    for stem in ("x", "y"):
        write_pair(tmp_path, stem)
        trees.write_pfm(tmp_path / "disparity" / f"{stem}.pfm")
    next((tmp_path / lost).glob("x.*")).unlink()
    data = open_folder(tmp_path)
    assert data.scenes == ("x", "y")
    with pytest.raises(DatasetError, match=rf"{lost}/x: no such file"):
        data.read("x")
    trees.check(data.read("y"))


def test_eyes_of_different_size_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "x")
    trees.write(tmp_path / "right" / "x.png", np.zeros((13, 20, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"right/x\.png: expected 12 x 20 like x\.png, got 13 x 20"):
        open_folder(tmp_path).read("x")


def test_a_folder_says_its_scale(tmp_path: Path) -> None:
    write_pair(tmp_path, "x")
    trees.write_levels(tmp_path / "disparity" / "x.png", 5)
    (tmp_path / "scale.txt").write_text("5\n")
    trees.check(open_folder(tmp_path).read("x"))
    for wrong in ("0", "five", "nan"):
        (tmp_path / "scale.txt").write_text(wrong)
        with pytest.raises(DatasetError, match=r"scale\.txt: expected a number above 0"):
            open_folder(tmp_path).read("x")
