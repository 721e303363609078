"""Rows on disk."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from stereodiffusion.bench.results import ROWS, Job, Row, read_rows, writing
from stereodiffusion.errors import BenchmarkError, ResultsError

JOB = Job(
    dataset="middlebury",
    scene="2006/Aloe",
    protocol="metric",
    disparity="truth",
    method="stretch",
    settings={"size": 512, "seed": 0},
)
ROW = Row(
    job=JOB,
    metrics={"psnr": 24.5, "psnr_occluded": 13.25},
    facts={"height": 512.0},
    seconds=0.25,
    evaluations=0,
    peak_memory_mb=512.5,
    versions={"stereodiffusion": "0.1.0"},
)

OTHER = replace(ROW, job=replace(JOB, method="telea"))


def append(folder: Path, *rows: Row) -> None:
    with writing(folder) as rows_file:
        for row in rows:
            rows_file.append(row)


def test_rows_come_back(tmp_path: Path) -> None:
    append(tmp_path / "new" / "folder", ROW)
    append(tmp_path / "new" / "folder", OTHER)
    assert read_rows(tmp_path / "new" / "folder") == (ROW, OTHER)


def test_a_later_row_of_a_job_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    better = replace(ROW, metrics={"psnr": 30.0})
    append(tmp_path, ROW, OTHER, better)
    assert read_rows(tmp_path) == (better, OTHER)


def test_a_number_that_does_not_exist_is_null_on_disk(tmp_path: Path) -> None:
    append(tmp_path, replace(ROW, metrics={"psnr": math.inf, "psnr_occluded": math.nan}))
    assert "null" in (tmp_path / ROWS).read_text()
    (row,) = read_rows(tmp_path)
    assert all(math.isnan(value) for value in row.metrics.values())


def test_jobs_are_the_same_whatever_the_order_of_their_settings() -> None:
    same = replace(JOB, settings={"seed": 0, "size": 512})
    other = replace(JOB, settings={"seed": 1, "size": 512})
    assert same.key == JOB.key
    assert same.picture == JOB.picture
    assert other.key != JOB.key
    assert other.picture != JOB.picture


@pytest.mark.parametrize("torn_at", [1, 40, -1])
def test_a_torn_last_line_is_passed_over_and_cut_off(tmp_path: Path, torn_at: int) -> None:
    append(tmp_path, ROW)
    file = tmp_path / ROWS
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:torn_at])
    assert read_rows(tmp_path) == (ROW,)
    append(tmp_path, OTHER)
    assert read_rows(tmp_path) == (ROW, OTHER)
    assert file.read_bytes().startswith(whole)
    assert file.read_bytes().count(b"\n") == 2


def test_a_file_that_was_torn_at_once_is_empty(tmp_path: Path) -> None:
    (tmp_path / ROWS).write_text('{"dataset": "midd')
    assert read_rows(tmp_path) == ()


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    append(tmp_path, ROW)
    file = tmp_path / ROWS
    file.write_text(file.read_text() + '{"dataset": 3}\n' + file.read_text())
    with pytest.raises(BenchmarkError, match=r"rows\.jsonl: line 2 is no row"):
        read_rows(tmp_path)


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"bench run"):
        read_rows(tmp_path)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with writing(tmp_path), pytest.raises(ResultsError, match="another run"):
        append(tmp_path, ROW)
    append(tmp_path, ROW)
    assert read_rows(tmp_path) == (ROW,)


def test_a_place_that_cannot_hold_results(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="file: cannot hold results"):
        append(tmp_path / "file", ROW)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a":' * 35_000 + b"1" + b"}" * 35_000, "line 1 is no row: it is nested too deeply"),
        (b'{"dataset": "caf\xe9"}', "expected text in UTF-8"),
        (
            ROW.to_json().replace('"seconds": 0.25', '"seconds": "long"').encode(),
            "line 1 is no row: expected the fields",
        ),
        (b"[1]", "expected the fields of a row, got list"),
    ],
)
def test_hostile_rows_get_one_line(tmp_path: Path, line: bytes, message: str) -> None:
    (tmp_path / ROWS).write_bytes(line + b"\n")
    with pytest.raises(ResultsError, match=message) as caught:
        read_rows(tmp_path)
    assert "\n" not in str(caught.value)
