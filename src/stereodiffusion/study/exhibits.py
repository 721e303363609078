"""What people are shown: a pair of each method for each prompt, side by side, with nothing that says whose it is."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stereodiffusion.bench.boards import Board, make_boards
from stereodiffusion.bench.results import ROWS, read_rows
from stereodiffusion.errors import FormatError, StudyError
from stereodiffusion.formats import encode_image, from_pil, read_image, read_metadata, side_by_side
from stereodiffusion.formats.pictures.image import STILL_SUFFIXES
from stereodiffusion.types import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """A pair that is shown.

    Attributes:
        method: What made it.
        scene: What it shows; each method has the same scenes.
        picture: Both eyes side by side as PNG, without metadata.
        size: (height, width) of that picture in pixels.
    """

    method: str
    scene: str
    picture: bytes
    size: tuple[int, int]


def gather(results: Path, *, methods: Collection[str] = (), board: str | None = None) -> list[Exhibit]:
    """The pairs in a folder, by method and scene.

    Args:
        results: Has a folder for each method, in which pictures of the same names are pairs side by side; or is a
            folder of `bench run`.
        methods: Which ones; all if empty.
        board: Of a folder of `bench run` with several protocols, sizes or models: which of them.

    Raises:
        BenchmarkError: If the benchmark's results or their pictures are damaged.
        FormatError: If a picture cannot be read.
        StudyError: If there are not at least two methods with the same scenes, pictures of one scene differ in size, or
            one is no pair.
    """
    if not results.is_dir():
        raise StudyError(f"{results}: expected a folder with one folder for each method, or of `bench run`")
    if (results / ROWS).is_file():
        found = _of_board(_board(results, board), methods)
    else:
        if board is not None:
            raise StudyError(f"{results}: expected results of `bench run` for --board {board}, got none: no {ROWS}")
        found = _of_folders(_method_folders(results, methods))
    exhibits = list(found)
    _check_sizes(exhibits)
    return exhibits


def _method_folders(results: Path, methods: Collection[str]) -> dict[str, dict[str, Path]]:
    """The picture of each scene, by method."""
    folders = {each.name: each for each in sorted(results.iterdir()) if each.is_dir() and not each.name.startswith(".")}
    _check_methods(folders, methods, str(results))
    pictures: dict[str, dict[str, Path]] = {}
    for method in methods or folders:
        files = [each for each in sorted(folders[method].iterdir()) if each.suffix.lower() in STILL_SUFFIXES]
        pictures[method] = {file.stem: file for file in files}
        if len(pictures[method]) < len(files):
            raise StudyError(f"{folders[method]}: expected one picture of each name, got several that differ in suffix")
    every = {scene for scenes in pictures.values() for scene in scenes}
    for method, scenes in pictures.items():
        if missing := sorted(every - set(scenes)):
            raise StudyError(f"{folders[method]}: expected the pictures that the others have, got no {missing[0]}")
    if not every:
        raise StudyError(f"{results}: expected pictures in the folders of the methods, got none")
    return pictures


def _of_folders(pictures: Mapping[str, Mapping[str, Path]]) -> Iterator[Exhibit]:
    for method, scenes in pictures.items():
        for scene, file in scenes.items():
            picture, form = read_image(file), _format_of(file)
            if form != "sbs" or picture.shape[-1] % 2:
                got = f"{picture.shape[-1]} pixels" if form == "sbs" else f"the format {form}"
                raise StudyError(f"{file}: expected both eyes side by side, of equal widths, got {got}")
            yield _exhibit(method, scene, picture)


def _format_of(file: Path) -> str:
    """What the picture says it is; side by side if it says nothing."""
    try:
        return str(read_metadata(file).get("format", "sbs"))
    except FormatError:  # another program wrote it
        return "sbs"


def _board(results: Path, name: str | None) -> Board:
    boards = {board.name: board for board in make_boards(results, read_rows(results))}
    if name is None and len(boards) == 1:
        return next(iter(boards.values()))
    if name not in boards:
        got = "none is named" if name is None else f"got {name}"
        raise StudyError(f"{results}: expected --board, one of {', '.join(boards)}; {got}")
    return boards[name]


def _of_board(board: Board, methods: Collection[str]) -> Iterator[Exhibit]:
    _check_methods(board.rows, methods, board.name)
    names = list(methods or board.rows)
    scenes = board.scenes(names)
    if not scenes:
        raise StudyError(f"{board.name}: expected scenes that all of {', '.join(names)} have, there are none")
    for method in names:
        for scene in scenes:
            left = from_pil(board.view("left", scene))
            yield _exhibit(method, scene, side_by_side(left, from_pil(board.picture(method, scene))))


def _check_methods(there: Collection[str], asked: Collection[str], where: str) -> None:
    for method in asked:
        if method not in there:
            raise StudyError(f"{where}: expected --methods out of {', '.join(there)}, got {method}")
    if len(asked or there) < 2:
        raise StudyError(f"{where}: expected at least two methods, got {', '.join(asked or there) or 'none'}")


def _exhibit(method: str, scene: str, picture: Image) -> Exhibit:
    size = picture.shape[-2], picture.shape[-1]
    return Exhibit(method=method, scene=scene, picture=encode_image(picture, ".png"), size=size)


def _check_sizes(exhibits: Sequence[Exhibit]) -> None:
    """Sizes would tell the methods apart."""
    sizes: dict[str, Exhibit] = {}
    for each in exhibits:
        first = sizes.setdefault(each.scene, each)
        if each.size != first.size:
            raise StudyError(
                f"{each.scene}: expected pictures of one size, got {first.size[0]}x{first.size[1]} of {first.method} "
                f"and {each.size[0]}x{each.size[1]} of {each.method}"
            )
