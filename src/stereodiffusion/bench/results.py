"""Results on disk: one JSON line per picture and method, in a folder that survives being killed at any moment.

    results/
      rows.jsonl                                              one `Row` per line, only ever appended to
      pictures/<data set>/<scene>/left-<size>.png ...         what a case is made of
      pictures/<data set>/<scene>/<protocol>-<disparity>/     the right views, `<method>-<settings>.png`

A line is written after its picture, see `stereodiffusion.appending`; a later line of the same job takes the place of an
earlier one.
"""

import json
import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from stereodiffusion.appending import Appender, appending, whole_lines
from stereodiffusion.errors import BenchmarkError, first_line

ROWS = "rows.jsonl"

Protocol: TypeAlias = Literal["paper", "metric", "leak-free", "genstereo"]
DisparitySource: TypeAlias = Literal["truth", "estimated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What has to be computed; two equal jobs have the same result.

    Attributes:
        dataset: Name of the data set.
        scene: Name of the scene in it.
        protocol: How the pictures and the disparity were prepared.
        disparity: Where the disparity came from.
        method: A name of `METHODS`.
        settings: Everything else that the result depends on, as JSON values: size, model, steps, seed ...
    """

    dataset: str
    scene: str
    protocol: Protocol
    disparity: DisparitySource
    method: str
    settings: Mapping[str, object]

    @property
    def key(self) -> str:
        """The job as a line of JSON: equal for equal jobs, whatever the order of the settings."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @property
    def picture(self) -> Path:
        """Where the right view goes, within the folder of results."""
        fingerprint = sha256(json.dumps(dict(self.settings), sort_keys=True).encode()).hexdigest()[:8]
        return (
            scene_folder(self.dataset, self.scene)
            / f"{self.protocol}-{self.disparity}"
            / (f"{self.method}-{fingerprint}.png")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of a job.

    Attributes:
        job: What was asked for.
        metrics: Numbers by name; what does not exist (a mean over no pixel, the PSNR of equal pictures) is NaN.
        facts: Numbers about the case: size, shares of pixels, scale of the disparity.
        seconds: Wall clock of the method alone: without loading, reading, preparing or measuring.
        evaluations: Network evaluations, see `CountingBackbone`; like the seconds, with those of an inversion that
            was shared, see `recall`.
        peak_memory_mb: Most memory that the process held while the method ran, in units of 10^6 bytes.
        versions: Of what computed it.
    """

    job: Job
    metrics: Mapping[str, float]
    facts: Mapping[str, float]
    seconds: float
    evaluations: int
    peak_memory_mb: float
    versions: Mapping[str, str]

    def to_json(self) -> str:
        """One line without its end; numbers that are not finite become null."""
        fields = asdict(self)
        job = fields.pop("job")
        for name in ("metrics", "facts"):
            fields[name] = {key: value if math.isfinite(value) else None for key, value in fields[name].items()}
        return json.dumps(job | fields, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> "Row":
        """The row of a line.

        Raises:
            ValueError: If the line is no such JSON.
        """
        try:
            fields = cast(dict[str, Any], json.loads(line))
            if not isinstance(fields, dict):
                raise ValueError(f"expected the fields of a row, got {type(fields).__name__}")
            job = Job(**{name: fields.pop(name) for name in Job.__dataclass_fields__})
            for name in ("metrics", "facts"):
                fields[name] = {key: math.nan if value is None else value for key, value in fields[name].items()}
            row = cls(job=job, **fields)
            _check_types(row)
        except (KeyError, TypeError, AttributeError) as wrong:
            raise ValueError(f"expected the fields of a row: {first_line(wrong)}") from wrong
        except RecursionError as deep:
            raise ValueError("it is nested too deeply") from deep
        return row


def _check_types(row: Row) -> None:
    """Raises TypeError for a field that holds something else than it says, and whatever keeps its job from a key."""
    job = row.job
    texts = (
        job.dataset,
        job.scene,
        job.protocol,
        job.disparity,
        job.method,
        *row.versions.values(),
    )
    numbers = (row.seconds, row.evaluations, row.peak_memory_mb, *row.metrics.values(), *row.facts.values())
    for value in texts:
        if not isinstance(value, str):
            raise TypeError(f"a text is wanted where {value!r:.40} stands")
    for value in numbers:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"a number is wanted where {value!r:.40} stands")
    job.settings.items()
    _ = job.key  # also refuses what is nested as deep as Python goes, and numbers that are not finite


def scene_folder(dataset: str, scene: str) -> Path:
    """Where the pictures of a scene lie, within the folder of results."""
    return Path("pictures") / dataset / scene.replace("/", "_")


def read_rows(folder: Path) -> tuple[Row, ...]:
    """The last row of each job in a folder of results, in the order in which the jobs were first answered.

    Raises:
        BenchmarkError: If there are none, or a line in the middle is no row.
        ResultsError: If they cannot be read.
    """
    path = folder / ROWS
    if not path.is_file():
        raise BenchmarkError(f"{folder}: expected results of `stereodiffusion bench run`, there is no {ROWS} in it")
    rows: dict[str, Row] = {}
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            row = Row.from_json(line)
        except ValueError as broken:
            raise BenchmarkError(f"{path}: line {number} is no row: {broken}") from broken
        rows[row.job.key] = row
    return tuple(rows.values())


class RowWriter:
    """Appends rows to a file; see `writing`."""

    def __init__(self, lines: Appender) -> None:
        self._lines = lines

    def append(self, row: Row) -> None:
        """Add a row; it is on disk when this returns."""
        self._lines.append(row.to_json())


@contextmanager
def writing(folder: Path) -> Generator[RowWriter]:
    """Open a folder of results, made if need be, for one run at a time.

    Raises:
        ResultsError: If it cannot be written to, or another run is writing to it.
    """
    with appending(folder / ROWS) as lines:
        yield RowWriter(lines)
