"""Runs that are whole, broken off, killed, and started again."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.forking import forked
from tests.metrics.flowing import CorrelationNetwork

from stereodiffusion.bench import evaluation
from stereodiffusion.bench.evaluation import Failure, Outcome
from stereodiffusion.bench.pace import Pace
from stereodiffusion.bench.plan import Plan
from stereodiffusion.bench.protocols import CaseKind, Preparation
from stereodiffusion.bench.results import ROWS, Row, read_rows
from stereodiffusion.bench.runs import missing_jobs, run
from stereodiffusion.bench.tables import make_tables
from stereodiffusion.datasets import StereoDataset, open_dataset, open_scenes
from stereodiffusion.errors import ConfigError, ModelUnavailableError, ResultsError
from stereodiffusion.formats import read_image, write_image, write_map
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import MATCHED, FlowMatcher, flow, psnr
from stereodiffusion.models.backbones import load_backbone
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.conditioning import Prompted
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.run import Run
from stereodiffusion.synthesis.stereo import pair_beside

pytestmark = pytest.mark.long

METRIC = CaseKind(protocol="metric", disparity="truth")


def plan_of(dataset: StereoDataset, *methods: str, kinds: tuple[CaseKind, ...] = (METRIC,)) -> Plan:
    return Plan(dataset=dataset, kinds=kinds, methods=methods, preparation=Preparation(size=64))


def rows_of(outcomes: Iterable[Outcome]) -> list[Row]:
    rows = list(outcomes)
    assert all(isinstance(row, Row) for row in rows)
    return [row for row in rows if isinstance(row, Row)]


def lines(rows: Iterable[Row]) -> list[str]:
    """Rows that can be compared: in JSON what does not exist is equal to itself."""
    return [row.to_json() for row in rows]


def test_every_scene_and_method_has_a_row_and_a_picture(scenes: StereoDataset, tmp_path: Path) -> None:
    plan = plan_of(scenes, "identity", "stretch")
    rows = rows_of(run(plan, tmp_path))
    assert [(row.job.scene, row.job.method) for row in rows] == [
        (scene, method) for scene in scenes.scenes for method in ("identity", "stretch")
    ]
    assert lines(read_rows(tmp_path)) == lines(rows)
    for row in rows:
        right = read_image(tmp_path / row.job.picture)
        truth = read_image(tmp_path / row.job.picture.parents[1] / "right-64.png")
        assert row.metrics["psnr"] == pytest.approx(float(psnr(right, truth)), abs=0.02)  # the truth was rounded
        assert row.evaluations == 0
        assert row.seconds >= 0
        assert row.versions["torch"] == torch.__version__
    identity = read_image(tmp_path / rows[0].job.picture)
    left = read_image(tmp_path / rows[0].job.picture.parents[1] / "left-64.png")
    assert torch.equal(identity, left)


def test_a_second_start_computes_nothing(scenes: StereoDataset, tmp_path: Path) -> None:
    plan = plan_of(scenes, "identity")
    rows_of(run(plan, tmp_path))
    written = (tmp_path / ROWS).read_bytes()
    assert missing_jobs(plan, tmp_path) == ()
    assert list(run(plan, tmp_path)) == []
    assert (tmp_path / ROWS).read_bytes() == written


def test_only_what_is_new_is_computed(scenes: StereoDataset, tmp_path: Path) -> None:
    rows_of(run(plan_of(scenes, "identity"), tmp_path))
    more = rows_of(run(plan_of(scenes, "identity", "blank"), tmp_path))
    assert {row.job.method for row in more} == {"blank"}


def test_a_run_that_is_broken_off_goes_on(scenes: StereoDataset, tmp_path: Path) -> None:
    plan = plan_of(scenes, "identity", "blank")
    outcomes = run(plan, tmp_path)
    first = rows_of(islice(outcomes, 3))
    del outcomes
    rest = rows_of(run(plan, tmp_path))
    assert lines(read_rows(tmp_path)) == lines([*first, *rest])
    assert len({row.job.key for row in read_rows(tmp_path)}) == 6


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # workers are children of one with threads
def test_workers_compute_the_same_rows(scenes: StereoDataset, tmp_path: Path) -> None:
    plan = plan_of(scenes, "identity", "stretch")
    alone = {row.job.key: row.metrics for row in rows_of(run(plan, tmp_path / "alone"))}
    together = {row.job.key: row.metrics for row in rows_of(run(plan, tmp_path / "together", workers=2))}
    assert json.dumps(together, sort_keys=True) == json.dumps(alone, sort_keys=True)  # NaN equals NaN


@pytest.mark.skipif(sys.platform == "win32", reason="left out: Windows has no SIGKILL")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child of one with threads
def test_a_killed_run_loses_at_most_the_picture_in_work(tmp_path: Path) -> None:
    dataset = open_scenes(12, size=(64, 64))
    plan = plan_of(dataset, "identity", "blank", "stretch")
    finished = tmp_path / "finished"

    def work() -> None:
        with finished.open("w", buffering=1) as file:
            for row in run(plan, tmp_path / "results"):
                assert isinstance(row, Row)
                file.write(f"{row.job.key}\n")

    child = forked(work)
    while not finished.exists() or len(finished.read_text().splitlines()) < 5:
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    before = read_rows(tmp_path / "results")
    assert {row.job.key for row in before} >= set(finished.read_text().splitlines())
    assert len(before) < 36
    after = rows_of(run(plan, tmp_path / "results"))
    assert not {row.job.key for row in before} & {row.job.key for row in after}
    assert len(before) + len(after) == 36
    assert lines(read_rows(tmp_path / "results")) == lines([*before, *after])


def test_a_broken_scene_is_named_and_the_others_go_on(scenes: StereoDataset, tmp_path: Path) -> None:
    for number, name in enumerate(scenes.scenes):
        sample = scenes.read(name)
        assert sample.disparity is not None
        folder = tmp_path / "data" / f"scene{number}"
        folder.mkdir(parents=True)
        write_image(folder / "im0.png", sample.left)
        write_image(folder / "im1.png", sample.right)
        write_map(folder / "disp0.pfm", sample.disparity)
    broken = tmp_path / "data" / "scene1" / "im1.png"
    broken.write_bytes(broken.read_bytes()[:1000])

    plan = plan_of(open_dataset("middlebury", tmp_path / "data"), "identity", "blank")
    outcomes = list(run(plan, tmp_path / "results"))
    (failure,) = (outcome for outcome in outcomes if isinstance(outcome, Failure))
    assert failure.what == "scene1"
    assert str(broken) in failure.reason
    assert [job.method for job in failure.jobs] == ["identity", "blank"]
    assert {outcome.job.scene for outcome in outcomes if isinstance(outcome, Row)} == {"scene0", "scene2"}
    assert len(missing_jobs(plan, tmp_path / "results")) == 2  # tried again when it is mended


def test_a_protocol_that_a_scene_does_not_allow_leaves_the_others(
    scenes: StereoDataset, estimator: str, tmp_path: Path
) -> None:
    blind = replace(scenes, scenes=scenes.scenes[:1], reader=lambda name: replace(scenes.read(name), disparity=None))
    kinds = (METRIC, CaseKind(protocol="leak-free", disparity="estimated"))
    plan = plan_of(blind, "identity", kinds=kinds)
    plan = replace(plan, preparation=Preparation(size=64, estimator=estimator))
    failure, row = run(plan, tmp_path)
    assert isinstance(failure, Failure)
    assert isinstance(row, Row)
    assert "metric protocol" in failure.what
    assert row.job.protocol == "leak-free"
    assert row.job.settings["estimator"] == estimator


def test_a_method_with_a_model_says_what_it_cost(scenes: StereoDataset, model: str, tmp_path: Path) -> None:
    dataset = replace(scenes, scenes=scenes.scenes[:1])
    plan = replace(plan_of(dataset, "sd-fast", "identity"), model=model, steps=5, seed=3)
    fast, identity = rows_of(run(plan, tmp_path))
    assert identity.job.settings == {"size": "64"}
    assert fast.job.settings == {"size": "64", "model": model, "dtype": "float32", "steps": 5, "seed": 3}
    sample = dataset.read(dataset.scenes[0])
    config = preset("fast", "photo").changed({"sampling.steps": 5})
    asked = Prompted(prompts=[""], seed=3)
    made = photo_source(load_backbone(model), sample.left, cast(Disparity, sample.disparity), asked, config)
    assert fast.evaluations == sum(step.evaluations for step in Run(pair_beside(made))) > 5
    assert fast.peak_memory_mb > 100


def test_metrics_that_are_missing_are_measured_without_computing_the_picture_again(
    scenes: StereoDataset, tmp_path: Path
) -> None:
    plan = plan_of(scenes, "identity", "blank")
    rows = rows_of(run(plan, tmp_path))
    kept = [tmp_path / row.job.picture for row in rows]
    stamps = [path.stat().st_mtime_ns for path in kept]
    stale = [replace(row, seconds=77.0) for row in rows]
    (tmp_path / ROWS).write_text("\n".join(lines(stale)) + "\n")
    wanted = replace(plan, perceptual=("stlpips_alex",))
    assert len(missing_jobs(wanted, tmp_path)) == len(rows)
    pytest.importorskip("stlpips_pytorch", reason="left out: the extra stlpips is not installed")
    again = rows_of(run(wanted, tmp_path))
    assert [path.stat().st_mtime_ns for path in kept] == stamps
    assert all(row.seconds == 77 for row in again)
    assert all(row.metrics.keys() > {"psnr", "stlpips_alex", "stlpips_alex_visible"} for row in again)
    assert lines(read_rows(tmp_path)) == lines(again)
    assert missing_jobs(wanted, tmp_path) == ()


def test_two_runs_do_not_write_to_one_folder(scenes: StereoDataset, tmp_path: Path) -> None:
    first = run(plan_of(scenes, "identity"), tmp_path)
    next(first)
    with pytest.raises(ResultsError, match="another run"):
        list(run(plan_of(scenes, "identity"), tmp_path))
    rows_of(first)


def test_plans_are_of_things_that_are_there(scenes: StereoDataset) -> None:
    with pytest.raises(ConfigError, match="no method 'telepathy'"):
        plan_of(scenes, "telepathy")
    with pytest.raises(ConfigError, match="expected methods"):
        plan_of(scenes)


def test_the_time_left_is_reckoned_method_by_method(scenes: StereoDataset, tmp_path: Path) -> None:
    plan = plan_of(scenes, "identity", "blank")
    jobs = [job for job, _ in missing_jobs(plan, tmp_path)]
    pace = Pace(jobs, workers=2)
    assert pace.seconds_left(1.0) is None
    blank = Row(job=jobs[1], metrics={}, facts={}, seconds=8.0, evaluations=0, peak_memory_mb=0.0, versions={})
    identity = replace(blank, job=jobs[0], seconds=0.0)
    pace.add(identity)
    pace.add(blank)
    # Two rows took 2 workers 5 s, 8 of these 10 the methods and 1 around each: 2 x (0 + 1) + 2 x (8 + 1) are left.
    assert pace.seconds_left(5.0) == pytest.approx(20 / 2)
    pace.give_up(jobs[2:4])
    assert pace.seconds_left(5.0) == pytest.approx(10 / 2)
    assert (pace.total, pace.done, pace.given_up) == (6, 4, 2)


def test_another_matcher_measures_besides_and_leaves_what_was_measured(
    scenes: StereoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(replace(scenes, scenes=scenes.scenes[:1]), "identity", "stretch")
    before = rows_of(run(plan, tmp_path))
    stamps = [(tmp_path / row.job.picture).stat().st_mtime_ns for row in before]
    asked: list[str] = []

    def load(name: str, *, device: str) -> FlowMatcher:
        asked.append(name)
        return FlowMatcher(network=CorrelationNetwork(), device=device)

    monkeypatch.setattr(evaluation, "load_matcher", load)
    wanted = replace(plan, matcher="raft_small")
    after = rows_of(run(wanted, tmp_path))
    assert asked == ["raft_small"]
    assert [(tmp_path / row.job.picture).stat().st_mtime_ns for row in after] == stamps
    for old, new in zip(before, after, strict=True):
        assert new.job == old.job
        assert new.metrics.keys() == old.metrics.keys() | {f"{name}_raft_small" for name in MATCHED}
        assert lines([replace(new, metrics={name: new.metrics[name] for name in old.metrics})]) == lines([old])
        assert new.metrics["lr_consistency_raft_small"] != new.metrics["lr_consistency"]
    assert missing_jobs(wanted, tmp_path) == missing_jobs(plan, tmp_path) == ()
    assert len(missing_jobs(replace(plan, matcher="raft_large"), tmp_path)) == 2

    tables = [table for table in make_tables(after) if table.name == "Pair"]
    assert [table.caption for table in tables] == [
        "The two eyes together",
        "The two eyes together, disparity measured by raft_small",
    ]
    (stretched,) = (line for line in tables[1].lines if line.method == "stretch")
    assert stretched.ours["epe_raft_small"].mean == after[1].metrics["epe_raft_small"]


def test_metrics_measured_before_are_kept_when_others_are_added(
    scenes: StereoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, *, device: str) -> FlowMatcher:
        return FlowMatcher(network=CorrelationNetwork(), device=device)

    monkeypatch.setattr(evaluation, "load_matcher", load)
    plan = plan_of(replace(scenes, scenes=scenes.scenes[:1]), "identity")
    for matcher in ("raft_large", "raft_small"):
        (row,) = rows_of(run(replace(plan, matcher=matcher), tmp_path))
    assert row.metrics.keys() >= {"epe", "epe_raft_large", "epe_raft_small"}


def test_a_network_that_is_not_there_is_missed_before_any_picture(
    scenes: StereoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "find_spec", lambda package: None)
    with pytest.raises(ModelUnavailableError, match="raft_large needs its network"):
        list(run(replace(plan_of(scenes, "identity"), matcher="raft_large"), tmp_path))
    assert not list(tmp_path.glob("pictures/**/*.png"))


@pytest.mark.parametrize("asked", [{"pairwise": ("isqoe",)}, {"perceptual": ("lpips_alex",)}])
def test_a_network_that_is_not_there_is_said_before_there_is_a_folder(
    asked: dict[str, Any], scenes: StereoDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("stereodiffusion.metrics.perceptual.find_spec", lambda _: None)
    with pytest.raises(ModelUnavailableError, match="needs"):
        list(run(replace(plan_of(scenes, "identity"), **asked), tmp_path / "results"))
    assert not (tmp_path / "results").exists()
