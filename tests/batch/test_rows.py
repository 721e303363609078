"""What inputs say, and that hostile ones cost a line each."""

import csv
import datetime as dt
import json
import os
from decimal import Decimal
from pathlib import Path
from unicodedata import normalize

import pyarrow
import pytest
from pyarrow import parquet

from stereodiffusion.batch.jobs import jobs_of
from stereodiffusion.batch.naming import name_of
from stereodiffusion.batch.rows import LONGEST, AnyRow, RefusedRow, Row, read_rows
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.request import DepthRequest, PhotoRequest, TextRequest, request_from
from stereodiffusion.request.inputs import MapFile

GOOD = [Row(place="good", name="good", said={"mode": "text", "prompt": "a ball"})]


def reasons(rows: list[AnyRow]) -> list[str]:
    return [str(row.error) for row in rows if isinstance(row, RefusedRow)]


def table(path: Path, *rows: list[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_photos_of_a_folder_and_those_in_it_but_not_the_results(tmp_path: Path) -> None:
    for name in ("b.jpg", "A.PNG", "cats/a.png", "notes.md", ".hidden.png", ".trash/a.png", "out/old.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "round").symlink_to(tmp_path)
    rows = read_rows(tmp_path, without=tmp_path / "out")
    assert [(row.place, row.name) for row in rows if isinstance(row, Row)] == [
        (str(tmp_path / "A.PNG"), "A"),
        (str(tmp_path / "b.jpg"), "b"),
        (str(tmp_path / "cats" / "a.png"), "cats-a"),
    ]
    assert [row.place for row in read_rows(tmp_path, patterns=["cats/*"])] == [str(tmp_path / "cats" / "a.png")]
    with pytest.raises(ConfigError, match=r"expected files \*\.webp in it, there are none"):
        read_rows(tmp_path, patterns=["*.webp"])


def test_a_row_says_the_same_request_in_every_kind_of_manifest(tmp_path: Path) -> None:
    said = {"photo": "cat.png", "map": "cat.pfm", "seed": 3, "changes.shift.at": 0.3, "wanted.kind": "pair"}
    said |= {"wanted.source": "right", "prompt": "007", "map.kind": "disparity-px"}
    cells = {("map.path" if name == "map" else name): value for name, value in said.items()}
    table(tmp_path / "a.csv", list(cells), [str(value) for value in cells.values()])
    nested = {"photo": "cat.png", "map": {"path": "cat.pfm", "kind": "disparity-px"}, "seed": 3, "prompt": "007"}
    nested |= {"changes": {"shift.at": 0.3}, "wanted": {"kind": "pair", "source": "right"}}
    (tmp_path / "a.jsonl").write_text(json.dumps(nested) + "\n")
    parquet.write_table(pyarrow.Table.from_pylist([cells, cells | {"seed": None}]), tmp_path / "a.parquet")
    changed = {"preset": "fast"}
    found = [jobs_of(read_rows(tmp_path / f"a.{end}"), changed)[0][0] for end in ("csv", "jsonl", "parquet")]
    assert [job.request for job in found] == [found[0].request] * 3
    request = found[0].request
    assert isinstance(request, PhotoRequest)
    assert (request.photo.path, request.prompt, request.seed) == (str(tmp_path / "cat.png"), "007", 3)
    assert request.map == MapFile(path=str(tmp_path / "cat.pfm"), kind="disparity-px")
    assert request == request_from(request.plain())
    # What a row does not say, the command says: the second row of the Parquet file has no seed.
    second = jobs_of(read_rows(tmp_path / "a.parquet"), {**changed, "seed": 9})[0][1].request
    assert (second.seed, second.preset) == (9, "fast")


def test_the_mode_is_that_of_what_is_there(tmp_path: Path) -> None:
    table(
        tmp_path / "a.csv",
        ["prompt", "map.path", "photo"],
        ["a ball", "", ""],
        ["a ball", "d.pfm", ""],
        ["", "", "p.png"],
    )
    (tmp_path / "a.txt").write_text("a ball\r\n\na cone\u2028on grass\n")
    jobs, _ = jobs_of(read_rows(tmp_path / "a.csv"), {})
    assert [type(job.request) for job in jobs] == [TextRequest, DepthRequest, PhotoRequest]
    rows = [row for row in read_rows(tmp_path / "a.txt") if isinstance(row, Row)]
    assert [row.place.rpartition(":")[2] for row in rows] == ["1", "3"]
    assert [row.said["prompt"] for row in rows] == ["a ball", "a cone\u2028on grass"]
    assert [row.name for row in rows] == ["a-ball", "a-cone-on-grass"]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["a\x1b]0;pwned\x07 ball", "", ""], r"prompt: expected a text without control characters, got 'a\\x1b"),
        (["a ball", "=1+1", ""], "seed"),
        (["a ball", '=cmd|" /C calc"!A0', ""], "seed"),
        (["a ball", "[" * 5000, ""], "seed"),
        (["a ball", "9" * 5000, ""], "seed"),
        (["a ball", "-1", ""], "seed must be a whole number"),
        (["a ball", "NaN", ""], "seed"),
        (["a ball", "", "", "more"], "expected 3 columns, got 4"),
        (["x" * 200_000, "", ""], "field larger than field limit"),
        (["a ball", "", "quick"], "preset must be one of"),
    ],
)
def test_a_hostile_row_costs_a_line_and_not_the_others(cells: list[str], reason: str, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", ["prompt", "seed", "preset"], ["a cone", "1", ""], cells, ["=1+1", "2", "fast"])
    jobs, refused = jobs_of(read_rows(path), {})
    assert [job.request.prompt for job in jobs if isinstance(job.request, TextRequest)] == ["a cone", "=1+1"]
    (entry,) = refused
    assert entry.input == f"{path}:3"
    assert entry.reason is not None
    assert reason.replace("\\\\", "\\") in entry.reason
    assert entry.reason.isprintable()
    assert len(entry.reason) < 400


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "expected a request as a JSON object, got list"),
        ('{"prompt": ' + "[" * 90_000, "expected a request as a JSON object"),
        ('{"prompt": "' + "x" * LONGEST, f"expected at most {LONGEST} characters in a line"),
        ('{"prompt": "a \\u001b[2J ball"}', "without control characters"),
        ('{"prompt": "a \\ud800 ball"}', "without control characters"),
        ('{"prompt": "a ball", "colour": "red"}', "there is no 'colour' in TextRequest"),
        ('{"prompt": "a ball", "mode": "film"}', "expected a request with mode text, depth, photo, got 'film'"),
        ('{"photo": 3}', "photo"),
        ('{"prompt": "a ball", "name": 3}', "name must be a text, got 3"),
        ('{"prompt": "a ball", "seed": 1, "seed": 2}', "expected each name once, seed is said twice"),
        ('{"changes": {"a": 1, "b": 2, "a": 3}}', "expected each name once, a is said twice"),
    ],
)
def test_a_hostile_line_costs_itself(line: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"prompt": "a ball"}}\n{line}\n')
    jobs, refused = jobs_of(read_rows(tmp_path / "a.jsonl"), {})
    assert len(jobs) == 1
    assert refused[0].reason is not None
    assert reason in refused[0].reason
    assert refused[0].reason.isprintable()


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (["prompt", "colour"], "there is no column 'colour'; there are"),
        (["prompt", "prompt"], "prompt is said twice"),
        (["photo", "photo.path"], "photo.path is said twice"),
        (["seed", "seed.x"], "seed is said twice"),
        (["map.colour"], "there is no column 'map.colour'"),
        (["changes."], "there is no column 'changes.'"),
    ],
)
def test_columns_that_make_no_sense_are_refused_at_once(columns: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_rows(table(tmp_path / "a.csv", columns, ["a"] * len(columns)))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"prompt\n\xff\n", "expected text in UTF-8"),
        ("a.csv", "prompt\n\u00e9\n".encode("utf-16"), "expected text in UTF-8"),
        (
            "a.csv",
            b"prompt;seed\na ball;3\n",
            "expected a table with commas between its cells, got one with semicolons",
        ),
        ("a.csv", b"prompt\tseed\na ball\t3\n", "expected a table with commas between its cells, got one with tabs"),
        ("a.parquet", b"PAR1 is not all", "expected a Parquet file"),
        ("a.docx", b"x", r"expected a folder or a file .csv, .jsonl, .parquet, .txt, got .docx"),
        ("a.txt", b"\n\n", "expected rows in it, there are none"),
        ("a.txt", b"", "the file is empty"),
    ],
)
def test_files_that_are_no_manifest(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((ConfigError, FormatError), match=reason) as caught:
        read_rows(tmp_path / name)
    assert str(caught.value).isprintable()


def test_a_table_as_a_spreadsheet_saves_it(tmp_path: Path) -> None:
    """A mark of the encoding, ends of lines with two letters, quoted quotes, commas and lines; an empty last line."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbf"prompt",seed\r\n"a ""red"" ball, on\ngrass",3\r\n\r\n,\r\na cone,\r\n')
    rows = read_rows(path)
    said = [(row.place.rpartition(":")[2], row.said) for row in rows if isinstance(row, Row)]
    assert said == [
        ("2", {"prompt": 'a "red" ball, on\ngrass', "seed": 3, "mode": "text"}),
        ("6", {"prompt": "a cone", "mode": "text"}),
    ]


def test_nulls_of_a_parquet_file_say_nothing_in_groups_as_well(tmp_path: Path) -> None:
    group = pyarrow.struct([("path", pyarrow.string()), ("kind", pyarrow.string()), ("scale", pyarrow.float64())])
    maps = [{"path": "d.pfm", "kind": None, "scale": None}, {"path": None, "kind": None, "scale": None}, None]
    prompts = pyarrow.array(["a", "b", "c"])
    columns = {"prompt": prompts, "seed": pyarrow.array([1, None, 3]), "map": pyarrow.array(maps, type=group)}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    said = [row.said for row in read_rows(tmp_path / "a.parquet") if isinstance(row, Row)]
    assert said == [
        {"prompt": "a", "seed": 1, "map": {"path": str(tmp_path / "d.pfm")}, "mode": "depth"},
        {"prompt": "b", "mode": "text"},
        {"prompt": "c", "seed": 3, "mode": "text"},
    ]


def test_lines_of_any_depth_cost_at_most_themselves(tmp_path: Path) -> None:
    lines = ['{"prompt": ' + "[" * depth + "]" * depth + "}" for depth in range(50, 1000, 50)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    _, refused = jobs_of([*read_rows(tmp_path / "a.jsonl"), *GOOD], {})
    assert len(refused) == len(lines)


def test_what_json_has_not_costs_its_row(tmp_path: Path) -> None:
    odd = [
        pyarrow.array([b"\x89PNG", None]),
        pyarrow.array([dt.datetime(2024, 5, 17), None]),
        pyarrow.array([Decimal("3.5"), None]),
        pyarrow.array([float("nan"), None]),
        pyarrow.array([[("a", 1)], None], type=pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    ]
    for values in odd:
        for column in ("prompt", "seed", "changes"):
            given = {column: values} | ({} if column == "prompt" else {"prompt": ["a ball", "a cone"]})
            given |= {"negative": pyarrow.array([None, "grass"])} if column == "prompt" else {}
            parquet.write_table(pyarrow.table(given), tmp_path / "a.parquet")
            _, refused = jobs_of([*read_rows(tmp_path / "a.parquet"), *GOOD], {})
            assert refused[0].input.endswith(":1")
            assert (refused[0].reason or "").isprintable()


def test_results_among_the_photos_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "round").symlink_to(tmp_path)
    for same in (tmp_path, tmp_path / "round", tmp_path / "round" / ".." / tmp_path.name):
        with pytest.raises(ConfigError, match="expected another folder for results"):
            read_rows(tmp_path, without=same)


def test_names_are_the_same_however_letters_are_written(tmp_path: Path) -> None:
    composed, apart = (normalize(form, "Caf\u00e9 \u0939\u093f\u0928\u094d\u0926\u0940") for form in ("NFC", "NFD"))
    assert composed != apart
    assert name_of(apart) == name_of(composed) == composed.replace(" ", "-")
    (tmp_path / f"{apart}.png").touch()
    assert [row.name for row in read_rows(tmp_path, patterns=["caf\u00e9*"]) if isinstance(row, Row)] == [
        name_of(composed)
    ]


def test_rows_are_read_relative_to_their_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists").mkdir()
    table(tmp_path / "lists" / "a.csv", ["photo"], ["../b.png"], [str(tmp_path / "c.png")], ["b.png"])
    monkeypatch.chdir(tmp_path)
    rows = [row for row in read_rows(Path("lists/a.csv")) if isinstance(row, Row)]
    assert [row.said["photo"]["path"] for row in rows] == ["lists/../b.png", str(tmp_path / "c.png"), "lists/b.png"]
    assert [row.name for row in rows] == ["b", "c", "b"]


def test_a_name_leads_nowhere() -> None:
    for hostile in (
        "../../etc/passwd",
        "/etc/passwd",
        "-rf",
        ".hidden",
        "a\x1b[2J",
        "..",
        "",
        "con/../x",
        "a\\b",
        "a\nb",
    ):
        name = name_of(hostile)
        assert name
        assert os.path.basename(name) == name  # noqa: PTH119 - of a text, not of a path
        assert name.isprintable()
        assert name[0] not in ".-"
    assert name_of("2024.05.17 Café") == "2024.05.17-Café"
    assert len(name_of("立" * 300).encode()) <= 120


def test_options_that_would_have_no_effect_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a ball\n")
    with pytest.raises(ConfigError, match=r"map.kind must be left out, it would have no effect: no row has a map"):
        jobs_of(read_rows(tmp_path / "a.txt"), {"map": {"kind": "depth-m"}})
    with pytest.raises(ConfigError, match=r"two_step must be left out, .* it is for another mode"):
        jobs_of(read_rows(tmp_path / "a.txt"), {"two_step": True})
    with pytest.raises(ConfigError, match="steps must be at least 2"):  # no row makes sense
        jobs_of(read_rows(tmp_path / "a.txt"), {"changes": {"sampling.steps": 1}})
