"""What a batch is made of, read: a folder of photos, a manifest, or a file of prompts, as rows.

A row is what its input says of a request, in the request's plain JSON. One that cannot be understood is a row all the
same, refused, so that it costs itself and not the batch. Nothing here opens a photo.
"""

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path, PurePath
from typing import Any, cast, get_type_hints
from unicodedata import category, normalize

from stereodiffusion.batch.naming import name_of
from stereodiffusion.errors import ConfigError, FormatError, StereoDiffusionError, first_line
from stereodiffusion.request import REQUESTS
from stereodiffusion.request.inputs import MapFile, PictureFile
from stereodiffusion.request.saying import merged, plain_value, put
from stereodiffusion.settings.plain import branches

PHOTOS = tuple(
    f"*.{suffix}"
    for suffix in ("png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "heic", "heif", "avif", "jp2", "ppm", "mpo")
)
"""What is taken out of a folder, upper case or lower, if nobody says."""

LONGEST = 100_000
"""Characters of a line of a manifest or of a prompt file."""

_FILES = {"photo": PictureFile, "map": MapFile}
_NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        place: Where it stands: the path of a photo, or a file and the number of its line; no two rows have the same.
        name: What its result is called.
        said: What it says of a request, as plain JSON, its mode always.
    """

    place: str
    name: str
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """One that cannot be understood.

    Attributes:
        place: As of a row.
        error: Why.
    """

    place: str
    error: StereoDiffusionError


AnyRow = Row | RefusedRow


def read_rows(source: Path, *, patterns: Sequence[str] = (), without: Path | None = None) -> list[AnyRow]:
    """The rows of a batch's input.

    Args:
        source: A folder, of which photos are taken, also out of the folders in it; a manifest, `.csv`, `.jsonl` or
            `.parquet`; or a file of prompts, `.txt`.
        patterns: Of a folder: which files, by name or by path within it, such as `*.jpg` or `cats/*`.
        without: A folder in which nothing is looked for: that of the results.

    Raises:
        ConfigError: If there is nothing in it, or columns that no request has.
        FormatError: If it cannot be read or is no such thing.
    """
    readers: Mapping[str, Callable[[Path], Iterator[AnyRow]]] = {
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
        ".txt": _prompts,
    }
    try:
        is_folder = source.is_dir()
    except (OSError, ValueError) as refused:
        raise FormatError(f"{source} cannot be used: {first_line(refused)}") from refused
    if is_folder:
        rows = list(_photos(source, patterns or PHOTOS, without))
    elif patterns:
        raise ConfigError(f"patterns are for a folder of photos, {source} is none")
    elif (reader := readers.get(source.suffix.lower())) is None:
        raise FormatError(
            f"{source}: expected a folder or a file {', '.join(readers)}, got {source.suffix or 'neither'}"
        )
    else:
        rows = list(reader(source))
    if not rows:
        what = f"files {', '.join(patterns)}" if patterns else "photos" if is_folder else "rows"
        raise ConfigError(f"{source}: expected {what} in it, there are none")
    return rows


def _photos(folder: Path, patterns: Sequence[str], without: Path | None) -> Iterator[AnyRow]:
    """Hidden files and folders are left out, and links to folders are not followed."""
    locked: list[OSError] = []
    results = without.resolve() if without is not None else None
    if results == folder.resolve():
        raise ConfigError(f"{folder}: expected another folder for results, which would be taken for photos next time")
    found: list[Path] = []
    for at, folders, files in os.walk(folder, onerror=locked.append):
        here = Path(at)
        folders[:] = [each for each in folders if not each.startswith(".") and (here / each).resolve() != results]
        found += [here / each for each in files if not each.startswith(".") and _wanted(here / each, folder, patterns)]
    for failed in locked:
        reason = FormatError(f"{failed.filename}: cannot be read: {failed.strerror}")
        yield RefusedRow(place=str(failed.filename), error=reason)
    for path in sorted(found):
        name = "-".join(path.relative_to(folder).with_suffix("").parts)
        yield Row(place=str(path), name=name_of(name), said={"mode": "photo", "photo": {"path": str(path)}})


def _wanted(path: Path, folder: Path, patterns: Sequence[str]) -> bool:
    """Case does not matter, nor whether an accent is a letter's own or stands after it."""
    names = (_folded(path.name), _folded(path.relative_to(folder).as_posix()))
    return any(fnmatch(name, _folded(pattern)) for pattern in patterns for name in names)


def _folded(name: str) -> str:
    return normalize("NFC", name).lower()


def _prompts(path: Path) -> Iterator[AnyRow]:
    for place, line in _lines(path):
        if line.strip():
            yield _checked(place, path, lambda line=line: {"mode": "text", "prompt": _short(line).strip()})


def _jsonl(path: Path) -> Iterator[AnyRow]:
    for place, line in _lines(path):
        if line.strip():
            yield _checked(place, path, lambda line=line: _json_object(_short(line)))


def _json_object(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as wrong:
        if isinstance(wrong, ConfigError):
            raise
        raise ConfigError(f"expected a request as a JSON object, got something else: {first_line(wrong)}") from None
    if not isinstance(said, dict):
        raise ConfigError(f"expected a request as a JSON object, got {type(said).__name__}")
    return cast(dict[str, Any], said)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of two values of one name it is not for us to choose."""
    said = dict(pairs)
    if len(said) < len(pairs):
        names = [name for name, _ in pairs]
        raise ConfigError(
            f"expected each name once, {next(each for each in names if names.count(each) > 1)} is said twice"
        )
    return said


def _csv(path: Path) -> Iterator[AnyRow]:
    reader = csv.reader(StringIO(_text(path), newline=""), strict=True)
    columns: list[str] | None = None
    texts = _text_columns()
    while True:
        first = reader.line_num + 1
        place = f"{path}:{first}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as wrong:
            if columns is None:
                raise FormatError(f"{path}: expected a table with commas: {wrong}") from wrong
            yield RefusedRow(place=place, error=FormatError(f"expected a row of a table with commas: {wrong}"))
            continue
        if columns is None:
            _check_separated(path, cells)
            columns = _checked_columns(path, cells)
        elif any(cells):
            yield _checked(place, path, lambda cells=cells, columns=columns: _of_cells(columns, cells, texts))


def _check_separated(path: Path, headings: Sequence[str]) -> None:
    """Programs save tables with other marks between the cells where a comma is the decimal point."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(headings) == 1 and mark in headings[0]:
            raise FormatError(f"{path}: expected a table with commas between its cells, got one with {name}")


def _of_cells(columns: Sequence[str], cells: Sequence[str], texts: frozenset[str]) -> dict[str, Any]:
    """An empty cell says nothing. Cells are never computed: what looks like a formula is a text."""
    if len(cells) != len(columns):
        raise ConfigError(f"expected {len(columns)} columns, got {len(cells)}")
    said: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if cell.strip():
            put(said, column, cell if column in texts else plain_value(cell.strip()))
    return said


def _parquet(path: Path) -> Iterator[AnyRow]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as missing:
        raise FormatError(f"{path}: Parquet takes the extra: pip install stereodiffusion[parquet]") from missing
    try:
        file = parquet.ParquetFile(path)
        columns = _checked_columns(path, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=1000):
            for cells in batch.to_pylist():
                number += 1
                held = {name: value for name, value in zip(columns, cells.values(), strict=True) if value is not None}
                yield _checked(f"{path}:{number}", path, lambda held=held: _of_values(held))
    except (ArrowException, OSError, ValueError) as wrong:
        if isinstance(wrong, StereoDiffusionError):
            raise
        raise FormatError(f"{path}: expected a Parquet file: {first_line(wrong)}") from wrong


def _of_values(held: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for column, value in held.items():
        if isinstance(value := _without_nulls(value), dict):  # a file with all that is said of it
            said = merged(said, {column.removesuffix(".path"): value} if value else {})
        else:
            put(said, column, value)
    return said


def _without_nulls(value: Any) -> Any:
    """A value as it was said: a column of groups has every name in every row, null where a row says nothing."""
    if not isinstance(value, dict):
        return value
    held = {name: _without_nulls(each) for name, each in cast(dict[str, Any], value).items() if each is not None}
    return {name: each for name, each in held.items() if each != {}}


def _checked_columns(path: Path, columns: Sequence[str]) -> list[str]:
    """The columns as paths in a request's JSON.

    Raises:
        ConfigError: If one is in no request, or two say the same.
    """
    known = {_NAME, "mode", "version", *(each.name for kind in REQUESTS.values() for each in fields(kind))}
    names = [f"{column}.path" if column in _FILES else column for column in (each.strip() for each in columns)]
    for name in names:
        group, _, rest = name.partition(".")
        inner = {each.name for each in fields(_FILES[group])} if group in _FILES else None
        if group not in known or (inner is not None and rest not in inner) or not name.rpartition(".")[2]:
            raise ConfigError(f"{path}: there is no column {name!r}; there are {', '.join(sorted(known))}")
        if names.count(name) > 1 or any(other.startswith(f"{name}.") for other in names):
            raise ConfigError(f"{path}: expected each column once, {name} is said twice")
    return names


def _text_columns() -> frozenset[str]:
    """The columns whose cells are texts, whatever they look like."""
    groups = [("", kind) for kind in REQUESTS.values()] + [(f"{name}.", kind) for name, kind in _FILES.items()]
    found = {
        prefix + name for prefix, kind in groups for name, hint in get_type_hints(kind).items() if str in branches(hint)
    }
    return frozenset({_NAME, "mode", *found})


def _checked(place: str, path: Path, read: Callable[[], dict[str, Any]]) -> AnyRow:
    """A row with its mode, its name and its files' paths, which are within the manifest's folder unless absolute."""
    try:
        said = merged({}, read())
        _refuse_control_characters(said)
        given = said.pop(_NAME, None)
        if not isinstance(given, str | None):
            raise ConfigError(f"name must be a text, got {given!r:.60}")
        for group in _FILES:
            file = said.get(group)
            file = said[group] = {"path": file} if isinstance(file, str) else file
            if file is None:
                del said[group]
            elif isinstance(file, dict) and isinstance(within := cast(dict[str, Any], file).get("path"), str):
                said[group] = {**file, "path": str(path.parent / within)}
        said.setdefault("mode", "photo" if "photo" in said else "depth" if "map" in said else "text")
    except StereoDiffusionError as error:
        return RefusedRow(place=place, error=error)
    except RecursionError:
        return RefusedRow(place=place, error=ConfigError("expected a request, got values nested too deeply"))
    return Row(place=place, name=name_of(given or _called(said)), said=said)


def _called(said: Mapping[str, Any]) -> str:
    """The name of a row that says none: its photo's, or its prompt, or its map's."""
    photo, prompt = said.get("photo"), said.get("prompt")
    if isinstance(photo, Mapping):
        return PurePath(str(cast(Mapping[str, Any], photo).get("path", ""))).stem
    return prompt.lower() if isinstance(prompt, str) else ""


def _refuse_control_characters(said: object, name: str = "the row") -> None:
    """No request has a use for them, and they make files and terminals do things."""
    if isinstance(said, str):
        if any(category(letter) in {"Cc", "Cs"} and letter not in "\t\n" for letter in said):
            raise ConfigError(f"{name}: expected a text without control characters, got {said!a:.60}")
    elif isinstance(said, Mapping):
        for key, value in cast(Mapping[Any, Any], said).items():
            _refuse_control_characters(str(key), name)
            _refuse_control_characters(value, str(key))
    elif isinstance(said, list | tuple):
        for value in cast(Sequence[Any], said):
            _refuse_control_characters(value, name)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line with its place; other marks that some take for the end of a line are parts of it."""
    for number, line in enumerate(_text(path).split("\n"), start=1):
        yield f"{path}:{number}", line.removesuffix("\r")


def _short(line: str) -> str:
    if len(line) > LONGEST:
        raise ConfigError(f"expected at most {LONGEST} characters in a line, got {len(line)}")
    return line


def _text(path: Path) -> str:
    from stereodiffusion.formats.files import read_bytes  # torch takes its time

    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise FormatError(f"{path}: expected text in UTF-8: {wrong.reason} at byte {wrong.start}") from wrong
