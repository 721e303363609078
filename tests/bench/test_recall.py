"""An inversion that is computed once and paid for each time."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stereodiffusion.bench.evaluation import Evaluator
from stereodiffusion.bench.plan import Plan
from stereodiffusion.bench.protocols import CaseKind, Preparation
from stereodiffusion.bench.recall import RecalledInversion
from stereodiffusion.bench.results import Row
from stereodiffusion.bench.tools import CountingBackbone
from stereodiffusion.datasets import StereoDataset
from stereodiffusion.formats import read_image
from stereodiffusion.models.backbones import load_backbone
from stereodiffusion.settings import Sampling
from stereodiffusion.synthesis.retrace import Retraced, retrace
from stereodiffusion.synthesis.run import Progress
from stereodiffusion.types import Latent

pytestmark = pytest.mark.long

METRIC = CaseKind(protocol="metric", disparity="truth")
PAPER = CaseKind(protocol="paper", disparity="truth")


@pytest.fixture
def plan(scenes: StereoDataset, model: str) -> Plan:
    return Plan(
        dataset=replace(scenes, scenes=scenes.scenes[:2]),
        kinds=(METRIC, PAPER),
        methods=("sd-paper", "sd-paper-none"),
        preparation=Preparation(size=64),
        model=model,
        steps=2,
    )


def rows_of(plan: Plan, folder: Path, scene: str) -> list[Row]:
    rows = list(Evaluator(plan, folder).scene(scene, {job.key: None for _, job in plan.jobs(scene)}))
    assert all(isinstance(row, Row) for row in rows)
    return [row for row in rows if isinstance(row, Row)]


def test_methods_that_share_an_inversion_make_and_cost_what_they_do_alone(plan: Plan, tmp_path: Path) -> None:
    scene = plan.dataset.scenes[0]
    together = rows_of(plan, tmp_path / "together", scene)
    assert len(together) == 4
    for row in together:
        kind = CaseKind(protocol=row.job.protocol, disparity="truth")
        (alone,) = rows_of(replace(plan, kinds=(kind,), methods=(row.job.method,)), tmp_path / "alone", scene)
        pictures = (read_image(tmp_path / folder / row.job.picture) for folder in ("together", "alone"))
        assert torch.equal(*pictures)
        assert row.evaluations == alone.evaluations


def result(inversion: Generator[Progress, None, Retraced]) -> Retraced:
    while True:
        try:
            next(inversion)
        except StopIteration as ended:
            return ended.value


def latents(seed: int) -> Latent:
    return torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


def test_what_is_recalled_is_what_was_found_and_what_it_cost(model: str) -> None:
    backbone = CountingBackbone(load_backbone(model))
    schedule = backbone.schedule(Sampling(steps=2, offset=0), (8, 8))
    inversion = RecalledInversion()

    def found(z_0: Latent, prompt: str = "", guidance: float = 7.5) -> Retraced:
        return result(inversion(backbone, z_0, [prompt], schedule, guidance))

    first = found(latents(0))
    cost = backbone.evaluations
    assert cost > 0
    assert inversion.recalled == []
    assert found(latents(0).clone()) is first
    assert backbone.evaluations == cost
    assert [spent.evaluations for spent in inversion.recalled] == [cost]
    assert inversion.recalled[0].seconds > 0
    assert inversion.recalled[0].peak_memory_mb > 100

    for other in (found(latents(1)), found(latents(0), "a ball"), found(latents(0), guidance=2.0)):
        assert other is not first
    assert len(inversion.recalled) == 1

    again = result(retrace(backbone, latents(0), [""], schedule, 7.5))
    assert torch.equal(again.start, first.start)
    for one, other in zip(again.given, first.given, strict=True):
        assert one.unconditional is not None
        assert other.unconditional is not None
        assert torch.equal(one.unconditional.tokens, other.unconditional.tokens)
