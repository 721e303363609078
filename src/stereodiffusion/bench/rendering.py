"""Tables as text: Markdown to read, LaTeX to print, CSV to compute with."""

import csv
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from types import MappingProxyType
from typing import Literal, TypeAlias

from stereodiffusion.bench.published import Score
from stereodiffusion.bench.tables import Column, Line, Table

TableFormat: TypeAlias = Literal["markdown", "csv", "latex"]

_DISPARITIES = {"truth": "true", "estimated": "estimated", None: ""}
_UNEVEN = "The lines are over different numbers of scenes: their means do not compare."


def markdown(tables: Sequence[Table]) -> str:
    """Tables for GitHub and the like; distances of the best and worst scene stand above and below the mean."""
    return "\n\n".join(_markdown(table) for table in tables) + "\n"


def latex(tables: Sequence[Table]) -> str:
    """Tables for a paper, with the package booktabs."""
    return "\n\n".join(_latex(table) for table in tables) + "\n"


def csv_lines(tables: Sequence[Table]) -> str:
    """One line for each number of each table, ours and the paper's side by side."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    numbers = ("mean", "best", "worst")
    writer.writerow(
        ["table", "conditions", "method", "variant", "disparity", "scenes", "metric"]
        + [f"{whose}_{number}" for whose in ("our", "paper") for number in numbers]
    )
    for table in tables:
        for line in table.lines:
            for column in table.columns:
                pair = line.ours.get(column.name), line.paper.get(column.name)
                if pair == (None, None):
                    continue
                head = [table.name, _conditions(table), line.method, line.variant, line.disparity or "", line.scenes]
                writer.writerow(
                    [*head, column.name]
                    + ["" if score is None else getattr(score, number) for score in pair for number in numbers]
                )
    return text.getvalue()


RENDERERS: Mapping[TableFormat, Callable[[Sequence[Table]], str]] = MappingProxyType(
    {"markdown": markdown, "csv": csv_lines, "latex": latex}
)


def _conditions(table: Table) -> str:
    return ", ".join(f"{name} {value}" for name, value in table.group.items())


def _shown(table: Table) -> list[Column]:
    """The columns that have a number of ours."""
    return [column for column in table.columns if any(column.name in line.ours for line in table.lines)]


def _has_paper(table: Table, column: Column) -> bool:
    return any(column.name in line.paper for line in table.lines)


def _cells(
    table: Table, line: Line, number: Callable[[Score | None, int], str], bold: Callable[[str], str]
) -> list[str]:
    """The numbers of a line, each of ours followed by the paper's where the table has any."""
    cells: list[str] = []
    for column in _shown(table):
        score = line.ours.get(column.name)
        text = number(score if table.spread or score is None else Score(mean=score.mean), column.digits)
        cells.append(bold(text) if score is not None and score.mean == table.best(column) else text)
        if _has_paper(table, column):
            cells.append(number(line.paper.get(column.name), column.digits))
    return cells


def _headings(table: Table) -> list[str]:
    headings = ["method"]
    if any(line.disparity for line in table.lines):
        headings.append("disparity")
    headings.append("scenes")
    for column in _shown(table):
        headings.append(column.heading)
        if _has_paper(table, column):
            headings.append("published")
    return headings


def _names(table: Table, line: Line) -> list[str]:
    disparity = [_DISPARITIES[line.disparity]] if any(other.disparity for other in table.lines) else []
    return [line.label, *disparity, str(line.scenes or "")]


def _markdown(table: Table) -> str:
    headings = _headings(table)
    words = len(_names(table, table.lines[0])) - 1
    rows = [_names(table, line) + _cells(table, line, _markdown_number, "**{}**".format) for line in table.lines]
    parts = [
        f"**{table.name}. {table.caption}** ({_conditions(table)})\n",
        _pipe(headings),
        _pipe(["---"] * words + ["---:"] * (len(headings) - words)),
        *(_pipe(row) for row in rows),
    ]
    if table.uneven:
        parts.append(f"\n{_UNEVEN}")
    return "\n".join(parts)


def _pipe(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_number(score: Score | None, digits: int) -> str:
    if score is None:
        return ""
    if score.best is None or score.worst is None:
        return f"{score.mean:.{digits}f}".replace("-", "−")
    return f"{score.mean:.{digits}f} <sup>{_signed(score.best, digits)}</sup> <sub>{_signed(score.worst, digits)}</sub>"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _latex(table: Table) -> str:
    headings = [_escaped(heading) for heading in _headings(table)]
    words = len(_names(table, table.lines[0])) - 1
    rows = [
        [_escaped(name) for name in _names(table, line)] + _cells(table, line, _latex_number, "\\boldmath{}".__add__)
        for line in table.lines
    ]
    note = f" {_UNEVEN}" if table.uneven else ""
    return "\n".join(
        [
            "\\begin{table}",
            f"\\caption{{{table.caption} ({_escaped(_conditions(table))}).{note}}}",
            f"\\begin{{tabular}}{{{'l' * words}{'r' * (len(headings) - words)}}}",
            "\\toprule",
            " & ".join(headings) + " \\\\",
            "\\midrule",
            *(" & ".join(row) + " \\\\" for row in rows),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        ]
    )


def _latex_number(score: Score | None, digits: int) -> str:
    if score is None:
        return ""
    if score.best is None or score.worst is None:
        return f"${score.mean:.{digits}f}$"
    return f"${score.mean:.{digits}f}^{{{score.best:+.{digits}f}}}_{{{score.worst:+.{digits}f}}}$"


def _escaped(text: str) -> str:
    for plain, printed in (("_", "\\_"), ("%", "\\%"), ("↑", "$\\uparrow$"), ("↓", "$\\downarrow$")):
        text = text.replace(plain, printed)
    return text
