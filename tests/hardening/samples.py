"""Sound files of every kind of text and bundle that is read, what reads them, and how they are damaged."""

import csv
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow
import torch
from PIL.PngImagePlugin import PngInfo
from pyarrow import parquet
from tests.bundles.making import planes

from stereodiffusion.batch import Entry, jobs_of, read_report
from stereodiffusion.batch.rows import read_rows
from stereodiffusion.bench.results import read_rows as read_results
from stereodiffusion.bundles import BundleName, annotate, bundle_files, read_calibration
from stereodiffusion.bundles.calibration import middlebury_text
from stereodiffusion.bundles.card import card_of
from stereodiffusion.bundles.scenes import annotated_scenes
from stereodiffusion.bundles.sets import SceneSet, read_plan, units_of
from stereodiffusion.bundles.shards import write_shard
from stereodiffusion.cli.check import check
from stereodiffusion.cli.generate import read_request
from stereodiffusion.cli.redo import redo
from stereodiffusion.datasets import open_dataset
from stereodiffusion.formats import to_pil
from stereodiffusion.formats.pictures.metadata import PNG_KEYWORD
from stereodiffusion.request import request_from
from stereodiffusion.study import read_answers
from stereodiffusion.study.answers import FIELDS

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, 2**63, "", " ", "\x1b[2J\x1b]0;x\x07", "\u202egnp",
    "../../x", "/etc/passwd", "https://example.org/x", "$(touch x)", "=1+1", "\x00", "\ud800", "a" * 5000, [], {},
    [[[[]]]], {"kind": "views", "positions": [0, 1]}, {"path": "../x"}, [1, "a", None],
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of file: a sound one, what its name is, and everything that reads it."""

    name: str
    sound: bytes
    read: Callable[[Path], object]
    plain: Any = None
    encode: Callable[[Any], bytes] = lambda plain: json.dumps(plain).encode()


def damaged_values(plain: Any, rng: random.Random) -> Any:
    """JSON values of which one is odd, gone, or of a name that nobody knows."""
    changed = json.loads(json.dumps(plain))
    node: Any = changed
    while True:
        keys = list(cast(dict[str, Any], node)) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.7:
            node = node[key]
            continue
        match rng.randrange(6):
            case 0:
                del node[key]
            case 1 if isinstance(node, dict):
                node[str(rng.choice(ODD))[:50]] = rng.choice(ODD)
            case _:
                node[key] = rng.choice(ODD)
        return changed


REQUEST: Mapping[str, Any] = {
    "version": 1, "mode": "photo", "model": "toybox", "preset": "fast", "photo": {"path": "a.png", "sha256": "0" * 64},
    "map": {"path": "a.pfm", "kind": "depth-m", "focal_px": 80.0, "baseline_m": 0.1, "unknown": "zero"},
    "changes": {"sampling.steps": 2, "parallax.curve": [0, 0.7, 1]}, "wanted": {"kind": "pair", "source": "right"},
    "prompt": "a cat", "seed": 3,
}  # fmt: skip
_ROWS = [REQUEST, {"prompt": "a red ball", "name": "one"}, {"map": "a.pfm", "prompt": "a box", "mode": "depth"}]
_ENTRY = json.loads(Entry(input="a:1", status="done", result="a.png", seconds=1.5, notes=("b",)).to_json())


def _manifest(path: Path) -> None:
    jobs_of(read_rows(path), {})


def _report(path: Path) -> None:
    read_report(path.rename(path.with_name("report.jsonl")).parent)


def _results(path: Path) -> None:
    read_results(path.rename(path.with_name("rows.jsonl")).parent)


def _redone(path: Path) -> None:
    redo(path, print_request=True)


def _checked(path: Path) -> None:
    check(path, as_json=True)


def _lines(plain: Any) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in plain).encode()


def _table(columns: tuple[str, ...], *rows: tuple[object, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue().encode()


def _parquet() -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist([{"prompt": "a", "seed": 1}, {"prompt": "b", "seed": 2}]), file)
    return file.getvalue()


def _picture(recorded: Any) -> bytes:
    """With what is recorded in it as it is, whether or not this package would write it."""
    picture = to_pil(torch.rand(1, 3, 16, 32, generator=torch.Generator().manual_seed(0)))
    note, file = PngInfo(), io.BytesIO()
    note.add_itxt(PNG_KEYWORD, json.dumps(recorded))
    picture.save(file, "PNG", pnginfo=note)
    return file.getvalue()


def kinds() -> list[Kind]:
    """Every kind of text."""
    recorded = {
        "request": dict(REQUEST), "format": "sbs", "machine": {"device": "cpu", "dtype": "float32"},
        "resolved": {"settings": {"parallax": {"max_disparity": 0.05, "convergence": 0.01}}},
    }  # fmt: skip
    job = {"dataset": "a", "scene": "b", "protocol": "paper", "disparity": "truth", "method": "ldi", "settings": {}}
    (scene,), plan = annotated_scenes(9, (16, 24), [1.0]), SceneSet(count=2, layout="folder").plain()
    return [
        Kind("request.json", json.dumps(REQUEST).encode(), lambda path: request_from(read_request(path)), REQUEST),
        Kind("rows.jsonl", _lines(_ROWS), _manifest, _ROWS, _lines),
        Kind("rows.csv", _table(("photo", "prompt", "seed"), ("a.png", "cat", 1), ("b.png", "", 2)), _manifest),
        Kind("rows.parquet", _parquet(), _manifest),
        Kind("rows.txt", b"a red ball\n\na blue box\n", _manifest),
        Kind("report", _lines([_ENTRY, _ENTRY]), _report, [_ENTRY, _ENTRY], _lines),
        Kind("results", _lines([{"job": job, "scores": {"psnr": 1.0}}]), _results, [{"job": job}], _lines),
        Kind("redone.png", _picture(recorded), _redone, recorded, _picture),
        Kind("checked.png", _picture(recorded), _checked, recorded, _picture),
        Kind("answers.csv", _table(FIELDS, ("s", "p", 1, "a", "b", 3, 4, 1.5)), lambda path: read_answers([path])),
        Kind("calib.txt", middlebury_text(scene.calibration, (16, 24), (1.0, 2.0)).encode(), read_calibration),
        Kind("set.json", json.dumps(plan).encode(), read_plan, plan),
    ]  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """A bundle: its files, and what reads all of it."""

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], object]


def trees(folder: Path) -> Iterator[Tree]:
    """A bundle of each layout, and a set of scenes."""
    pair = annotate(planes(0, (16, 32)).pair(), "planes")
    layouts: tuple[BundleName, ...] = ("folder", "middlebury", "kitti")
    for layout in layouts:
        yield Tree(layout, bundle_files(pair, layout), lambda path, layout=layout: _all(layout, path))
    write_shard(folder / "shard.tar", [bundle_files(pair, "webdataset")])
    shard = (folder / "shard.tar").read_bytes()
    yield Tree("webdataset", {"a.tar": shard}, lambda path: _all("webdataset", path))
    small = SceneSet(count=1, layout="folder", size=(16, 16))
    (unit,) = units_of(small)
    (scene,) = annotated_scenes(0, (16, 16), [1.0])
    abouts = {
        f"{unit.part}/{name}": content for name, content in bundle_files(scene, "folder").items() if "about" in name
    }
    yield Tree("set", abouts, lambda path: card_of(small, path))


def _all(layout: BundleName, folder: Path) -> None:
    data = open_dataset(layout, folder)
    for scene in data.scenes:
        data.read(scene)
