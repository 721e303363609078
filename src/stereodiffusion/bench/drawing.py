"""What figures are made of: pictures in a grid with words around them, close-ups, and box plots."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import NamedTuple, TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFont

Picture: TypeAlias = Image.Image
Window: TypeAlias = tuple[int, int, int]
"""Left, top and edge of a square in pixels."""

EDGE = 208
"""Width of a picture in a grid, in pixels."""

_GAP, _LINE = 8, 18
_INK, _PALE, _PAPER, _MARK, _FILL = (25, 25, 25), (190, 190, 190), (255, 255, 255), (230, 30, 30), (198, 219, 239)
_FONT = ImageFont.load_default(13)
_TITLE = ImageFont.load_default(16)


class Cell(NamedTuple):
    """A picture in a grid.

    Attributes:
        picture: Of any size; it is brought to the width of the column.
        caption: A line below it.
    """

    picture: Picture
    caption: str = ""


def grid(rows: Sequence[Sequence[Cell]], *, title: str, headings: Sequence[str], sides: Sequence[str]) -> Picture:
    """Pictures in rows and columns.

    Args:
        rows: As many cells in each as there are headings.
        title: A line above all.
        headings: Above each column; lines may be broken.
        sides: Left of each row; lines may be broken.
    """
    shrunk = [[Cell(to_width(cell.picture, EDGE), cell.caption) for cell in row] for row in rows]
    heights = [max(cell.picture.height for cell in row) + _LINE for row in shrunk]
    side = max(int(_FONT.getlength(line)) for text in sides for line in text.split("\n")) + 2 * _GAP
    top = 2 * _GAP + _LINE + _LINE * max(text.count("\n") + 1 for text in headings)
    width = side + len(headings) * (EDGE + _GAP)
    width = max(width, side + int(_TITLE.getlength(title)) + _GAP)
    sheet = Image.new("RGB", (width, top + sum(heights) + len(rows) * _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((side, _GAP), title, _INK, _TITLE)
    for column, text in enumerate(headings):
        draw.multiline_text((side + column * (EDGE + _GAP), _GAP + _LINE + 4), text, _INK, _FONT, spacing=2)
    y = top
    for text, row, height in zip(sides, shrunk, heights, strict=True):
        draw.multiline_text((_GAP, y), text, _INK, _FONT)
        for column, cell in enumerate(row):
            x = side + column * (EDGE + _GAP)
            sheet.paste(cell.picture, (x, y))
            draw.text((x, y + cell.picture.height + 1), cell.caption, _INK, _FONT)
        y += height + _GAP
    return sheet


def with_close_up(picture: Picture, window: Window) -> Picture:
    """The picture with the window marked, and below it what is in the window, as wide as the picture."""
    left, top, edge = window
    part = picture.crop((left, top, left + edge, top + edge))
    marked = to_width(picture, EDGE)
    scale = EDGE / picture.width
    corners = (left * scale, top * scale, (left + edge) * scale - 1, (top + edge) * scale - 1)
    ImageDraw.Draw(marked).rectangle(corners, outline=_MARK, width=2)
    both = Image.new("RGB", (EDGE, marked.height + 2 + EDGE), _PAPER)
    both.paste(marked, (0, 0))
    both.paste(part.resize((EDGE, EDGE), Image.Resampling.BICUBIC), (0, marked.height + 2))
    return both


def difference(first: Picture, second: Picture) -> Picture:
    """How far apart two pictures are, channel by channel; what is brighter by a third is white."""
    return ImageChops.difference(first, second).point(lambda level: 3 * level)


def painted_from(picture: Picture, column: int) -> Picture:
    """The picture, red from a column on."""
    red = Image.new("RGB", (picture.width - column, picture.height), _MARK)
    painted = picture.copy()
    painted.paste(red, (column, 0))
    return painted


def to_width(picture: Picture, width: int) -> Picture:
    """The picture at another width, in proportion."""
    height = max(1, round(picture.height * width / picture.width))
    return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def boxes(panels: Mapping[str, Mapping[str, Sequence[float]]], *, title: str) -> Picture:
    """Box plots side by side: box from quartile to quartile with the median, whiskers to the least and the greatest.

    Args:
        panels: For each number, by its name, the values of each series; all panels have the same series.
        title: A line above all.
    """
    names = list(next(iter(panels.values())))
    side = max(int(_FONT.getlength(name)) for name in names) + 2 * _GAP
    plot, line = 420, 26
    top = 2 * _GAP + 2 * _LINE
    size = (side + len(panels) * (plot + 4 * _GAP), top + len(names) * line + 2 * _LINE)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((side, _GAP), title, _INK, _TITLE)
    for row, name in enumerate(names):
        draw.text((_GAP, top + row * line + 4), name, _INK, _FONT)
    for panel, (number, series) in enumerate(panels.items()):
        x = side + panel * (plot + 4 * _GAP)
        draw.text((x, _GAP + _LINE), number, _INK, _FONT)
        _panel(draw, (x, top), (plot, line), list(series.values()))
    return sheet


def _panel(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], size: tuple[int, int], series: Sequence[Sequence[float]]
) -> None:
    (left, top), (width, line) = corner, size
    seen = [value for values in series for value in values]
    ticks = _ticks(min(seen), max(seen))
    low, span = ticks[0], (ticks[-1] - ticks[0]) or 1.0

    def at(value: float) -> float:
        return left + (value - low) / span * width

    bottom = top + line * len(series)
    for tick in ticks:
        draw.line((at(tick), top, at(tick), bottom), _PALE)
        draw.text((at(tick), bottom + 2), f"{tick:g}", _INK, _FONT, anchor="ma")
    for row, values in enumerate(series):
        if not values:
            continue
        middle = top + row * line + line // 2
        q1, _, q3 = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
        draw.line((at(min(values)), middle, at(max(values)), middle), _INK)
        draw.rectangle((at(q1), middle - 7, at(q3), middle + 7), _FILL, _INK)
        draw.line((at(median(values)), middle - 7, at(median(values)), middle + 7), _MARK, 2)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below the least to above the greatest."""
    span = max(high - low, 1e-6)
    step = next(s for s in (b * 10.0**e for e in range(-7, 9) for b in (1, 2, 5)) if span / s <= 6)
    first = int(low // step)
    last = int(-(-high // step))
    return [round(step * k, 10) for k in range(first, last + 1)]
