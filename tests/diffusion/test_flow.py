"""Flow matching: its levels and steps against diffusers, element by element, and the method's laws on transformers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from tests import tiny, tiny_flow
from tests.diffusion.sources import source
from torch import Tensor

from stereodiffusion.diffusion.backbone import Embedding
from stereodiffusion.diffusion.denoise import Conditioning, Step, predict
from stereodiffusion.diffusion.flow import FlowMatching
from stereodiffusion.diffusion.inversion import invert, null_text
from stereodiffusion.diffusion.multistep import dpm_solver
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.shift import CellMap, KnownLatents, resync_pixels
from stereodiffusion.diffusion.solver import State, ddim
from stereodiffusion.diffusion.source import Target
from stereodiffusion.diffusion.trajectory import Recorder, Trajectory, recorder, remember, sample_source
from stereodiffusion.diffusion.views import both_views, split_views, view_beside
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import Flux, StableDiffusion3
from stereodiffusion.models.backbones.flow_levels import flow_schedule
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.settings import Sampling, Settings

STEPS = 4
GRID = (2, 16, 8, 16)
"""Two pictures of 64 x 128 pixels: 32 patches each."""


@pytest.fixture(scope="module")
def sd3() -> StableDiffusion3:
    return StableDiffusion3.from_pipeline(tiny_flow.sd3_pipeline(), name="tiny-sd3")


@pytest.fixture(scope="module")
def flux() -> Flux:
    return Flux.from_pipeline(tiny_flow.flux_pipeline(), name="tiny-flux")


@pytest.fixture
def model(request: pytest.FixtureRequest) -> LatentModel:
    return request.getfixturevalue(request.param)


both_models = pytest.mark.parametrize("model", ["sd3", "flux"], indirect=True)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape or GRID, generator=torch.Generator().manual_seed(seed))


def conditioned(backbone: LatentModel, guidance: float) -> Conditioning:
    """Guidance by two evaluations, or built in; of the prompts their first tokens, for speed."""

    def read(*prompts: str) -> Embedding:
        embedding = backbone.embed(prompts)
        return replace(embedding, tokens=embedding.tokens[:, :12])

    embedding = read("a red ball", "a blue cube")
    if backbone.guidance_built_in:
        return Conditioning(embedding=replace(embedding, guidance=guidance))
    unconditional = read("", "a grey wall") if guidance > 1 else None
    return Conditioning(embedding=embedding, unconditional=unconditional, guidance=guidance)


def schedule_for(backbone: LatentModel, config: Settings) -> Schedule:
    return backbone.schedule(config.sampling, GRID[2:])


def last(steps: Iterator[Step]) -> Tensor:
    *_, final = steps
    return final.latents


def sampled(backbone: LatentModel, x: Tensor, given: Conditioning, config: Settings) -> Trajectory:
    record, schedule = recorder(backbone, config, grid=GRID[2:]), schedule_for(backbone, config)
    last(sample_source(backbone, x, [given] * schedule.steps, schedule, record))
    return record.trajectory()


@pytest.mark.parametrize("steps", [2, 7, 28])
@pytest.mark.parametrize("kind", ["sd3", "schnell", "dev"])
def test_levels_and_steps_are_diffusers(kind: Literal["sd3", "schnell", "dev"], steps: int) -> None:
    levels = {
        "sd3": tiny_flow.scheduler(),
        "schnell": tiny_flow.scheduler(shift=1.0),
        "dev": tiny_flow.dynamic_scheduler(),
    }[kind]
    theirs: Any = tiny_flow.copied(levels)
    even = kind != "sd3"
    mu = 0.5 + (1.15 - 0.5) * (1024 - 256) / (4096 - 256)  # of FLUX, for 512 x 512 pixels
    sigmas = [1 - i / steps for i in range(steps)]
    theirs.set_timesteps(steps, sigmas=sigmas if even else None, mu=mu if kind == "dev" else None)
    ours = flow_schedule(levels, Sampling(steps=steps), 1024, even=even)
    torch.testing.assert_close(torch.tensor(ours.timesteps), theirs.timesteps, rtol=1e-6, atol=1e-3)
    assert ours.level(0) == (0, 1)
    assert ours.level(steps) == (1, 0)
    x = normal(0, 1, 16, 4, 4)
    for index, timestep in enumerate(theirs.timesteps):
        output = normal(index + 1, 1, 16, 4, 4)
        state = ddim(ours, index, x, ours.predicted(output, x, index, "flow_prediction"))
        x = theirs.step(output, timestep, x, return_dict=False)[0]
        torch.testing.assert_close(state.latents, x, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers
def test_the_second_order_solver_is_diffusers_from_pure_noise_on() -> None:
    theirs: Any = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, final_sigmas_type="zero"
    )
    theirs.set_timesteps(20)
    sigmas = tuple(theirs.sigmas.tolist())
    ours = FlowMatching(timesteps=tuple(1000 * sigma for sigma in sigmas[:-1]), sigmas=sigmas)
    state = State(latents=normal(0, 1, 16, 4, 4))
    x = state.latents
    for index, timestep in enumerate(theirs.timesteps):
        output = normal(index + 1, 1, 16, 4, 4)
        state = dpm_solver(ours, index, state.latents, output, state.history)
        x = theirs.step(output, timestep, x, return_dict=False)[0]
        torch.testing.assert_close(state.latents, x, rtol=1e-4, atol=1e-4)
    whole = FlowMatching(timesteps=(1000, 500), sigmas=(1.0, 0.5, 0.0))  # theirs begins a little below pure noise
    first = dpm_solver(whole, 0, x, normal(1, 1, 16, 4, 4), None)
    torch.testing.assert_close(first.latents, ddim(whole, 0, x, normal(1, 1, 16, 4, 4)).latents)
    assert dpm_solver(whole, 1, first.latents, x, first.history).latents.isfinite().all()


@pytest.mark.parametrize(("sigma", "other"), [(0.99, 0.5), (0.3, 0.7), (0.6, 0.01)])
def test_a_line_is_one_line(sigma: float, other: float) -> None:
    """Along x_t = (1 - σ) x_0 + σ ε, the velocity tells x_0 at each level, and leads from each to each and back."""
    x_0, noise = normal(0, 2, 1, 4, 4, 4).double()
    line = FlowMatching(timesteps=(1000 * sigma, 1000 * other), sigmas=(sigma, other, 0.0))
    at = [(1 - s) * x_0 + s * noise for s in line.sigmas]
    for index in range(3):
        torch.testing.assert_close(line.clean(at[index], noise - x_0, index), x_0)
        assert sum(line.level(index)) == pytest.approx(1)
        for to in range(3):
            torch.testing.assert_close(line.moved(at[index], noise - x_0, index, to), at[to])


def test_the_known_part_joins_the_line_of_the_sources_noise() -> None:
    x_0, noise, clean, fresh = normal(0, 4, 1, 16, 4, 8)
    source_index = torch.arange(8).expand(1, 1, 4, 8).clone()
    source_index[..., 5:] = -1
    line = FlowMatching(timesteps=(600.0,), sigmas=(0.6, 0.0))
    known, cells = KnownLatents(clean=clean, cells=source_index >= 0), CellMap(source=source_index)
    found = resync_pixels(known, x_0, 0.4 * x_0 + 0.6 * noise, line.level(0), cells, fresh)
    own = torch.where(source_index >= 0, noise, fresh)
    torch.testing.assert_close(found, 0.4 * clean + 0.6 * own, rtol=1e-5, atol=1e-5)


def test_kinds_of_levels_and_of_networks_are_not_mixed(sd3: StableDiffusion3) -> None:
    line = FlowMatching(timesteps=(1000.0,), sigmas=(1.0, 0.0))
    x = normal(0)
    with pytest.raises(ConfigError, match="expected a network that predicts the velocity of a flow, got epsilon"):
        line.predicted(x, x, 0, "epsilon")
    with pytest.raises(ConfigError, match="lcm is for latent consistency models, got a model of flow matching"):
        sd3.schedule(Sampling(solver="lcm"), GRID[2:])
    with pytest.raises(ConfigError, match="steps must be between 1 and 1000, got 1001"):
        sd3.schedule(Sampling(steps=1001), GRID[2:])


@both_models
@pytest.mark.parametrize(("guidance", "resync"), [(1.0, "copy"), (3.5, "mixed")])
def test_recorded_and_joint_give_the_same_view(
    model: LatentModel, guidance: float, resync: Any, relief: Tensor
) -> None:
    config = tiny.settings(
        {"sampling.steps": STEPS, "guidance.scale": guidance, "shift.deblur": True, "views.resync.how": resync}
    )
    schedule, given, x, fresh = schedule_for(model, config), conditioned(model, guidance), normal(1), normal(2)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    left = sampled(model, x, given, config)
    recorded = source(model, left, given, schedule, config, fresh)
    wanted = Target(cells=cells, given=recorded.given)
    steps = list(view_beside(recorded, wanted))
    joint = source(model, x, given, schedule, config.changed({"views": "together"}), fresh)
    left_joint, right_joint = split_views(last(both_views(joint, wanted)))
    torch.testing.assert_close(left.clean, left_joint, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(steps[-1].latents, right_joint, rtol=1e-4, atol=1e-4)
    off = source(model, left, given, schedule, config.changed({"views.attention.mode": "off"}), fresh)
    assert (last(view_beside(off, wanted)) - right_joint).abs().max() > 1e-2  # what is shared matters far more
    each = 2 if guidance > 1 and not model.guidance_built_in else 1
    assert [step.evaluations for step in steps] == [0, *[2 * each] * (STEPS - 2)]


@both_models
def test_zero_disparity_is_the_identity_and_a_constant_one_shifts(model: LatentModel) -> None:
    config = tiny.settings({"sampling.steps": STEPS, "views.resync.how": "off"})
    given, schedule = conditioned(model, 1.0), schedule_for(model, config)
    left = sampled(model, normal(1), given, config)

    def right(pixels: float, settings: Settings) -> Tensor:
        cells = tiny.cells(Disparity.from_pixels(torch.full((2, 1, 64, 128), pixels)), settings)
        own = source(model, left, given, schedule, settings, normal(2))
        return last(view_beside(own, Target(cells=cells, given=own.given)))

    torch.testing.assert_close(right(0.0, config), left.clean, rtol=1e-4, atol=1e-4)
    alone = config.changed({"views.attention.mode": "off"})
    torch.testing.assert_close(right(0.0, alone), left.clean, rtol=1e-4, atol=1e-4)
    synced = config.changed({"views.resync.how": "copy", "views.resync.every": 0.01, "views.resync.until": 1.0})
    assert torch.equal(right(24.0, synced)[..., :-3], left.clean[..., 3:])  # three cells: one and a half patches


@both_models
def test_an_inverted_photo_is_retraced_exactly(model: LatentModel, relief: Tensor) -> None:
    config = tiny.settings({"sampling.steps": STEPS, "guidance.scale": 1.0})
    schedule, given, z_0 = schedule_for(model, config), conditioned(model, 1.0), normal(3) * 0.8
    record = recorder(model, config, grid=GRID[2:])
    there = list(invert(model, z_0, given, schedule, record))
    path = record.trajectory()
    assert sum(step.evaluations for step in there) == 2 * STEPS
    # What was recorded on the way is what denoising along it reads.
    again = recorder(model, config, grid=GRID[2:])
    last(remember(model, path.latents, [given] * STEPS, schedule, again))
    assert record.tokens.keys() == again.tokens.keys() != set()
    for index, layers in again.tokens.items():
        for layer, tokens in layers.items():
            torch.testing.assert_close(record.tokens[index][layer], tokens, rtol=1e-4, atol=1e-4)
    # Beside a pinned source a view is the one that is made after it, and the source is the photo at every level.
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    own = source(model, path, given, schedule, config, normal(2))
    wanted = Target(cells=cells, given=own.given)
    pinned = source(model, path, given, schedule, config.changed({"views": "together"}), normal(2), pinned=True)
    both = list(both_views(pinned, wanted))
    for step in both:
        assert torch.equal(split_views(step.latents)[0], path.latents[step.index + 1])
    assert torch.equal(path.clean, z_0)
    torch.testing.assert_close(last(view_beside(own, wanted)), split_views(both[-1].latents)[1], rtol=1e-4, atol=1e-4)
    # That is a residual added to each step, without which the steps lead elsewhere.
    x = path.latents[0]
    for index in range(STEPS):
        by = predict(model, x, given, schedule, index)
        x = schedule.moved(x, by, index, index + 1)
    assert (x - z_0).abs().max() > 1e-2


def test_null_text_leads_back_to_a_photo(sd3: StableDiffusion3) -> None:
    schedule, given = sd3.schedule(Sampling(steps=2), (4, 8)), conditioned(sd3, 4.0)
    record = Recorder(layers=(), indices=())
    last(invert(sd3, normal(3, 2, 16, 4, 8) * 0.8, given, schedule, record, label="there"))
    pivot = record.trajectory().latents
    found: list[Conditioning] = []
    last(null_text(sd3, pivot, given, schedule, found))

    def back(sequence: list[Conditioning]) -> float:
        x = pivot[0]
        for index in range(schedule.steps):
            with torch.no_grad():
                x = schedule.moved(x, predict(sd3, x, sequence[index], schedule, index), index, index + 1)
        return float((x - pivot[-1]).square().mean())

    assert back(found) < 0.9 * back([given] * schedule.steps)
