"""The contact sheet of a batch: all results, small, and what failed, in one picture."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path, PurePath

from PIL import Image, ImageDraw, ImageFont

from stereodiffusion import temporary
from stereodiffusion.batch.output import publish
from stereodiffusion.batch.report import Entry
from stereodiffusion.errors import FormatError, printable
from stereodiffusion.formats.files import read_bytes
from stereodiffusion.formats.pictures.image import STILL_SUFFIXES, decoding, open_picture

SHEET = "contact-sheet.png"
MOST = 200
"""Results on a sheet; of more, as many are chosen evenly."""

_COLUMNS, _WIDTH, _HEIGHT, _LINE, _GAP = 5, 256, 144, 15, 8
_INK, _PAPER, _BAD, _PALE = (25, 25, 25), (255, 255, 255), (170, 20, 20), (238, 232, 232)
_FONT = ImageFont.load_default(12)


def write_sheet(folder: Path, entries: Sequence[Entry]) -> Path:
    """Draw the contact sheet of a run, in the order of its entries, and write it into the folder of results.

    Args:
        folder: Of the results.
        entries: What came of each row; at least one.

    Raises:
        FormatError: If it cannot be written.
    """
    shown = entries if len(entries) <= MOST else [entries[k * len(entries) // MOST] for k in range(MOST)]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    cell = _WIDTH + _GAP, _HEIGHT + _LINE + _GAP
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), _PAPER)
    for number, entry in enumerate(shown):
        row, column = divmod(number, columns)
        _draw(sheet, (_GAP + column * cell[0], _GAP + row * cell[1]), entry, folder)
    return _write(sheet, folder / SHEET)


def _draw(sheet: Image.Image, at: tuple[int, int], entry: Entry, folder: Path) -> None:
    """A result in its cell, or why there is none."""
    draw, (x, y) = ImageDraw.Draw(sheet), at
    try:
        if entry.result is None:
            raise FormatError(entry.reason or "")
        small = _small(folder / entry.result)
        sheet.paste(small, (x + (_WIDTH - small.width) // 2, y + (_HEIGHT - small.height) // 2))
    except FormatError as missing:
        draw.rectangle((x, y, x + _WIDTH - 1, y + _HEIGHT - 1), _PALE)
        for number, line in enumerate(_wrapped(f"{entry.error or 'not shown'}: {missing}", _HEIGHT // _LINE)):
            draw.text((x + 4, y + 2 + number * _LINE), line, _BAD, _FONT)
    name = PurePath(entry.input).name if entry.result is None else entry.result
    draw.text((x, y + _HEIGHT), _fitted(printable(name), ""), _INK, _FONT)


def _small(result: Path) -> Image.Image:
    """The first picture of a result, no larger than a cell."""
    if result.is_dir():
        stills = sorted(file for file in result.iterdir() if file.suffix.lower() in STILL_SUFFIXES)
        result = (stills or sorted(result.iterdir()))[0]
    with decoding(result), open_picture(read_bytes(result)) as picture:
        picture.draft("RGB", (_WIDTH, _HEIGHT))  # JPEG is decoded small at once
        small = picture.convert("RGB")
        small.thumbnail((_WIDTH, _HEIGHT))
    return small


def _wrapped(text: str, lines: int) -> list[str]:
    """The text in lines of a cell's width; what is too long ends with points."""
    found: list[str] = []
    rest = text
    while rest and len(found) < lines:
        line = _fitted(rest, " " if " " in rest else "")
        found.append(line)
        rest = rest[len(line) :].lstrip()
    if rest:
        found[-1] = f"{found[-1][:-3]}..."
    return found


def _fitted(text: str, between: str) -> str:
    """As much of a text as is no wider than a cell, cut after a word if it is said what is between words."""
    end = len(text)
    while end > 1 and _FONT.getlength(text[:end]) > _WIDTH - 8:
        end -= 1
    cut = text.rfind(between, 0, end) if between and end < len(text) else -1
    return text[: cut if cut > 0 else end]


def _write(sheet: Image.Image, path: Path) -> Path:
    content = BytesIO()
    sheet.save(content, "PNG")
    staged = temporary.folder_beside(path)
    try:
        try:
            (staged / path.name).write_bytes(content.getvalue())
        except OSError as failed:
            raise FormatError(f"{path}: cannot be written: {failed.strerror}") from failed
        return publish(staged, path)
    finally:
        temporary.remove(staged)
