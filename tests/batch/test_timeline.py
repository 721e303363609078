"""Which stage went on when: shares of time, and the trace of a batch."""

import json
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.batch.killing import contents

from stereodiffusion.batch import Making, Output, jobs_of, read_rows
from stereodiffusion.batch.making import IN_HAND, Maker, Staged
from stereodiffusion.batch.timeline import Span, Watch, chrome_trace, overlap
from stereodiffusion.synthesis import StereoDiffusion

pytestmark = pytest.mark.long


def span(began: float, ended: float, *, networks: bool = False, hand: int = 0) -> Span:
    return Span(stage="a", networks=networks, began=began, ended=ended, worker="w", hand=hand)


def test_overlap_is_what_counting_instants_says() -> None:
    assert overlap([]) == 0
    assert overlap([span(0, 1), span(1, 2)]) == 0
    assert overlap([span(0, 2), span(1, 2)]) == 0.5
    draw = random.Random(0)
    ends = [sorted(draw.sample(range(1000), 2)) for _ in range(20)]
    counts = [sum(began <= at < ended for began, ended in ends) for at in range(1000)]
    counted = sum(count > 1 for count in counts) / sum(count > 0 for count in counts)
    assert overlap([span(*each) for each in ends]) == pytest.approx(counted)


def test_a_stage_that_fails_has_its_span() -> None:
    watch = Watch()
    with pytest.raises(ValueError, match="no"), watch.timed("reading"):
        raise ValueError("no")
    (found,) = watch.spans
    assert found.ended >= found.began


def test_a_batch_has_the_networks_for_one_picture_at_a_time_and_the_bytes_of_one_after_another(
    photos: Path, model: Path, estimator: Path, tmp_path: Path
) -> None:
    """`best` moves pixels, snaps borders and fills occlusions."""
    defaults = {"model": str(model), "estimator": str(estimator), "preset": "best", "changes": {"sampling.steps": 4}}
    jobs, _ = jobs_of(read_rows(photos), defaults)
    for name in ("alone", "beside"):
        (tmp_path / name).mkdir()
    alone = Maker(Making(folder=tmp_path / "alone", output=Output()))
    for job in jobs:
        list(alone(job))
    work = Staged(Making(folder=tmp_path / "beside", output=Output()))
    with ThreadPoolExecutor(IN_HAND) as threads:
        entries = [entry for made in threads.map(lambda job: list(work(job)), jobs) for entry in made]
    assert contents(tmp_path / "beside") == contents(tmp_path / "alone")
    spans = [each for entry in entries for each in entry.spans]
    assert {each.stage for each in spans} == {
        *("reading", "depth", "borders", "inversion", "warping", "view", "writing"),
    }
    for alike in ([each for each in spans if each.networks], [each for each in spans if each.stage == "reading"]):
        assert overlap(alike) == 0  # one at a time
    # A thread works on one picture at a time, so that a trace can show it as a line.
    for hand in {each.hand for each in spans}:
        assert overlap([each for each in spans if each.hand == hand]) == 0
    assert all("spans" not in entry.to_json() for entry in entries)

    events = json.loads(chrome_trace((entry.input, entry.spans) for entry in entries))["traceEvents"]
    drawn = [event for event in events if event["ph"] == "X"]
    assert sum(event["dur"] for event in drawn) / 1e6 == pytest.approx(sum(each.seconds for each in spans), abs=1e-4)
    assert {event["args"]["input"] for event in drawn} == {str(path) for path in photos.iterdir()}
    assert {event["cat"] for event in drawn if event["name"] in ("depth", "inversion", "view")} == {"networks"}
    assert {event["pid"] for event in drawn} == {event["pid"] for event in events if event["ph"] == "M"}


def test_nothing_is_loaded_beside_drawing(
    photos: Path, model: Path, estimator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    named = [{"photo": str(photo), "model": str(each)} for each in (model, other) for photo in sorted(photos.iterdir())]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, named)))
    defaults = {"estimator": str(estimator), "preset": "fast", "changes": {"sampling.steps": 2}}
    jobs, _ = jobs_of(read_rows(tmp_path / "a.jsonl"), defaults)
    (tmp_path / "out").mkdir()
    load, moments = Making.load, list[float]()

    def loading(self: Making, name: str) -> StereoDiffusion:
        moments.append(time.monotonic())
        return load(self, name)

    monkeypatch.setattr(Making, "load", loading)
    work = Staged(Making(folder=tmp_path / "out", output=Output()))
    with ThreadPoolExecutor(IN_HAND) as threads:
        entries = [entry for made in threads.map(lambda job: list(work(job)), jobs) for entry in made]
    drawn = [each for entry in entries for each in entry.spans if each.stage not in ("reading", "writing")]
    assert len(moments) >= 2
    assert not [each for each in drawn for moment in moments if each.began < moment < each.ended]
