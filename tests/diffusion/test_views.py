"""The whole method on latents, against the authors' method written out literally, and its laws."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests import tiny
from tests.diffusion import literal
from tests.diffusion.sources import source
from torch import Tensor

from stereodiffusion.diffusion.denoise import Conditioning, Step, Transition
from stereodiffusion.diffusion.inversion import invert, null_text
from stereodiffusion.diffusion.schedule import Schedule, VariancePreserving, ddim_schedule, ddim_step
from stereodiffusion.diffusion.shift import CellMap, deblur, resync_copy, resync_mixed, stereo_shift
from stereodiffusion.diffusion.solver import State
from stereodiffusion.diffusion.source import Target
from stereodiffusion.diffusion.trajectory import Recorder, Trajectory, recorder, remember, sample_source
from stereodiffusion.diffusion.views import both_views, split_views, view_beside
from stereodiffusion.errors import ConfigError, GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

GRID = (2, 4, 8, 16)
"""Two pictures of 64 x 128 pixels."""


def noise(seed: int, shape: Sequence[int] = GRID) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def prompted(backbone: StableDiffusion, guidance: float, count: int = 2, depth: Tensor | None = None) -> Conditioning:
    return Conditioning(
        embedding=backbone.embed(["a red ball", "a blue cube"][:count]),
        unconditional=backbone.embed([""] * count) if guidance > 1 else None,
        guidance=guidance,
        concat=depth,
    )


def sampled(
    backbone: StableDiffusion, x: Tensor, given: Conditioning, schedule: Schedule, config: Settings
) -> Trajectory:
    record = recorder(backbone, config)
    for _ in sample_source(backbone, x, [given] * schedule.steps, schedule, record):
        pass
    return record.trajectory()


def last(steps: Any) -> Tensor:
    final: Step | None = None
    for step in steps:
        final = step
    assert final is not None
    return final.latents


@pytest.mark.parametrize(  # every pair of choices once
    ("kind", "direction", "with_deblur", "steps"),
    [
        ("epsilon", "unidirectional", False, 50),
        ("epsilon", "bidirectional", True, 20),
        ("v_prediction", "unidirectional", True, 20),
        ("v_prediction", "bidirectional", False, 20),
        ("depth", "unidirectional", False, 20),
        ("depth", "bidirectional", True, 50),
    ],
)
def test_paper_preset_is_the_authors_method_at_every_step(
    kind: tiny.Kind, direction: Any, with_deblur: bool, steps: int, relief: Tensor
) -> None:
    pipe = tiny.pipeline(kind)
    backbone = StableDiffusion.from_pipeline(pipe, name="tiny")
    config = preset("paper", "text").changed(
        {"views.attention.mode": direction, "shift.deblur": with_deblur, "sampling.steps": steps}
    )
    schedule = ddim_schedule(backbone.alphas, steps, offset=1)
    disparity = Disparity.from_pixels(relief)
    depth = literal.unit(noise(3, (2, 1, 8, 16))) * 2 - 1 if kind == "depth" else None
    given = prompted(backbone, config.guidance.scale, depth=depth)
    x, fresh = noise(1), noise(2)

    cells = tiny.cells(disparity, config)
    own = source(backbone, x, given, schedule, config, fresh)
    ours = list(both_views(own, Target(cells=cells, given=own.given)))

    pipe.scheduler.set_timesteps(steps)
    assert given.unconditional is not None
    theirs = literal.run(
        pipe.unet,
        pipe.scheduler,
        x,
        [given.unconditional.tokens] * steps,
        given.embedding.tokens,
        relief,
        offset=1,
        guidance=9.0,
        direction=direction,
        deblur_noise=fresh if with_deblur else None,
        depth=depth,
        steps=steps,
    )
    assert len(ours) == steps
    for step, (left, right) in zip(ours, theirs, strict=True):
        our_left, our_right = split_views(step.latents)
        torch.testing.assert_close(our_left, left, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(our_right, right, rtol=1e-4, atol=1e-4)
    assert not torch.equal(theirs[-1][0], theirs[-1][1])


@pytest.mark.parametrize(  # every pair of choices once or more
    ("kind", "resync", "guidance"),
    [
        ("epsilon", "copy", 1.0),
        ("epsilon", "mixed", 9.0),
        ("epsilon", "off", 1.0),
        ("v_prediction", "copy", 9.0),
        ("v_prediction", "mixed", 1.0),
        ("v_prediction", "off", 9.0),
        ("depth", "copy", 1.0),
        ("depth", "mixed", 9.0),
        ("depth", "off", 9.0),
    ],
)
def test_recorded_and_joint_give_the_same_right_view(
    kind: tiny.Kind, resync: Any, guidance: float, relief: Tensor
) -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline(kind), name="tiny")
    config = tiny.settings(
        {"sampling.steps": 20, "guidance.scale": guidance, "views.resync.how": resync, "shift.deblur": True}
    )
    joint = config.changed({"views": "together"})
    schedule = ddim_schedule(backbone.alphas, 20)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    depths = literal.unit(noise(3, (2, 2, 1, 8, 16)).flatten(0, 1)).mul(2).sub(1).chunk(2) if kind == "depth" else None
    left_given = prompted(backbone, guidance, depth=depths[0] if depths else None)
    right_given = prompted(backbone, guidance, depth=depths[1] if depths else None)
    x, fresh = noise(1), noise(2)

    left = sampled(backbone, x, left_given, schedule, config)
    wanted = Target(cells=cells, given=[right_given] * 20)
    right = last(view_beside(source(backbone, left, left_given, schedule, config, fresh), wanted))
    together = last(both_views(source(backbone, x, left_given, schedule, joint, fresh), wanted))
    left_together, right_together = split_views(together)
    torch.testing.assert_close(left.clean, left_together, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(right, right_together, rtol=1e-4, atol=1e-4)


def test_recorded_and_joint_agree_on_an_inverted_photo(backbone: StableDiffusion, relief: Tensor) -> None:
    config = preset("fast", "photo").changed({"sampling.steps": 20})
    schedule = ddim_schedule(backbone.alphas, 20, offset=0)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    given = prompted(backbone, 1.0)
    record = recorder(backbone, config)
    z_0 = noise(1) * 0.8
    last(invert(backbone, z_0, given, schedule, record))
    left, fresh = record.trajectory(), noise(2)
    recorded, wanted = source(backbone, left, given, schedule, config, fresh), Target(cells=cells, given=[given] * 20)
    alone = last(view_beside(recorded, wanted))
    joint = config.changed({"views": "together"})
    together = last(both_views(source(backbone, left, given, schedule, joint, fresh, pinned=True), wanted))
    left_together, right_together = split_views(together)
    assert torch.equal(left_together, z_0)
    torch.testing.assert_close(alone, right_together, rtol=1e-4, atol=1e-4)


def test_what_inversion_remembers_is_what_denoising_along_it_reads(backbone: StableDiffusion) -> None:
    config = preset("fast", "photo").changed({"sampling.steps": 10})
    schedule = ddim_schedule(backbone.alphas, 10, offset=0)
    given = prompted(backbone, 1.0)
    inverting, replaying = recorder(backbone, config), recorder(backbone, config)
    last(invert(backbone, noise(1), given, schedule, inverting))
    path = inverting.trajectory()
    last(remember(backbone, path.latents, [given] * 10, schedule, replaying))
    assert sorted(inverting.tokens) == sorted(replaying.tokens) == list(range(3, 10))
    for index, layers in inverting.tokens.items():
        assert sorted(layers) == list(range(4))
        for layer, tokens in layers.items():
            torch.testing.assert_close(tokens, replaying.tokens[index][layer], rtol=1e-5, atol=1e-5)


def test_unidirectional_attention_leaves_the_left_unchanged(backbone: StableDiffusion, relief: Tensor) -> None:
    config = tiny.settings({"sampling.steps": 10, "guidance.scale": 3.0, "views": "together"})
    schedule = ddim_schedule(backbone.alphas, 10)
    given, x = prompted(backbone, 3.0), noise(1)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    alone = sampled(backbone, x, given, schedule, config.changed({"views": "after-source"})).clean
    both = {
        direction: split_views(
            last(
                both_views(
                    source(backbone, x, given, schedule, config.changed({"views.attention.mode": direction}), noise(2)),
                    Target(cells=cells, given=[given] * 10),
                )
            )
        )[0]
        for direction in ("unidirectional", "bidirectional", "off")
    }
    torch.testing.assert_close(both["unidirectional"], alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both["off"], alone, rtol=1e-5, atol=1e-5)
    assert (both["bidirectional"] - alone).abs().max() > 1e-3


def test_without_any_technique_zero_disparity_gives_the_left_twice(backbone: StableDiffusion) -> None:
    config = tiny.settings(
        {"sampling.steps": 10, "guidance.scale": 3.0, "views.resync.how": "off", "views.attention.mode": "off"}
    )
    schedule = ddim_schedule(backbone.alphas, 10)
    given = prompted(backbone, 3.0)
    left = sampled(backbone, noise(1), given, schedule, config)
    identity = CellMap(source=torch.arange(16).expand(2, 1, 8, 16))
    recorded = source(backbone, left, given, schedule, config, noise(2))
    right = last(view_beside(recorded, Target(cells=identity, given=recorded.given)))
    torch.testing.assert_close(right, left.clean, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "switched",
    [{"views.resync.how": "off"}, {"views.resync.how": "mixed"}, {"views.attention.mode": "off"},
     {"shift.deblur": True}, {"views.attention.places": ("up",)}, {"views.attention.start": 0.6},
     {"views.attention.stop": 0.5}, {"shift.at": 0.4}, {"views.resync.every": 0.1}],
    ids=str,
)  # fmt: skip
def test_every_switch_matters_on_its_own(backbone: StableDiffusion, relief: Tensor, switched: dict[str, Any]) -> None:
    base = tiny.settings({"sampling.steps": 10, "guidance.scale": 3.0})
    schedule = ddim_schedule(backbone.alphas, 10)
    given = prompted(backbone, 3.0)

    def right(config: Settings) -> Tensor:
        cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
        left = sampled(backbone, noise(1), given, schedule, config)
        recorded = source(backbone, left, given, schedule, config, noise(2))
        return last(view_beside(recorded, Target(cells=cells, given=recorded.given)))

    assert (right(base) - right(base.changed(switched))).abs().max() > 1e-3


def test_one_left_serves_several_right_views(backbone: StableDiffusion, relief: Tensor) -> None:
    config = tiny.settings({"sampling.steps": 10, "guidance.scale": 3.0})
    schedule = ddim_schedule(backbone.alphas, 10)
    given = prompted(backbone, 3.0)
    left = sampled(backbone, noise(1), given, schedule, config)
    recorded = source(backbone, left, given, schedule, config, noise(2))
    cells = [tiny.cells(Disparity.from_pixels(relief * px), config) for px in (24, 12, 24)]
    rights = [last(view_beside(recorded, Target(cells=each, given=recorded.given))) for each in cells]
    assert torch.equal(rights[0], rights[2])
    assert not torch.equal(rights[0], rights[1])


@pytest.mark.parametrize("resync", ["copy", "off"])
def test_coarse_right_steps_are_those_of_a_left_that_was_coarse(
    backbone: StableDiffusion, relief: Tensor, resync: Any
) -> None:
    """Of a left that was denoised in 20 steps, a right view that takes two at once needs every second level alone."""
    config = tiny.settings(
        {"sampling.steps": 20, "guidance.scale": 3.0, "views.resync.how": resync, "views.every": 0.1, "shift.at": 0.25}
    )
    schedule = ddim_schedule(backbone.alphas, 20)
    given, fresh = prompted(backbone, 3.0), noise(2)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    left = sampled(backbone, noise(1), given, schedule, config)
    recorded = source(backbone, left, given, schedule, config, fresh)
    steps = list(view_beside(recorded, Target(cells=cells, given=recorded.given)))
    assert [step.index for step in steps] == [5, 7, 9, 11, 13, 15, 17, 19]
    assert sorted(left.tokens) == [6, 8, 10, 12, 14, 16, 18]

    # The same by hand: levels 0, 2, 4 ... of the left are a left of ten steps, shifted after its step 2.
    halved = VariancePreserving(timesteps=schedule.timesteps[::2], alphas=schedule.alphas[::2])
    coarse_left = Trajectory(
        latents=left.latents[::2], tokens={index // 2: layers for index, layers in left.tokens.items()}
    )
    coarse = config.changed({"sampling.steps": 10, "views.every": 0.0})
    halfway = source(backbone, coarse_left, given, halved, coarse, fresh)
    by_hand = list(view_beside(halfway, Target(cells=cells, given=halfway.given)))
    assert coarse.shift_index == 2

    if resync == "off":
        torch.testing.assert_close(steps[-1].latents, by_hand[-1].latents, rtol=1e-5, atol=1e-5)
        return
    for step in steps[1:]:
        there = stereo_shift(left.latents[step.index + 1], cells)
        synced = bool(torch.where(cells.visible, step.latents == there, True).all())
        assert synced == (step.index in config.resync_indices)
    assert config.resync_indices == {9, 13}


@pytest.mark.parametrize("stop_after", [1, 4, 8])
def test_breaking_off_leaves_the_model_unpatched(backbone: StableDiffusion, relief: Tensor, stop_after: int) -> None:
    config = tiny.settings({"sampling.steps": 10, "guidance.scale": 3.0, "views": "together"})
    schedule = ddim_schedule(backbone.alphas, 10)
    given, x = prompted(backbone, 3.0), noise(1)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    before = backbone.predict(x, 500, given.embedding)
    own = source(backbone, x, given, schedule, config, noise(2))
    steps = both_views(own, Target(cells=cells, given=own.given))
    for _ in range(stop_after):
        next(steps)  # type: ignore[call-overload]
        assert torch.equal(backbone.predict(x, 500, given.embedding), before)
    assert not tiny.patched(backbone.unet)


def test_a_trajectory_that_does_not_remember_is_refused(backbone: StableDiffusion, relief: Tensor) -> None:
    config = tiny.settings({"sampling.steps": 10, "guidance.scale": 3.0})
    schedule = ddim_schedule(backbone.alphas, 10)
    given = prompted(backbone, 3.0)
    left = sampled(backbone, noise(1), given, schedule, config)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    recorded = source(backbone, left, given, schedule, config, noise(2))
    forgetful = replace(recorded, trajectory=Trajectory(latents=left.latents, tokens={}))
    with pytest.raises(ConfigError, match="does not remember the attention of step 3"):
        last(view_beside(forgetful, Target(cells=cells, given=recorded.given)))
    unguided = prompted(backbone, 1.0)
    with pytest.raises(ConfigError, match="recorded for 4 rows, now there are 2"):
        last(view_beside(recorded, Target(cells=cells, given=[unguided] * 10)))


# --- shift, SPSMD, deblur ------------------------------------------------------------------------------------------


def test_shift_moves_cells_and_reports_holes(cells: CellMap) -> None:
    left = noise(1, (1, 3, 8, 8))
    right = stereo_shift(left, cells)
    assert torch.equal(right[..., :-1], left[..., 1:])
    assert not right[..., -1].any()
    assert cells.occlusion.sum() == 8


def test_a_visible_cell_whose_value_is_zero_is_no_hole(cells: CellMap) -> None:
    left = torch.zeros(1, 3, 8, 8)
    fresh = torch.ones(1, 3, 8, 8)
    filled = deblur(stereo_shift(left, cells), cells, fresh)
    assert torch.equal(filled[..., -1], fresh[..., -1])
    assert not filled[..., :-1].any()


def test_copy_touches_visible_cells_only(cells: CellMap) -> None:
    left, right = noise(1, (1, 3, 8, 8)), noise(2, (1, 3, 8, 8))
    synced = resync_copy(State(latents=left), State(latents=right), cells).latents
    assert torch.equal(synced[..., :-1], left[..., 1:])
    assert torch.equal(synced[..., -1], right[..., -1])


def test_mixed_is_equation_six(cells: CellMap) -> None:
    left_s, x, eps = noise(1, (1, 3, 8, 8)), noise(2, (1, 3, 8, 8)), noise(3, (1, 3, 8, 8))
    a, b = 0.4, 0.5
    mixed = x.clone()
    mixed[..., :-1] = left_s[..., 1:]
    expected = b**0.5 * (mixed - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - b) ** 0.5 * eps
    levels = VariancePreserving(timesteps=(1,), alphas=(a, b))
    step = Transition(index=0, schedule=levels, x_t=x, predicted=eps, x_s=ddim_step(x, eps, a, b))
    torch.testing.assert_close(resync_mixed(left_s, step, cells), expected, rtol=1e-5, atol=1e-5)


def test_a_cell_map_of_another_grid_is_refused(cells: CellMap) -> None:
    with pytest.raises(GeometryError, match="the cell map is"):
        stereo_shift(noise(1, (1, 3, 8, 9)), cells)


# --- inversion -----------------------------------------------------------------------------------------------------


def test_inversion_there_is_diffusers_inverse_loop(backbone: StableDiffusion) -> None:
    from diffusers import DDIMInverseScheduler

    theirs = DDIMInverseScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False
    )
    theirs.set_timesteps(20)
    given = prompted(backbone, 1.0)
    z = z_0 = noise(1)
    with torch.no_grad():
        for t in theirs.timesteps.tolist():
            out = backbone.unet(z, t, encoder_hidden_states=given.embedding.tokens).sample
            z = theirs.step(out, t, z, return_dict=False)[0]
    record = Recorder(layers=(), indices=())
    schedule = ddim_schedule(backbone.alphas, 20, offset=0)
    steps = list(invert(backbone, z_0, given, schedule, record, label="there"))
    torch.testing.assert_close(record.trajectory().latents[0], z, rtol=1e-4, atol=1e-4)
    assert sum(step.evaluations for step in steps) == 2 * 19  # the level that is an identity costs nothing


@pytest.mark.parametrize("label", ["here", "there"])
def test_denoising_retraces_an_inverted_path(v_backbone: StableDiffusion, label: Any) -> None:
    """With many steps the ODE is nearly exact: what was inverted comes back."""
    given = prompted(v_backbone, 1.0)
    z_0 = noise(1)

    def error(steps: int) -> float:
        schedule = ddim_schedule(v_backbone.alphas, steps, offset=0)
        record = Recorder(layers=(), indices=())
        last(invert(v_backbone, z_0, given, schedule, record, label=label))
        back = sampled(
            v_backbone, record.trajectory().latents[0], given, schedule, tiny.settings({"sampling.steps": steps})
        )
        return float((back.clean - z_0).square().mean())

    coarse, fine = error(10), error(100)
    assert fine < coarse / 4


def literal_null_text(
    unet: Any, scheduler: Any, pivot: Sequence[Tensor], unconditional: Tensor, embedding: Tensor, guidance: float
) -> list[Tensor]:
    """Null-text optimisation as its authors publish it; `pivot` runs from clean to noise."""
    found: list[Tensor] = []
    latent = pivot[-1]
    steps = len(pivot) - 1
    for i in range(steps):
        unconditional = unconditional.clone().detach().requires_grad_(True)
        optimizer = torch.optim.Adam([unconditional], lr=1e-2 * (1.0 - i / 100.0))
        target = pivot[len(pivot) - i - 2]
        t = scheduler.timesteps[i]
        with torch.no_grad():
            cond = unet(latent, t, encoder_hidden_states=embedding).sample
        for _ in range(10):
            uncond = unet(latent, t, encoder_hidden_states=unconditional).sample
            out = uncond + guidance * (cond - uncond)
            loss = torch.nn.functional.mse_loss(scheduler.step(out, t, latent, return_dict=False)[0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if loss.item() < 1e-5 + i * 2e-5:
                break
        found.append(unconditional.detach())
        with torch.no_grad():
            uncond = unet(latent, t, encoder_hidden_states=found[-1]).sample
            latent = scheduler.step(uncond + guidance * (cond - uncond), t, latent, return_dict=False)[0]
    return found


def in_double(given: Conditioning) -> Conditioning:
    assert given.unconditional is not None
    embedding, unconditional = (
        replace(each, tokens=each.tokens.double()) for each in (given.embedding, given.unconditional)
    )
    return replace(given, embedding=embedding, unconditional=unconditional)


def test_null_text_is_its_authors_optimisation() -> None:
    from diffusers import DDIMScheduler

    # Adam divides gradients by their size, so that a gradient of nothing but rounding moves as far as any other.
    backbone = StableDiffusion.from_pipeline(tiny.pipeline("epsilon").to(torch.float64), name="tiny")
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False
    )
    scheduler.set_timesteps(10)
    schedule = ddim_schedule(backbone.alphas, 10, offset=0)
    given = in_double(prompted(backbone, 7.5, count=1))
    record = Recorder(layers=(), indices=())
    last(invert(backbone, noise(1, (1, 4, 8, 8)).double(), given, schedule, record, label="there"))
    pivot = record.trajectory().latents
    found: list[Conditioning] = []
    reached = [step.latents for step in null_text(backbone, pivot, given, schedule, found)]
    assert all(parameter.grad is None for parameter in backbone.unet.parameters())
    assert given.unconditional is not None
    theirs = literal_null_text(
        backbone.unet, scheduler, list(reversed(pivot)), given.unconditional.tokens, given.embedding.tokens, 7.5
    )
    for ours, reference in zip(found, theirs, strict=True):
        assert ours.unconditional is not None
        torch.testing.assert_close(ours.unconditional.tokens, reference, rtol=0, atol=1e-5)  # one Adam step is 1e-2

    # It does what it is for: guidance alone drifts away from the pivot, the optimised embeddings do not.
    drifted = sampled(backbone, pivot[0], given, schedule, tiny.settings({"sampling.steps": 10})).clean
    assert (reached[-1] - pivot[-1]).square().mean() < 0.5 * (drifted - pivot[-1]).square().mean()


def test_null_text_needs_guidance(backbone: StableDiffusion) -> None:
    schedule = ddim_schedule(backbone.alphas, 4, offset=0)
    with pytest.raises(ConfigError, match="guidance is off"):
        last(null_text(backbone, (noise(1),) * 5, prompted(backbone, 1.0), schedule, []))
