"""What comes of a batch, over any number of starts, workers and mishaps."""

import resource
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.batch.conftest import Batch
from tests.batch.killing import contents, kill_again_and_again, make_all, write_photos

from stereodiffusion import temporary
from stereodiffusion.batch import REPORT, Entry, Making, Output, jobs_of, read_report, read_rows, run, running
from stereodiffusion.batch.output import publish
from stereodiffusion.errors import ResultsError
from stereodiffusion.request import PhotoRequest, TextRequest, request_from
from stereodiffusion.synthesis import StereoDiffusion

pytestmark = pytest.mark.long


def stamps(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in contents(folder)}


def keep_first(photos: Path) -> None:
    for photo in sorted(photos.iterdir())[1:]:
        photo.unlink()


def test_what_is_there_is_not_made_again_and_another_option_is_another_result(
    photos: Path, batch: Batch, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    first = batch(photos, folder)
    assert [(entry.status, entry.made) for entry in first] == [("done", True)] * 3
    assert [Path(entry.input).stem for entry in first] == ["000", "001", "002"]
    assert sorted(contents(folder)) == sorted(str(entry.result) for entry in first)
    before, report = stamps(folder), (folder / REPORT).read_bytes()
    again = batch(photos, folder)
    assert again == [replace(entry, seconds=None) for entry in first]
    assert (stamps(folder), (folder / REPORT).read_bytes()) == (before, report)
    (folder / str(first[1].result)).unlink()
    assert [entry.made for entry in batch(photos, folder)] == [False, True, False]
    # Several files are one result: a folder, whose name differs, as its formats do.
    several = batch(photos, folder, Output(formats=("sbs",), also=("disparity",)))
    assert [len(list((folder / str(entry.result)).iterdir())) for entry in several] == [3, 3, 3]
    assert len({str(entry.result).partition(".")[0] for entry in (*first, *several)}) == 6


def test_a_photo_that_changes_is_another_input(photos: Path, batch: Batch, tmp_path: Path) -> None:
    first = batch(photos, tmp_path / "out")
    shutil.copy(photos / "001.png", photos / "000.png")
    second = batch(photos, tmp_path / "out")
    assert [entry.made for entry in second] == [True, False, False]
    assert second[0].result != first[0].result
    assert len(contents(tmp_path / "out")) == 4


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # workers are children of one with threads
def test_results_do_not_depend_on_the_number_of_workers(photos: Path, batch: Batch, tmp_path: Path) -> None:
    batch(photos, tmp_path / "one")
    entries = batch(photos, tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert sorted(entry.input for entry in entries) == sorted(str(path) for path in photos.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="left out: needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it is the child of one with threads
def test_it_may_be_killed_at_any_moment(model: Path, estimator: Path, batch: Batch, tmp_path: Path) -> None:
    """`python -m tests.batch.killing` does so as often as one likes."""
    photos = tmp_path / "photos"
    write_photos(photos, 4)
    batch(photos, tmp_path / "undisturbed", Output(formats=("eyes",)))
    expected = contents(tmp_path / "undisturbed")
    work = partial(make_all, photos, tmp_path / "killed", model, estimator, ("eyes",), 1)
    assert kill_again_and_again(work, tmp_path / "killed", expected, [0.3, 0.6]) > 0


def test_broken_inputs_cost_a_line_each(photos: Path, model: Path, estimator: Path, tmp_path: Path) -> None:
    (photos / "0-empty.png").touch()
    (photos / "1-text.jpg").write_text("no picture")
    (photos / "2-\x1b[2Jcut.png").write_bytes((photos / "000.png").read_bytes()[:60])
    (photos / "3-link.png").symlink_to("nowhere.png")
    defaults = {"model": str(model), "estimator": str(estimator), "preset": "fast", "changes": {"sampling.steps": 2}}
    jobs, refused = jobs_of(read_rows(photos), defaults)
    (photos / "002.png").unlink()  # after it was listed
    making = Making(folder=tmp_path / "out", output=Output())
    entries = list(run(jobs, making, refused=refused))
    assert list(read_report(making.folder).values()) == entries
    failed = [entry for entry in entries if entry.status == "failed"]
    reasons = {Path(entry.input).name.partition("-")[0]: entry.reason or "" for entry in failed}
    said = {"0": "empty", "1": "expected a picture", "2": "damaged or truncated", "3": "no such file"}
    said["002.png"] = "no such file"
    assert reasons.keys() == said.keys()
    assert all(said[name] in reason and reason.isprintable() for name, reason in reasons.items())
    assert [Path(entry.input).name for entry in entries if entry.made] == ["000.png", "001.png"]
    assert {Path(name).suffix for name in contents(making.folder)} == {".png"}
    assert len(list(run(jobs, making, fail_fast=True))) == 1 + [entry.status for entry in entries].index("failed")


def test_what_may_pass_is_tried_again_after_the_others_and_not_for_ever(
    photos: Path, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, tries = StereoDiffusion.run, list[str]()

    def short_of_memory(self: StereoDiffusion, request: PhotoRequest, **kwargs: object) -> object:
        name = Path(request.photo.path).stem
        tries.append(name)
        if name == "001" or (name == "000" and tries.count(name) == 1):
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        return whole(self, request, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(StereoDiffusion, "run", short_of_memory)
    monkeypatch.setattr(running, "_PAUSE_S", 0.0)
    entries = batch(photos, tmp_path / "out", retries=2)
    assert tries == ["000", "001", "002", "000", "001", "001"]
    assert [(Path(entry.input).stem, entry.status) for entry in entries] == [
        ("002", "done"),
        ("000", "done"),
        ("001", "failed"),
    ]
    assert entries[-1].may_pass


@pytest.mark.skipif(sys.platform == "win32", reason="left out: needs limits on files")
def test_a_disk_that_takes_no_more_ends_the_run_with_nothing_half_written(
    photos: Path, batch: Batch, tmp_path: Path
) -> None:
    keep_first(photos)
    folder, before = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ResultsError, match=r"cannot be written: File too large; what was done is kept"):
            batch(photos, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(path.name, path.stat().st_size) for path in folder.iterdir()] == [(REPORT, 0)]
    assert [entry.made for entry in batch(photos, folder)] == [True]


def test_one_run_at_a_time(photos: Path, batch: Batch, model: Path, estimator: Path, tmp_path: Path) -> None:
    defaults = {"model": str(model), "estimator": str(estimator), "preset": "fast", "changes": {"sampling.steps": 2}}
    jobs, _ = jobs_of(read_rows(photos), defaults)
    first = run(jobs, Making(folder=tmp_path / "out", output=Output()))
    next(first)
    with pytest.raises(ResultsError, match="out: another run is writing there"):
        batch(photos, tmp_path / "out")
    assert len(list(first)) == 2


def test_a_torn_report_is_mended_and_a_damaged_one_is_named(photos: Path, batch: Batch, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    batch(photos, folder)
    report = folder / REPORT
    whole = report.read_bytes()
    report.write_bytes(whole[:-20])  # killed in the middle of the last line
    assert len(read_report(folder)) == 2
    last = batch(photos, folder)[-1]
    assert report.read_bytes().startswith(whole[: whole.rindex(b"\n", 0, -1) + 1])
    assert read_report(folder)[last.input] == last
    report.write_bytes(b'{"input": 3}\n' + whole)
    with pytest.raises(ResultsError, match=r"report\.jsonl: line 1 is no entry"):
        batch(photos, folder)


def test_nothing_is_written_outside_the_results(photos: Path, batch: Batch, tmp_path: Path) -> None:
    """Names that are links in the folder of results are not followed."""
    keep_first(photos)
    outside = tmp_path / "outside"
    outside.mkdir()
    (first,) = [entry.result for entry in batch(photos, tmp_path / "a")]
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / str(first)).symlink_to(outside / "picture.png")
    assert [entry.made for entry in batch(photos, folder)] == [True]
    assert contents(folder) == contents(tmp_path / "a")
    several = Output(formats=("eyes",))
    (first,) = [entry.result for entry in batch(photos, tmp_path / "d", several)]
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / str(first)).symlink_to(outside)
    batch(photos, tmp_path / "e", several)
    assert contents(tmp_path / "e") == contents(tmp_path / "d")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / REPORT).symlink_to(outside / "report")
    with pytest.raises(ResultsError, match="cannot hold results"):
        batch(photos, tmp_path / "c")
    assert list(outside.iterdir()) == []


def test_an_entry_comes_back() -> None:
    entry = Entry(input="a\x1b.png", status="failed", error="FormatError", reason="é", notes=("b",), may_pass=True)
    assert Entry.from_json(entry.to_json()) == entry
    assert entry.to_json().isascii()
    done = Entry(input="a.png", status="done", result="a-1.png", seconds=0.0)
    assert Entry.from_json(done.to_json()) == done


def test_files_of_one_model_come_together_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        "".join(f'{{"prompt": "{n}", "model": "{model}"}}\n' for n, model in enumerate(("toybox", "sd1.5") * 2))
    )
    jobs, _ = jobs_of(read_rows(tmp_path / "a.jsonl"), {})
    requests = [job.request for job in jobs]
    assert [request.prompt for request in requests if isinstance(request, TextRequest)] == ["0", "2", "1", "3"]
    assert all(request_from(request.plain()) == request for request in requests)


def test_of_two_workers_that_write_one_result_the_first_is_kept(tmp_path: Path) -> None:
    """Rows that say the same have one result, and none of them fails for that."""
    target = tmp_path / "a.png"
    for content in (b"first", b"second"):
        staged = temporary.folder_beside(target)
        for name in ("a-left.png", "a-right.png"):
            (staged / name).write_bytes(content)
        assert publish(staged, target) == tmp_path / "a"
        temporary.remove(staged)
    assert {path.read_bytes() for path in (tmp_path / "a").iterdir()} == {b"first"}


def test_photos_whose_names_differ_in_case_alone_have_results_of_their_own(
    photos: Path, batch: Batch, tmp_path: Path
) -> None:
    (photos / "000.png").rename(photos / "a.png")
    (photos / "001.png").rename(photos / "A.png")
    results = [str(entry.result) for entry in batch(photos, tmp_path / "out")]
    assert len({name.lower() for name in results}) == 3
