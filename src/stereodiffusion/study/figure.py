"""Fig. 6: how the scores of each method are distributed, with means and their intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stereodiffusion.formats import from_pil, write_image
from stereodiffusion.study.answers import BEST, QUESTIONS, WORST, Question
from stereodiffusion.study.scores import MethodScore

_INK, _PALE, _PAPER, _MARK = (25, 25, 25), (205, 205, 205), (255, 255, 255), (200, 40, 30)
_SHADES = ((224, 229, 233), (190, 205, 217), (148, 177, 199), (101, 144, 176), (54, 107, 147), (20, 66, 104))
"""Of the scores from 0 to 5: the better, the darker."""

_SCALE = 2  # the page is drawn so many times larger than its measures, for print
_GAP, _ROW, _BAR, _SHARES, _MEANS, _NUMBERS = 14, 30, 20, 380, 240, 116
_DARK_FROM = 3  # scores from here on have white numbers on their shade


def draw_scores(scores: Mapping[Question, Sequence[MethodScore]], path: Path) -> Path:
    """Write Fig. 6: for each question and method the share of each score, and the mean with its interval of 95 %.

    Args:
        scores: Of each question, all with the same methods.
        path: Of the picture.

    Raises:
        FormatError: If it cannot be written.
    """
    return write_image(path, from_pil(_Sheet(scores).picture))


class _Sheet:
    """Panels below each other, one for each question."""

    def __init__(self, scores: Mapping[Question, Sequence[MethodScore]]) -> None:
        self.font, self.bold = ImageFont.load_default(13 * _SCALE), ImageFont.load_default(15 * _SCALE)
        names = [each.method for methods in scores.values() for each in methods]
        self.side = int(max(self.font.getlength(name) for name in names) / _SCALE) + 2 * _GAP
        panel = 2 * _ROW + _GAP
        height = _ROW + sum(panel + _ROW * len(methods) for methods in scores.values())
        width = self.side + _SHARES + 3 * _GAP + _MEANS + _NUMBERS
        self.picture = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
        self.draw = ImageDraw.Draw(self.picture)
        self._legend()
        top = _ROW
        for question, methods in scores.items():
            self._panel(top, QUESTIONS[question], methods)
            top += panel + _ROW * len(methods)

    def _text(self, x: float, y: float, text: str, fill: tuple[int, int, int] = _INK, anchor: str = "lm") -> None:
        self.draw.text((x * _SCALE, y * _SCALE), text, fill, self.font, anchor=anchor)

    def _box(self, left: float, top: float, right: float, bottom: float, fill: tuple[int, int, int]) -> None:
        if right > left:
            corners = (left * _SCALE, top * _SCALE, right * _SCALE - 1, bottom * _SCALE - 1)
            self.draw.rectangle([round(corner) for corner in corners], fill)

    def _line(self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, int, int], width: int = 1) -> None:
        self.draw.line([round(each * _SCALE) for each in (x0, y0, x1, y1)], fill, width)

    def _legend(self) -> None:
        self._text(_GAP, _ROW / 2, "score")
        for score, shade in enumerate(_SHADES):
            x = self.side + score * 44
            self._box(x, 8, x + 20, 22, shade)
            self._text(x + 26, _ROW / 2, str(score))

    def _panel(self, top: float, title: str, methods: Sequence[MethodScore]) -> None:
        self.draw.text((_GAP * _SCALE, (top + _ROW / 2) * _SCALE), title, _INK, self.bold, anchor="lm")
        means = self.side + _SHARES + 2 * _GAP
        first, last = top + _ROW, top + _ROW + _ROW * len(methods)
        for score in range(WORST, BEST + 1):
            x = means + _MEANS * (score - WORST) / (BEST - WORST)
            self._line(x, first, x, last, _PALE)
            self._text(x, last + 10, str(score), anchor="mm")
        self._text(means + _MEANS + _GAP, top + _ROW / 2, "mean, 95 %")
        for row, each in enumerate(methods):
            self._row(first + row * _ROW + _ROW / 2, means, each)

    def _row(self, middle: float, means: float, each: MethodScore) -> None:
        self._text(_GAP, middle, each.method)
        total, x = sum(each.counts), float(self.side)
        for score, count in enumerate(each.counts):
            width = _SHARES * count / total
            self._box(x, middle - _BAR / 2, x + width, middle + _BAR / 2, _SHADES[score])
            if width >= 26:
                ink = _PAPER if score >= _DARK_FROM else _INK
                self._text(x + width / 2, middle, f"{count / total:.0%}", ink, "mm")
            x += width

        def at(value: float) -> float:
            return means + _MEANS * (value - WORST) / (BEST - WORST)

        low, high = each.interval
        self._line(at(low), middle, at(high), middle, _MARK, 2 * _SCALE)
        for end in (low, high):
            self._line(at(end), middle - 5, at(end), middle + 5, _MARK, _SCALE)
        dot = at(each.mean)
        self._box(dot - 3, middle - 3, dot + 3, middle + 3, _MARK)
        self._text(means + _MEANS + _GAP, middle, f"{each.mean:.2f}  {low:.2f} to {high:.2f}")
