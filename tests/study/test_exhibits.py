"""What people are shown: pairs side by side with nothing that tells whose they are."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bench.making import row
from torch import Tensor

from stereodiffusion.bench.results import scene_folder
from stereodiffusion.errors import FormatError, StudyError
from stereodiffusion.formats import read_image, read_metadata, write_image
from stereodiffusion.study import gather, write_study


def picture(seed: int, width: int = 16) -> Tensor:
    levels = torch.randint(256, (1, 3, 8, width), generator=torch.Generator().manual_seed(seed))
    return levels.float() / 255


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two methods, three scenes; the files say what made them."""
    for number, method in enumerate(("ours", "stretch")):
        (tmp_path / "results" / method).mkdir(parents=True)
        for scene in range(3):
            file = tmp_path / "results" / method / f"scene{scene}.png"
            write_image(file, picture(10 * number + scene), {"method": method, "format": "sbs"})
    return tmp_path / "results"


def test_pictures_stay_what_they_are_and_say_no_more(results: Path, tmp_path: Path) -> None:
    exhibits = gather(results)
    assert {(each.method, each.scene) for each in exhibits} == {
        (method, f"scene{scene}") for method in ("ours", "stretch") for scene in range(3)
    }
    for each in exhibits:
        shown = tmp_path / "shown.png"
        shown.write_bytes(each.picture)
        assert torch.equal(read_image(shown), read_image(results / each.method / f"{each.scene}.png"))
        with pytest.raises(FormatError, match="found none"):
            read_metadata(shown)
        assert each.size == (8, 16)


def test_no_file_of_the_page_names_a_method_or_another_host(results: Path, tmp_path: Path) -> None:
    write_study(gather(results), tmp_path / "study")
    files = [file for file in (tmp_path / "study").rglob("*") if file.is_file()]
    assert len(files) == 4 + 6
    for file in files:
        assert "ours" not in file.name
        content = file.read_bytes()
        assert all(word not in content for word in (b"ours", b"stretch", b"scene0", b"http:", b"https:"))


def test_a_benchmarks_pictures_are_paired_with_their_left(tmp_path: Path) -> None:
    lines: list[str] = []
    for number, method in enumerate(("stretch", "blank")):
        for scene in ("a", "b"):
            each = row(method, scene)
            lines.append(each.to_json())
            target = tmp_path / each.job.picture
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, picture(number, 8))
            write_image(tmp_path / scene_folder("middlebury", scene) / "left-512.png", picture(7, 8))
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    exhibits = gather(tmp_path, methods=("stretch", "blank"))
    assert [(each.method, each.scene) for each in exhibits] == [
        (method, scene) for method in ("stretch", "blank") for scene in ("a", "b")
    ]
    (tmp_path / "shown.png").write_bytes(exhibits[0].picture)
    assert torch.equal(read_image(tmp_path / "shown.png"), torch.cat([picture(7, 8), picture(0, 8)], dim=-1))
    with pytest.raises(StudyError, match="expected --board, one of middlebury-paper-truth-512; got other"):
        gather(tmp_path, board="other")


@pytest.mark.parametrize(
    ("damage", "asked", "message"),
    [
        (
            lambda f: (f / "ours" / "scene1.png").unlink(),
            {},
            "the pictures that the others have, got no scene1",
        ),
        (lambda f: write_image(f / "ours" / "scene1.png", picture(0, 17)), {}, "of equal widths, got 17 pixels"),
        (
            lambda f: write_image(f / "ours" / "scene1.png", picture(0), {"format": "anaglyph"}),
            {},
            "side by side, of equal widths, got the format anaglyph",
        ),
        (
            lambda f: write_image(f / "ours" / "scene1.png", picture(0, 18)),
            {},
            "got 8x18 of ours and 8x16 of stretch",
        ),
        (lambda f: write_image(f / "ours" / "scene1.jpg", picture(0)), {}, "one picture of each name, got several"),
        (lambda f: None, {"methods": ["ours"]}, "at least two methods, got ours"),
        (lambda f: None, {"methods": ["ours", "blank"]}, "expected --methods out of ours, stretch, got blank"),
        (lambda f: None, {"board": "x"}, r"got none: no rows\.jsonl"),
    ],
)
def test_what_would_make_a_study_unfair_or_empty_is_refused(
    results: Path, damage: Any, asked: dict[str, Any], message: str
) -> None:
    damage(results)
    with pytest.raises(StudyError, match=message):
        gather(results, **asked)


def test_a_folder_with_something_in_it_is_left_alone(results: Path, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.txt").write_text("mine")
    with pytest.raises(StudyError, match="expected a new or empty folder"):
        write_study(gather(results), tmp_path / "study")
    assert [file.name for file in (tmp_path / "study").iterdir()] == ["mine.txt"]
