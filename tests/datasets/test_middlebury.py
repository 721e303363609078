"""Middlebury's layouts and scales, on small trees of every kind that is published."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.datasets import trees

from stereodiffusion.datasets import StereoSample, open_middlebury
from stereodiffusion.errors import DatasetError
from stereodiffusion.formats.maps.pfm import encode_pfm


def write_stepped(folder: Path, scale: int, size: tuple[int, int] = trees.SIZE, *, netpbm: bool = False) -> None:
    """2001 and 2003."""
    colour, grey = (".ppm", ".pgm") if netpbm else (".png", ".png")
    trees.write_views(folder / f"im2{colour}", folder / f"im6{colour}", size)
    trees.write_levels(folder / f"disp2{grey}", scale, size=size)
    trees.write_levels(folder / f"disp6{grey}", scale, size=size)


def write_views(folder: Path, scale: int, size: tuple[int, int] = trees.SIZE) -> None:
    """2005 and 2006."""
    trees.write_views(folder / "view1.png", folder / "view5.png", size)
    trees.write_levels(folder / "disp1.png", scale, size=size)
    trees.write_levels(folder / "disp5.png", scale, size=size)
    (folder / "dmin.txt").write_text("211\n")


def write_floats(folder: Path, *, truth: str = "disp0.pfm") -> None:
    """2014 and later."""
    trees.write_views(folder / "im0.png", folder / "im1.png")
    trees.write_pfm(folder / truth)


def read_only(root: Path) -> StereoSample:
    data = open_middlebury(root)
    assert len(data) == 1
    return data.read(data.scenes[0])


@pytest.mark.parametrize(("rows", "scale"), [(380, 8), (383, 8), (375, 4), (750, 2), (1500, 1)])
@pytest.mark.parametrize("netpbm", [False, True])
def test_of_2001_and_2003_the_size_tells_the_scale(tmp_path: Path, rows: int, scale: int, netpbm: bool) -> None:
    write_stepped(tmp_path / "anything" / "scene", scale, (rows, 20), netpbm=netpbm)
    trees.check(read_only(tmp_path), (rows, 20))


@pytest.mark.parametrize(("rows", "scale"), [(370, 3), (555, 2), (1110, 1)])
def test_of_2005_and_2006_the_size_tells_the_scale(tmp_path: Path, rows: int, scale: int) -> None:
    write_views(tmp_path / "scene", scale, (rows, 20))
    trees.check(read_only(tmp_path), (rows, 20))


@pytest.mark.parametrize(
    ("folder", "scale"),
    [("FullSize/Aloe", 1), ("2005/HalfSize/Art", 2), ("ThirdSize/zip/Art", 3), ("FullSize/old/HalfSize/Art", 2)],
)
def test_of_another_size_the_innermost_folder_that_is_named_for_one_tells(
    tmp_path: Path, folder: str, scale: int
) -> None:
    write_views(tmp_path / folder, scale)
    trees.check(read_only(tmp_path))


@pytest.mark.parametrize(("folder", "scale"), [("2001/venus", 8), ("scenes2003/cones", 4), ("2003/FullSize/cones", 1)])
def test_of_another_size_the_year_tells(tmp_path: Path, folder: str, scale: int) -> None:
    write_stepped(tmp_path / folder, scale)
    trees.check(read_only(tmp_path))


def test_no_scale_is_guessed(tmp_path: Path) -> None:
    write_views(tmp_path / "2006" / "Aloe", 3)
    with pytest.raises(DatasetError, match=r"Aloe/disp1\.png: expected a published size, 370, 555, 1110 rows.*12 rows"):
        read_only(tmp_path)


@pytest.mark.parametrize(
    ("folder", "truth"),
    [
        ("2014/Adirondack-perfect", "disp0.pfm"),
        ("Adirondack-imperfect", "disp0.pfm"),
        ("2021/data/artroom1", "disp0.pfm"),
        ("MiddEval3/trainingQ/ArtL", "disp0GT.pfm"),
    ],
)
def test_pixels_of_a_pfm_need_no_scale_and_calib_no_reading(tmp_path: Path, folder: str, truth: str) -> None:
    write_floats(tmp_path / folder, truth=truth)
    trees.write_pfm(tmp_path / folder / "disp0-sd.pfm")
    trees.write_views(tmp_path / folder / "ambient/L1/im0.png", tmp_path / folder / "ambient/L1/im1.png")
    without = read_only(tmp_path)
    trees.check(without)
    assert without.right_disparity is None
    assert without.name == folder
    (tmp_path / folder / "calib.txt").write_text("no calibration")
    trees.write_pfm(tmp_path / folder / "disp1.pfm")
    found = read_only(tmp_path)
    trees.check(found)
    assert found.right_disparity is not None
    assert torch.equal(found.right_disparity.pixels, trees_pixels())


def trees_pixels() -> torch.Tensor:
    pixels = trees.disparity()
    return torch.from_numpy(np.where(np.isfinite(pixels), pixels, 0))[None, None]


def test_all_years_below_a_folder_are_found_in_order(tmp_path: Path) -> None:
    write_floats(tmp_path / "2014" / "Vintage-perfect")
    write_views(tmp_path / "2006" / "Aloe", 3, (370, 20))
    write_views(tmp_path / "2005" / "Art", 3, (370, 20))
    write_stepped(tmp_path / "2001" / "venus", 8)
    write_floats(tmp_path / ".trash" / "Old")
    data = open_middlebury(tmp_path)
    assert data.scenes == ("2001/venus", "2005/Art", "2006/Aloe", "2014/Vintage-perfect")
    assert [data.read(scene).name for scene in data.scenes] == list(data.scenes)
    assert open_middlebury(tmp_path / "2001" / "venus").scenes == (".",)
    assert open_middlebury(tmp_path / "2001" / "venus").read(".").name == "venus"


def test_of_nine_views_the_published_pair_is_read(tmp_path: Path) -> None:
    write_stepped(tmp_path / "2003" / "cones", 4)
    for other in (0, 1, 3, 4, 5, 7, 8):
        trees.write(tmp_path / "2003" / "cones" / f"im{other}.png", np.zeros((*trees.SIZE, 3), np.uint8))
    trees.check(read_only(tmp_path))


@pytest.mark.parametrize("lost", ["view1.png", "view5.png", "disp1.png"])
def test_a_file_that_is_missing_is_named_and_the_others_are_read(tmp_path: Path, lost: str) -> None:
    for scene in ("Art", "Books"):
        write_views(tmp_path / "ThirdSize" / scene, 3)
    (tmp_path / "ThirdSize" / "Art" / lost).unlink()
    data = open_middlebury(tmp_path)
    assert data.scenes == ("ThirdSize/Art", "ThirdSize/Books")
    with pytest.raises(DatasetError, match=rf"ThirdSize/Art/{lost}: no such file$"):
        data.read("ThirdSize/Art")
    trees.check(data.read("ThirdSize/Books"))


@pytest.mark.parametrize("cut", ["view1.png", "view5.png", "disp1.png", "disp5.png"])
@pytest.mark.parametrize("left_over", [0, 30, -60])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, cut: str, left_over: int) -> None:
    write_views(tmp_path / "ThirdSize" / "Art", 3)
    path = tmp_path / "ThirdSize" / "Art" / cut
    path.write_bytes(path.read_bytes()[:left_over])
    with pytest.raises(DatasetError, match=rf"Art/{cut}: "):
        read_only(tmp_path)


@pytest.mark.parametrize("cut", ["im0.png", "disp0.pfm"])
def test_a_cut_off_pfm_is_named(tmp_path: Path, cut: str) -> None:
    write_floats(tmp_path / "Piano-perfect")
    path = tmp_path / "Piano-perfect" / cut
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DatasetError, match=rf"Piano-perfect/{cut}: "):
        read_only(tmp_path)


def test_a_map_of_another_size_is_refused(tmp_path: Path) -> None:
    write_floats(tmp_path / "Piano-perfect")
    trees.write_pfm(tmp_path / "Piano-perfect" / "disp1.pfm", (12, 21))
    with pytest.raises(DatasetError, match=r"disp1\.pfm: expected 12 x 20 like im0\.png, got 12 x 21"):
        read_only(tmp_path)


def test_disparity_is_missing_only_where_it_is_published(tmp_path: Path) -> None:
    for scene in ("2014/Piano-perfect", "2021/chess1", "MiddEval3/testQ/Plants"):
        write_floats(tmp_path / scene)
        (tmp_path / scene / "disp0.pfm").unlink()
    data = open_middlebury(tmp_path)
    assert data.read("2021/chess1").disparity is None
    assert data.read("MiddEval3/testQ/Plants").disparity is None
    with pytest.raises(DatasetError, match=r"Piano-perfect/disp0\.pfm: no such file"):
        data.read("2014/Piano-perfect")
    write_views(tmp_path / "FullSize" / "Dwarves", 1)
    for name in ("disp1.png", "disp5.png"):
        (tmp_path / "FullSize" / "Dwarves" / name).unlink()
    assert open_middlebury(tmp_path).read("FullSize/Dwarves").disparity is None


@pytest.mark.parametrize("written", [0.0, -1.0, float("nan")])
def test_what_is_not_above_zero_is_unknown_in_a_pfm(tmp_path: Path, written: float) -> None:
    scene = tmp_path / "Scene-perfect"
    trees.write_views(scene / "im0.png", scene / "im1.png")
    holes = np.where(np.isinf(trees.disparity()), written, trees.disparity()).astype(np.float32)
    (scene / "disp0.pfm").write_bytes(encode_pfm(holes))
    trees.check(open_middlebury(tmp_path).read("Scene-perfect"))
