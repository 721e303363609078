"""No text, metadata or bundle gets more than a refusal in one line; nothing it says is run, fetched or written.

`STEREO_FUZZ=3000` reads so many damaged files of each kind instead of the few that fit into every run;
`STEREO_FUZZ_SEED` chooses others.
"""

import json
import os
import random
import signal
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from tests.formats.fuzzing import mutants
from tests.hardening.samples import Kind, damaged_values, kinds, trees
from tests.hardening.watching import watched

from stereodiffusion.errors import FormatWarning, StereoDiffusionError

COUNT = int(os.environ.get("STEREO_FUZZ", "40"))
SEED = int(os.environ.get("STEREO_FUZZ_SEED", "0"))
SECONDS = 10.0
KINDS = {kind.name: kind for kind in kinds()}


def _late(number: int, frame: FrameType | None) -> None:
    raise AssertionError(f"longer than {SECONDS:g} s")


@contextmanager
def limited() -> Generator[None]:
    """In time, on one processor, and with the one warning that the package gives."""
    before = signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FormatWarning)
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def faults(read: Callable[[Path], object], path: Path, what: str) -> list[str]:
    """What came out but a result or a refusal in one line."""
    try:
        with limited():
            read(path)
    except StereoDiffusionError as refused:
        return [f"{what}: several lines: {refused!r}"] if "\n" in str(refused) else []
    except BaseException as escaped:
        return [f"{what}: {type(escaped).__name__}: {escaped}"]
    return []


def damaged(kind: Kind) -> Generator[bytes]:
    """Bytes that changed, and values that did."""
    for _, content in mutants({kind.name: kind.sound}, COUNT, SEED):
        yield content
    rng = random.Random(SEED)
    for _ in range(COUNT if kind.plain is not None else 0):
        yield kind.encode(damaged_values(kind.plain, rng))


@pytest.mark.parametrize("name", KINDS)
def test_texts_and_metadata(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = KINDS[name]
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    wrong: list[str] = []
    with watched(tmp_path) as outside:
        for number, content in enumerate([kind.sound, *damaged(kind)]):
            path = tmp_path / "in" / name
            path.write_bytes(content)
            wrong += faults(kind.read, path, f"{number}: {content[:300]!r}")
            for left in (tmp_path / "in").iterdir():
                left.unlink()
    assert (wrong[:3], outside) == ([], [])
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_bundles(tmp_path: Path) -> None:
    wrong: list[str] = []
    found = list(trees(tmp_path))
    with watched(tmp_path) as outside:
        for tree in found:
            folder = tmp_path / tree.name
            for name, content in tree.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            wrong += faults(tree.read, folder, f"{tree.name}, which is sound")
            rng, each = random.Random(SEED), mutants(dict(tree.files), COUNT, SEED)
            for number, (label, content) in enumerate(each):
                name = list(tree.files)[number % len(tree.files)]
                (folder / name).write_bytes(content if rng.random() < 0.9 else b"")
                wrong += faults(tree.read, folder, f"{tree.name} {label}")
                (folder / name).write_bytes(tree.files[name])
    assert (wrong[:3], outside) == ([], [])


def test_sound_ones_are_read_and_the_watch_sees(tmp_path: Path) -> None:
    """So that what is asserted above can fail."""
    for kind in KINDS.values():
        path = tmp_path / kind.name
        path.write_bytes(kind.sound)
        if kind.name != "results":  # whose scores are not those of a run
            kind.read(path)
    with watched(tmp_path / "in") as outside:
        (tmp_path / "out.txt").write_text("x")
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a").symlink_to(tmp_path)
        (tmp_path / "in" / "a" / "b").mkdir()
    assert [each.partition(" ")[0] for each in outside] == ["open", "os.mkdir"]
    assert json.loads(json.dumps(KINDS["request.json"].plain)) == KINDS["request.json"].plain


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", {"mode": [], "prompt": "a"}),
        ("rows.jsonl", {"mode": {"a": 1}, "photo": "a.png"}),
        ("checked.png", {"request": 1e308, "format": "sbs"}),
        ("checked.png", {"request": {"map": "a.pfm"}, "resolved": 5}),
        ("redone.png", {"request": {"version": 1, "mode": "text", "prompt": 5}, "machine": []}),
    ],
)
def test_what_was_met_before(name: str, content: object, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = tmp_path / name
    path.write_bytes(kind.encode([content] if name == "rows.jsonl" else content))
    assert faults(kind.read, path, name) == []
