"""Figures from rows and pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.bench.making import row

from stereodiffusion.bench.boards import make_boards, telling_window
from stereodiffusion.bench.drawing import Cell, boxes, difference, grid, painted_from, with_close_up
from stereodiffusion.bench.figures import write_figures
from stereodiffusion.bench.results import Row, scene_folder, writing
from stereodiffusion.errors import BenchmarkError

FACTS = {"width": 64.0, "nearest_px": 8.0}


def fill(folder: Path, *rows: Row) -> None:
    """A folder of results with these rows, and a picture of one colour for each."""
    with writing(folder) as writer:
        for number, one in enumerate(rows):
            writer.append(one)
            views = folder / scene_folder(one.job.dataset, one.job.scene)
            for path, level in (
                (folder / one.job.picture, 20 * number),
                (views / f"left-{one.job.settings['size']}.png", 100),
                (views / f"right-{one.job.settings['size']}.png", 120),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (64, 64), (level % 256,) * 3).save(path)


def scored(method: str, scene: str, ssim: float, settings: dict[str, object] | None = None) -> Row:
    return row(method, scene, settings={"size": "64"} | (settings or {}), facts=FACTS, psnr=20.0, ssim=ssim)


def test_the_worst_the_average_and_the_best_scene() -> None:
    rows = [scored("telea", scene, ssim) for scene, ssim in (("a", 0.5), ("b", 0.9), ("c", 0.1), ("d", 0.62))]
    (board,) = make_boards(Path(), rows)
    assert board.extremes("telea", ("a", "b", "c", "d")) == {"worst": "c", "average": "a", "best": "b"}
    assert board.extremes("telea", ("a", "b")) == {"worst": "a", "best": "b"}
    assert board.extremes("telea", ("a",)) == {"average": "a"}


def test_boards_are_told_apart_by_what_does_not_compare() -> None:
    on: dict[str, object] = {"model": "toybox", "dtype": "float32", "steps": None, "seed": 0}
    rows = [
        scored("telea", "a", 0.5),
        scored("sd-fast", "a", 0.5, on),
        scored("sd-fast", "a", 0.6, on | {"steps": 5}),
        row("telea", "a", dataset="kitti", facts=FACTS),
    ]
    boards = {board.name: board for board in make_boards(Path(), rows)}
    assert set(boards) == {
        "middlebury-paper-truth-64-toybox-float32-seed-0",
        "middlebury-paper-truth-64-toybox-float32-seed-0-5-steps",
        "kitti-paper-truth-512",
    }
    few = boards["middlebury-paper-truth-64-toybox-float32-seed-0-5-steps"]
    assert set(few.rows) == {"telea", "sd-fast"}  # what needs no model stands beside every model
    assert few.rows["sd-fast"]["a"].metrics["ssim"] == 0.6


def test_only_scenes_that_all_methods_have_are_compared() -> None:
    (board,) = make_boards(Path(), [scored("telea", "a", 0.5), scored("telea", "b", 0.5), scored("stretch", "b", 0.4)])
    assert board.scenes(["telea", "stretch"]) == ("b",)


def test_the_close_up_is_where_most_methods_err() -> None:
    truth = np.zeros((96, 96, 3), dtype=np.uint8)
    wrong, black = truth.copy(), truth.copy()
    wrong[40:56, 10:26] = 200
    black[:, :4] = 255  # one method alone
    wrong[:, 90:] = 255  # at the border that does not count
    pictures = [Image.fromarray(array) for array in (wrong, wrong, wrong | black)]
    assert telling_window(Image.fromarray(truth), pictures, border=8) == (10, 40, 16)


def test_figures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    on: dict[str, object] = {"model": "toybox", "dtype": "float32", "steps": 5, "seed": 0}
    fill(
        tmp_path,
        scored("stretch", "a", 0.5),
        scored("telea", "a", 0.6),
        scored("sd-paper", "a", 0.6, on),
        scored("sd-paper-spsmd", "a", 0.6, on),
        scored("shift-at-0.2", "a", 0.6, on),
        scored("blanked-0.50", "a", 0.6, on),
    )
    files = [path.relative_to(tmp_path / "out") for path in write_figures(tmp_path, tmp_path / "out")]
    board = "middlebury-paper-truth-64"
    assert {path.stem.removesuffix(f"-{board}") for path in files if path.parent == Path()} == {
        "figure3",
        "figure4",
        "figure5",
        "figure8",
        "boxes",
    }
    assert {path.stem for path in files if path.parent == Path("methods") / board} == {
        "stretch",
        "telea",
        "sd-paper",
        "sd-paper-spsmd",
    }
    for figure, shown in (("figure4", {"stretch", "telea", "sd-paper"}), ("figure5", {"sd-paper", "sd-paper-spsmd"})):
        with Image.open(tmp_path / "out" / f"{figure}-{board}.png") as drawn:
            greys = np.asarray(drawn.convert("RGB"))
        levels = {"stretch": 0, "telea": 20, "sd-paper": 40, "sd-paper-spsmd": 60}
        large = {name for name, level in levels.items() if (greys == level).all(axis=2).sum() > 208**2}
        assert large == shown, figure
    with Image.open(tmp_path / "out" / f"figure8-{board}.png") as figure:
        levels = np.asarray(figure.convert("RGB")).astype(int)
    columns = np.flatnonzero((levels[..., 0] - levels[..., 1] > 100).any(axis=0))
    assert columns.max() - columns.min() + 1 == pytest.approx(208 / 2, abs=2)  # half of a picture is erased


def test_a_figure_without_its_picture_names_it(tmp_path: Path) -> None:
    one = scored("stretch", "a", 0.5)
    fill(tmp_path, one)
    (tmp_path / one.job.picture).unlink()
    with pytest.raises(BenchmarkError, match=rf"{one.job.picture}.*gone"):
        list(write_figures(tmp_path, tmp_path / "out"))


def test_a_place_that_cannot_hold_figures(tmp_path: Path) -> None:
    fill(tmp_path, scored("stretch", "a", 0.5))
    (tmp_path / "out").write_text("")
    with pytest.raises(BenchmarkError, match="cannot be written"):
        list(write_figures(tmp_path, tmp_path / "out"))


def test_cells_stand_where_their_rows_and_columns_are() -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)]
    cells = [Cell(Image.new("RGB", (50, 50), colour)) for colour in colours]
    sheet = np.asarray(grid([cells[:2], cells[2:]], title="", headings=["", ""], sides=["", ""]))
    centres = [np.argwhere((sheet == colour).all(axis=2)).mean(axis=0) for colour in colours]
    assert centres[0][0] == centres[1][0] < centres[2][0] == centres[3][0]
    assert centres[0][1] == centres[2][1] < centres[1][1] == centres[3][1]


def test_a_close_up_shows_what_is_in_the_window() -> None:
    array = np.zeros((128, 128, 3), dtype=np.uint8)
    array[32:48, 64:80] = (0, 200, 0)
    both = np.asarray(with_close_up(Image.fromarray(array), (64, 32, 16)))
    close_up = both[both.shape[0] - both.shape[1] :]
    assert (close_up == (0, 200, 0)).all()


def test_differences_and_erasures() -> None:
    first, second = Image.new("RGB", (8, 8), (100, 50, 0)), Image.new("RGB", (8, 8), (90, 50, 200))
    assert difference(first, second).getpixel((0, 0)) == (30, 0, 255)
    painted = painted_from(first, 5)
    assert painted.getpixel((4, 0)) == (100, 50, 0)
    assert painted.getpixel((5, 0)) != (100, 50, 0)
    assert first.getpixel((5, 0)) == (100, 50, 0)


def test_boxes_are_longer_where_values_differ_more() -> None:
    sheet = boxes({"PSNR": {"steady": [20.0, 20.1, 20.2, 20.3], "wild": [10.0, 15.0, 25.0, 30.0]}}, title="")
    inside = (np.asarray(sheet) == (198, 219, 239)).all(axis=2)
    rows = np.flatnonzero(inside.any(axis=1))
    steady, wild = (inside[row].sum() for row in (rows[0], rows[-1]))
    assert wild > 10 * steady


def test_boxes_of_one_scene_and_of_equal_values() -> None:
    sheet = boxes({"PSNR": {"one": [20.0]}, "SSIM": {"one": [0.5]}}, title="")
    assert sheet.width > 400
