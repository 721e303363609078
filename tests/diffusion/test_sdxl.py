"""The method's laws on SDXL's topology: a pooled vector beside the tokens, deeper transformers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest
import torch
from tests import tiny
from tests.diffusion.sources import source
from torch import Tensor

from stereodiffusion.diffusion.denoise import Conditioning, Step
from stereodiffusion.diffusion.inversion import invert, null_text
from stereodiffusion.diffusion.schedule import Schedule, ddim_schedule
from stereodiffusion.diffusion.shift import CellMap
from stereodiffusion.diffusion.source import Target
from stereodiffusion.diffusion.trajectory import Recorder, recorder, sample_source
from stereodiffusion.diffusion.views import both_views, split_views, view_beside
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion, StableDiffusionXL

STEPS = 10


@pytest.fixture(scope="module")
def xl() -> StableDiffusion:
    return StableDiffusionXL.from_pipeline(tiny.xl_pipeline(), name="tiny-xl")


@pytest.fixture(scope="module")
def schedule(xl: StableDiffusion) -> Schedule:
    return ddim_schedule(xl.alphas, STEPS)


@pytest.fixture
def moved(relief: Tensor) -> CellMap:
    """Where the cells of two pictures of 64 x 128 pixels go."""
    return tiny.cells(Disparity.from_pixels(relief * 24), tiny.settings())


def noise(seed: int) -> Tensor:
    return torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(seed))


def prompted(backbone: StableDiffusion, guidance: float) -> Conditioning:
    return Conditioning(
        embedding=backbone.embed(["a red ball", "a blue cube"]),
        unconditional=backbone.embed(["a grey wall", ""]) if guidance > 1 else None,
        guidance=guidance,
    )


def last(steps: Iterator[Step]) -> Tensor:
    *_, final = steps
    return final.latents


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_recorded_and_joint_give_the_same_right_view(
    guidance: float, xl: StableDiffusion, schedule: Schedule, moved: CellMap
) -> None:
    config = tiny.settings({"sampling.steps": STEPS, "guidance.scale": guidance, "shift.deblur": True})
    given, x, fresh = prompted(xl, guidance), noise(1), noise(2)
    record = recorder(xl, config)
    left = last(sample_source(xl, x, [given] * STEPS, schedule, record))
    recorded = source(xl, record.trajectory(), given, schedule, config, fresh)
    wanted = Target(cells=moved, given=recorded.given)
    right = last(view_beside(recorded, wanted))
    joint = source(xl, x, given, schedule, config.changed({"views": "together"}), fresh)
    left_joint, right_joint = split_views(last(both_views(joint, wanted)))
    torch.testing.assert_close(left, left_joint, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(right, right_joint, rtol=1e-4, atol=1e-4)
    off = config.changed({"views.attention.mode": "off"})
    apart = last(view_beside(replace(recorded, settings=off), wanted))
    assert (apart - right).abs().max() > 1e-2  # what is shared matters far more than that tolerance


def test_unidirectional_attention_leaves_the_left_unchanged(
    xl: StableDiffusion, schedule: Schedule, moved: CellMap
) -> None:
    given, x = prompted(xl, 3.0), noise(1)

    def left_of(attention: Literal["off", "unidirectional", "bidirectional"]) -> Tensor:
        config = tiny.settings(
            {"sampling.steps": STEPS, "guidance.scale": 3.0, "views": "together", "views.attention.mode": attention}
        )
        own = source(xl, x, given, schedule, config, noise(2))
        return split_views(last(both_views(own, Target(cells=moved, given=own.given))))[0]

    alone = last(sample_source(xl, x, [given] * STEPS, schedule, Recorder(layers=(), indices=())))
    torch.testing.assert_close(left_of("unidirectional"), alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(left_of("off"), alone, rtol=1e-5, atol=1e-5)
    assert (left_of("bidirectional") - alone).abs().max() > 1e-3


def test_null_text_optimises_the_tokens_and_keeps_the_pooled_vector(xl: StableDiffusion) -> None:
    schedule = ddim_schedule(xl.alphas, 4, offset=0)
    given = prompted(xl, 7.5)
    assert given.unconditional is not None
    record = Recorder(layers=(), indices=())
    last(invert(xl, noise(1), given, schedule, record, label="there"))
    found: list[Conditioning] = []
    last(null_text(xl, record.trajectory().latents, given, schedule, found))
    assert len(found) == 4
    for conditioning in found:
        assert conditioning.unconditional is not None
        assert conditioning.unconditional.pooled is given.unconditional.pooled
        assert (conditioning.unconditional.tokens - given.unconditional.tokens).abs().max() > 1e-3
