"""`report.jsonl`: what came of each row, one JSON line each, in the order in which it came.

A line is written when its result is there. Of several lines of one input the last counts.
"""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from stereodiffusion.appending import Appender, whole_lines
from stereodiffusion.batch.timeline import Span
from stereodiffusion.errors import ResultsError, first_line

REPORT = "report.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What came of a row.

    Attributes:
        input: Where the row stands.
        status: `done` or `failed`.
        result: Its file, or the folder of its files, within that of the results; None if it failed.
        seconds: What it took without loading, reading, writing and waiting for others; None if it was there already, or
            failed.
        notes: What was assumed or looks wrong.
        error: The kind of failure.
        reason: What is wrong, in a line.
        may_pass: Whether the same might succeed at another time: memory or the network was wanting, a worker was
            killed.
        spans: When its stages were done; not part of the report.
    """

    input: str
    status: Literal["done", "failed"]
    result: str | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    reason: str | None = None
    may_pass: bool = False
    spans: tuple[Span, ...] = field(default=(), compare=False)

    @property
    def made(self) -> bool:
        """Whether it was made now, rather than found."""
        return self.seconds is not None

    def to_json(self) -> str:
        """One line of ASCII without its end."""
        said = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "spans"}
        said = {name: value for name, value in said.items() if value is not None and value is not False}
        return json.dumps({name: value for name, value in said.items() if name != "notes" or value})

    @classmethod
    def from_json(cls, line: str) -> "Entry":
        """The entry of a line.

        Raises:
            ValueError: If the line is no such JSON.
        """
        try:
            said = cast(dict[str, Any], json.loads(line))
            said["notes"] = tuple(said.get("notes", ()))
            entry = cls(**said)
        except (TypeError, AttributeError, RecursionError) as wrong:
            raise ValueError(f"expected the fields of an entry: {first_line(wrong)}") from wrong
        if not isinstance(entry.input, str) or entry.status not in ("done", "failed"):
            raise ValueError("expected the fields of an entry: an input, and whether it is done or failed")
        return entry


def read_report(folder: Path) -> dict[str, Entry]:
    """The last entry of each input; empty if there is no report yet.

    Raises:
        ResultsError: If a line in the middle is no entry.
    """
    path, found = folder / REPORT, dict[str, Entry]()
    if path.is_file():
        for number, line in enumerate(whole_lines(path), start=1):
            try:
                entry = Entry.from_json(line)
            except ValueError as broken:
                raise ResultsError(f"{path}: line {number} is no entry: {broken}") from broken
            found[entry.input] = entry
    return found


class Report:
    """The report of a run that is going on."""

    def __init__(self, lines: Appender, folder: Path) -> None:
        self._lines = lines
        self._known = read_report(folder)

    def add(self, entry: Entry) -> None:
        """Write an entry, unless it is of a result that was there and has a line.

        Raises:
            ResultsError: If the disk is full.
        """
        last = self._known.get(entry.input)
        if not entry.made and entry.status == "done" and last is not None and last.result == entry.result:
            return
        self._known[entry.input] = entry
        self._lines.append(entry.to_json())
