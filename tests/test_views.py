from collections.abc import Iterator
from pathlib import Path
from weakref import ref

import pytest
import torch

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import read_image, read_metadata
from stereodiffusion.views import View, checked_path, save_views


def view(number: int, batch: int = 1) -> View:
    picture = torch.full((batch, 3, 4, 6), number / 255)
    return View(
        position=float(number),
        picture=picture,
        occlusion=torch.zeros((batch, 1, 4, 6), dtype=torch.bool),
        provenance={"seed": 1, "position": float(number)},
    )


def test_each_file_is_there_before_the_next_view_is_made_and_no_view_is_kept(tmp_path: Path) -> None:
    made: list[ref[torch.Tensor]] = []

    def views() -> Iterator[View]:
        for number in range(4):
            assert len(list(tmp_path.iterdir())) == number
            assert all(earlier() is None for earlier in made[:-1])
            one = view(number)
            made.append(ref(one.picture))
            yield one
            del one

    files = list(save_views(views(), range(4), tmp_path / "cat", ["views", "quilt"]))
    names = [f"cat-0{number}.png" for number in range(4)]
    assert [file.name for file in files] == [*names, "cat_qs2x2a1.5.png"]
    for number, file in enumerate(files[:4]):
        assert torch.equal(read_image(file), view(number).picture)
        assert read_metadata(file) == {"seed": 1, "position": number, "format": "views"}
    assert read_metadata(files[4]) == {"seed": 1, "position": [0, 1, 2, 3], "format": "quilt"}


def test_numbers_sort_as_the_views_do(tmp_path: Path) -> None:
    files = list(save_views((view(number) for number in range(101)), range(101), tmp_path / "a.jpg", ["views"]))
    assert files[7].name == "a-007.jpg"
    assert files == sorted(files)


@pytest.mark.parametrize(
    ("path", "formats", "message"),
    [
        ("a.gif", ["views"], r"a.gif: views go into .png, .* got .gif"),
        ("a.png", ["sbs"], "several views go into views or quilt, got sbs"),
        ("a.png", [], "several views go into views or quilt, got no format"),
        ("", ["views"], "expected a file name"),
    ],
)
def test_what_cannot_be_written_is_refused(path: str, formats: list[str], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        checked_path(Path(path), formats)


def test_batches_are_refused(tmp_path: Path) -> None:
    for kind in ("views", "quilt"):
        with pytest.raises(FormatError, match="expected views of one picture, got a batch of 2"):
            list(save_views([view(0, batch=2)], [0.0], tmp_path / "a.png", [kind]))  # pyright: ignore[reportArgumentType]
