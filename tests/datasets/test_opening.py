"""Data sets by name, and what is recognised."""

import pickle
from pathlib import Path

import pytest
import torch
from tests.datasets import trees

from stereodiffusion.datasets import open_dataset
from stereodiffusion.errors import DatasetError, StereoDiffusionError


def write_kitti(folder: Path) -> None:
    trees.write_views(folder / "image_2" / "000000_10.png", folder / "image_3" / "000000_10.png")
    trees.write_levels(folder / "disp_occ_0" / "000000_10.png", 256, bits=16)


def write_pfm_scene(folder: Path, truth: str) -> None:
    trees.write_views(folder / "im0.png", folder / "im1.png")
    trees.write_pfm(folder / truth)


def write_folder(folder: Path) -> None:
    trees.write_views(folder / "left" / "x.png", folder / "right" / "x.png")
    trees.write_pfm(folder / "disparity" / "x.pfm")


WRITERS = {
    "kitti": lambda root: write_kitti(root / "training"),
    "middlebury": lambda root: write_pfm_scene(root / "Piano-perfect", "disp0.pfm"),
    "eth3d": lambda root: write_pfm_scene(root / "two_view_training" / "forest_1s", "disp0GT.pfm"),
    "folder": lambda root: write_folder(root / "mine"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("said", [True, False])
def test_each_is_opened_by_name_and_recognised_without(tmp_path: Path, name: str, said: bool) -> None:
    WRITERS[name](tmp_path)
    data = open_dataset(name if said else "auto", tmp_path)
    assert data.name == name
    trees.check(data.read(data.scenes[0]))


def test_two_in_one_folder_must_be_told_apart(tmp_path: Path) -> None:
    WRITERS["kitti"](tmp_path)
    WRITERS["middlebury"](tmp_path)
    with pytest.raises(DatasetError, match="middlebury and kitti: say which"):
        open_dataset("auto", tmp_path)
    assert open_dataset("kitti", tmp_path).scenes == ("training/000000_10",)


def test_count_takes_the_first(tmp_path: Path) -> None:
    for scene in "cab":
        write_pfm_scene(tmp_path / scene, "disp0.pfm")
    assert open_dataset("middlebury", tmp_path, count=2).scenes == ("a", "b")
    assert open_dataset("middlebury", tmp_path, count=9).scenes == ("a", "b", "c")


@pytest.mark.parametrize("name", [*WRITERS, "auto"])
def test_a_folder_without_any_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=rf"{tmp_path.name}: no scene of"):
        open_dataset(name, tmp_path)
    with pytest.raises(DatasetError, match="gone: no such folder"):
        open_dataset(name, tmp_path / "gone")
    with pytest.raises(DatasetError, match="needs the folder"):
        open_dataset(name)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(StereoDiffusionError, match="kitti, eth3d, folder, webdataset, scenes, auto, got 'kity'"):
        open_dataset("kity", tmp_path)
    with pytest.raises(ValueError, match="count of at least 1, got 0"):
        open_dataset("scenes", count=0)
    with pytest.raises(DatasetError, match="seed >= 0"):
        open_dataset("scenes", seed=-1)
    with pytest.raises(DatasetError, match=r"expected one of its 2 scenes, got '\.\./x'"):
        open_dataset("scenes", count=2).read("../x")


def test_workers_can_be_sent_a_data_set(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        write(tmp_path / name)
        data = pickle.loads(pickle.dumps(open_dataset(name, tmp_path / name)))
        trees.check(data.read(data.scenes[0]))
    scenes = open_dataset("scenes", count=1, size=(16, 24))
    again = pickle.loads(pickle.dumps(scenes))
    assert torch.equal(again.read("000000").left, scenes.read("000000").left)
