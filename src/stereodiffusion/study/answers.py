"""Scores read back from the CSV files that people hand over."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final, Literal, TypeAlias

from stereodiffusion.errors import StudyError
from stereodiffusion.formats.files import read_bytes

FIELDS: Final = ("study", "person", "trial", "scene", "method", "quality", "depth", "seconds")
"""The columns of an answer file."""

Question: TypeAlias = Literal["quality", "depth"]
QUESTIONS: Final[dict[Question, str]] = {"quality": "Picture quality", "depth": "Correctness of the 3-D impression"}
"""What was asked, by the name of the column."""

WORST, BEST = 0, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person says of a pair.

    Attributes:
        person: The person's code.
        scene: What was shown.
        method: What had made it.
        quality: Of the picture, 0 to 5.
        depth: Correctness of the 3-D impression, 0 to 5.
    """

    person: str
    scene: str
    method: str
    quality: int
    depth: int


def read_answers(files: Iterable[Path]) -> list[Answer]:
    """The answers in files of one study.

    Raises:
        FormatError: If a file cannot be read.
        StudyError: If a file holds no answers, is of another study, or a person scores a pair twice.
    """
    answers: list[Answer] = []
    seen: dict[tuple[str, str, str], Path] = {}
    first: tuple[str, Path] | None = None
    for file in files:
        for study, answer in _rows(file):
            first = first or (study, file)
            if study != first[0]:
                raise StudyError(f"{file}: expected answers of study {first[0]} as {first[1]} has, got {study}")
            key = answer.person, answer.scene, answer.method
            if key in seen:
                pair = f"{answer.scene} of {answer.method}"
                raise StudyError(f"{file}: expected one answer of {answer.person} to {pair}, got another ({seen[key]})")
            seen[key] = file
            answers.append(answer)
    if not answers:
        raise StudyError("expected answers, got none")
    return answers


def _rows(file: Path) -> Iterator[tuple[str, Answer]]:
    try:
        rows = csv.DictReader(StringIO(read_bytes(file).decode("utf-8-sig"), newline=""), strict=True)
        if tuple(rows.fieldnames or ()) != FIELDS:
            raise StudyError(
                f"{file}: expected the columns {', '.join(FIELDS)}, got {', '.join(rows.fieldnames or ())}"
            )
        for row in rows:
            where = f"{file}, line {rows.line_num}"
            if None in row or None in row.values():
                raise StudyError(f"{where}: expected {len(FIELDS)} values")
            quality, depth = (_score(row[name], f"{where}: {name}") for name in QUESTIONS)
            answer = Answer(
                person=row["person"], scene=row["scene"], method=row["method"], quality=quality, depth=depth
            )
            yield row["study"], answer
    except (UnicodeDecodeError, csv.Error) as wrong:
        raise StudyError(f"{file}: expected answers as CSV: {wrong}") from wrong


def _score(text: str, where: str) -> int:
    if text not in {str(score) for score in range(WORST, BEST + 1)}:
        raise StudyError(f"{where} must be a whole number from {WORST} to {BEST}, got {text!r}")
    return int(text)
