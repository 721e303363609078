"""From rows to requests: what a row does not say, the command says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from stereodiffusion.batch.report import Entry
from stereodiffusion.batch.rows import AnyRow, RefusedRow, Row
from stereodiffusion.errors import ConfigError, StereoDiffusionError, printable
from stereodiffusion.request import REQUESTS, VERSION, Request, request_from
from stereodiffusion.request.saying import merged
from stereodiffusion.settings import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request that is to be made.

    Attributes:
        place: Where its row stands.
        name: What its result is called.
        request: What is made.
    """

    place: str
    name: str
    request: Request


def jobs_of(rows: Iterable[AnyRow], defaults: Mapping[str, Any]) -> tuple[list[Job], list[Entry]]:
    """What rows ask for, those of one model together, otherwise in their order; and those that make no sense.

    Args:
        rows: As they were read.
        defaults: What rows do not say, as the plain JSON of a request without its mode. What is said of maps is for
            rows that have one.

    Raises:
        StereoDiffusionError: If no row makes sense, for the reason of the first; or a default is for none.
    """
    rows = list(rows)
    _check_used(rows, defaults)
    jobs, refused, first = list[Job](), list[Entry](), None
    for row in rows:
        try:
            jobs.append(_job_of(row, defaults))
        except StereoDiffusionError as error:
            first = first or error
            refused.append(failure(row.place, error))
    if first is not None and not jobs:
        raise first
    models = list(dict.fromkeys(job.request.model for job in jobs))
    return sorted(jobs, key=lambda job: models.index(job.request.model)), refused


def _job_of(row: AnyRow, defaults: Mapping[str, Any]) -> Job:
    if isinstance(row, RefusedRow):
        raise row.error
    told = merged({"version": VERSION, **_for(row, defaults)}, row.said)
    return Job(place=row.place, name=row.name, request=request_from(told))


def _for(row: Row, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that a row has a place for."""
    mode = row.said.get("mode")
    kind = REQUESTS.get(cast(Mode, mode)) if isinstance(mode, str) else None
    if kind is None:
        return {}  # the request says so
    names = {each.name for each in fields(kind)} - ({"map"} if "map" not in row.said else set())
    return {name: value for name, value in defaults.items() if name in names}


def _check_used(rows: Sequence[AnyRow], defaults: Mapping[str, Any]) -> None:
    used = {name for row in rows if isinstance(row, Row) for name in _for(row, defaults)}
    for name, value in defaults.items():
        if name not in used and any(isinstance(row, Row) for row in rows):
            said = ".".join([name, *list(cast(Mapping[str, Any], value))[:1]]) if isinstance(value, Mapping) else name
            why = "no row has a map" if name == "map" else "it is for another mode than these rows have"
            raise ConfigError(f"{said} must be left out, it would have no effect: {why}")


def failure(place: str, error: Exception, *, may_pass: bool = False) -> Entry:
    """The entry of a row that came to nothing."""
    reason = printable(" ".join(str(error).split()))
    if not isinstance(error, StereoDiffusionError) and not may_pass:
        reason = f"internal error: {reason}"
    return Entry(input=place, status="failed", error=type(error).__name__, reason=reason, may_pass=may_pass)
