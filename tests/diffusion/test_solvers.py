"""Solvers other than DDIM against diffusers, element by element, and their laws while views are made."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, LCMScheduler
from tests import tiny
from tests.diffusion.sources import source
from torch import Tensor

from stereodiffusion.diffusion.consistency import AddedNoise, consistency_solver
from stereodiffusion.diffusion.denoise import Conditioning, Step
from stereodiffusion.diffusion.inversion import invert
from stereodiffusion.diffusion.multistep import dpm_solver
from stereodiffusion.diffusion.sampling import solver_of
from stereodiffusion.diffusion.schedule import (
    Schedule,
    VariancePreserving,
    ddim_schedule,
    ddim_step,
    noise_of,
    preserving_schedule,
    scaled_linear_alphas,
    trailing_schedule,
)
from stereodiffusion.diffusion.shift import CellMap, KnownLatents, shifted_state
from stereodiffusion.diffusion.solver import History, State, ddim
from stereodiffusion.diffusion.source import Target
from stereodiffusion.diffusion.trajectory import Trajectory, recorder, sample_source
from stereodiffusion.diffusion.views import both_views, split_views, view_beside
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.settings import Sampling, Settings, SolverName
from stereodiffusion.settings.presets import preset

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
GRID = (2, 4, 8, 16)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*(shape or GRID), generator=torch.Generator().manual_seed(seed))


def outputs(seed: int) -> Iterator[Tensor]:
    """What a network may put out, step by step."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(2, 4, 8, 8, generator=generator)


# --- against diffusers ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(
    ("steps", "spacing", "last"),
    [(10, "trailing", "zero"), (25, "trailing", "zero"), (10, "leading", "sigma_min"), (25, "leading", "sigma_min")],
)
def test_every_step_of_dpm_solver_is_diffusers(prediction: Any, steps: int, spacing: Any, last: Any) -> None:
    schedule = preserving_schedule(
        scaled_linear_alphas(),
        tiny.settings({"sampling.steps": steps, "sampling.solver": "dpm++", "sampling.spacing": spacing}).sampling,
    )
    theirs = DPMSolverMultistepScheduler(
        **BETAS,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        solver_order=2,
        lower_order_final=True,
        final_sigmas_type=last,
        timestep_spacing=spacing,
        prediction_type=prediction,
    )
    if spacing == "trailing":
        theirs.set_timesteps(steps)
    else:  # their leading spacing visits other levels than DDIM's, so they are handed ours
        theirs.set_timesteps(timesteps=list(schedule.timesteps))
    assert theirs.timesteps.tolist() == list(schedule.timesteps)

    state = State(latents=normal(1, 2, 4, 8, 8))
    reference = state.latents
    for index, output in zip(range(steps), outputs(2), strict=False):
        noise = noise_of(output, state.latents, schedule.alphas[index], prediction)
        state = dpm_solver(schedule, index, state.latents, noise, state.history)
        reference = theirs.step(output, schedule.timesteps[index], reference, return_dict=False)[0]
        torch.testing.assert_close(state.latents, reference, rtol=2e-4, atol=2e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize("solver", ["ddim", "dpm++"])
@pytest.mark.parametrize("steps", [4, 25])  # divisors of 1000: their DDIM steps by a fixed stride
def test_steps_from_pure_noise_are_diffusers(solver: Any, steps: int) -> None:
    """Of schedules that end in ᾱ = 0, with trailing spacing, which begins there (Lin et al. 2024)."""
    common: dict[str, Any] = {
        **BETAS,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": True,
    }
    ddims = DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    dpms = DPMSolverMultistepScheduler(**common, final_sigmas_type="zero", lower_order_final=True)
    theirs: Any = ddims if solver == "ddim" else dpms
    theirs.set_timesteps(steps)
    assert ddims.alphas_cumprod[-1] == 0
    schedule = preserving_schedule(
        ddims.alphas_cumprod, Sampling(steps=steps, solver=cast(SolverName, solver), spacing="trailing")
    )
    assert theirs.timesteps.tolist() == list(schedule.timesteps)

    start, velocities = normal(1, 2, 4, 8, 8).double(), [output.double() for output in islice(outputs(2), steps)]
    state, reference = State(latents=start), start
    step = ddim if solver == "ddim" else dpm_solver
    for index, output in enumerate(velocities):
        noise = noise_of(output, state.latents, schedule.alphas[index], "v_prediction")
        state = step(schedule, index, state.latents, noise, state.history)
        reference = theirs.step(output, schedule.timesteps[index], reference, return_dict=False)[0]
    # ᾱ = 0 is taken as 2^-24: then x_0 = √ᾱ x - √(1-ᾱ) v and ε = √ᾱ v + √(1-ᾱ) x, of which theirs lack the terms with
    # √ᾱ = 2^-12. The next level mixes them by a sine and a cosine, and no later step makes a difference larger.
    largest = torch.hypot(start, velocities[0]) / 2**12 if solver == "ddim" else torch.zeros_like(start)
    assert bool(((state.latents - reference).abs() <= largest + 1e-5).all())


def test_a_consistency_model_from_pure_noise_is_finite() -> None:
    alphas = scaled_linear_alphas().clone()
    alphas[-1] = 0
    schedule = preserving_schedule(alphas, Sampling(steps=4, solver="lcm"))
    x = normal(1, 2, 4, 8, 8)
    noise = noise_of(normal(2, 2, 4, 8, 8), x, schedule.alphas[0], "v_prediction")
    assert consistency_solver(normal(3, 4, 2, 4, 8, 8))(schedule, 0, x, noise, None).latents.isfinite().all()


def test_it_is_of_second_order_and_ddim_of_first() -> None:
    """The ODE of one Gaussian, x_0 ~ N(0, 0.25): ε is linear in x, and x scales with its standard deviation."""

    def deviation(alpha: float) -> float:
        return (alpha * 0.25 + 1 - alpha) ** 0.5

    def error(solver: Any, steps: int) -> float:
        log_snr = torch.linspace(-3, 1, steps + 1, dtype=torch.float64)
        alphas = torch.sigmoid(2 * log_snr).tolist()
        schedule = VariancePreserving(timesteps=tuple(reversed(range(steps))), alphas=tuple(alphas))
        state = State(latents=torch.ones(1, 1, 1, 1, dtype=torch.float64))
        for index, alpha in enumerate(alphas[:-1]):
            noise = state.latents * (1 - alpha) ** 0.5 / deviation(alpha) ** 2
            state = solver(schedule, index, state.latents, noise, state.history)
        return abs(float(state.latents) - deviation(alphas[-1]) / deviation(alphas[0]))

    assert 1.8 < error(ddim, 40) / error(ddim, 80) < 2.2
    assert 3.6 < error(dpm_solver, 40) / error(dpm_solver, 80) < 4.4
    assert error(dpm_solver, 20) < error(ddim, 80)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [1, 2, 4, 7, 8])
def test_every_step_of_a_consistency_model_is_diffusers(prediction: Any, steps: int) -> None:
    theirs = LCMScheduler(**BETAS, prediction_type=prediction)
    theirs.set_timesteps(steps)
    schedule = preserving_schedule(
        scaled_linear_alphas(), tiny.settings({"sampling.steps": max(steps, 2), "sampling.solver": "lcm"}).sampling
    )
    if steps > 1:
        assert theirs.timesteps.tolist() == list(schedule.timesteps)
    else:
        schedule = VariancePreserving(timesteps=(999,), alphas=(float(scaled_linear_alphas()[999]), 1.0))

    drawn = torch.Generator().manual_seed(3)
    added = torch.stack([torch.randn(2, 4, 8, 8, generator=drawn) for _ in range(steps)])
    solver, generator = consistency_solver(added), torch.Generator().manual_seed(3)
    x = reference = normal(1, 2, 4, 8, 8)
    for index, output in zip(range(steps), outputs(2), strict=False):
        noise = noise_of(output, x, schedule.alphas[index], prediction)
        x = solver(schedule, index, x, noise, None).latents
        t = schedule.timesteps[index]
        reference = theirs.step(output, t, reference, generator=generator, return_dict=False)[0]
        torch.testing.assert_close(x, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize("steps", [1, 2, 4, 30])
def test_ddim_with_trailing_spacing_is_diffusers_euler(steps: int) -> None:
    """Turbo checkpoints are sampled with Euler's method, trailing; in DDIM's variables it is the same step."""
    theirs = EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing")
    theirs.set_timesteps(steps)
    schedule = trailing_schedule(scaled_linear_alphas(), steps)
    assert theirs.timesteps.tolist() == list(schedule.timesteps)

    x = normal(1, 2, 4, 8, 8)
    scaled = x / schedule.alphas[0] ** 0.5  # they keep the signal at 1 and let the noise grow
    for index, output in zip(range(steps), outputs(2), strict=False):
        x = ddim_step(x, output, *schedule.alphas[index : index + 2])
        scaled = theirs.step(output, theirs.timesteps[index], scaled, return_dict=False)[0]
        torch.testing.assert_close(x, scaled * schedule.alphas[index + 1] ** 0.5, rtol=2e-4, atol=2e-4)


def test_impossible_step_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="consistency model must be between 1 and 50, got 51"):
        preserving_schedule(
            scaled_linear_alphas(), tiny.settings({"sampling.steps": 51, "sampling.solver": "lcm"}).sampling
        )
    with pytest.raises(ConfigError, match="between 1 and 1000, got 0"):
        trailing_schedule(scaled_linear_alphas(), 0)
    with pytest.raises(ConfigError, match="expected some, got none"):
        solver_of(tiny.settings({"sampling.solver": "lcm"}).sampling, None)


# --- the history goes where the latents go --------------------------------------------------------------------------


def prompted(backbone: StableDiffusion, guidance: float = 3.0) -> Conditioning:
    unconditional = backbone.embed([""] * 2) if guidance > 1 else None
    embedding = backbone.embed(["a red ball", "a blue cube"])
    return Conditioning(embedding=embedding, unconditional=unconditional, guidance=guidance)


def noise_of_steps(config: Settings) -> AddedNoise:
    return AddedNoise(source=normal(5, config.sampling.steps, *GRID), own=normal(6, config.sampling.steps, *GRID))


def sampled(
    backbone: StableDiffusion, given: Conditioning, schedule: Schedule, config: Settings, x: Tensor
) -> Trajectory:
    record = recorder(backbone, config)
    solver = solver_of(config.sampling, lambda: noise_of_steps(config).source)
    for _ in sample_source(backbone, x, [given] * schedule.steps, schedule, record, solver):
        pass
    return record.trajectory()


def last(steps: Iterator[Step]) -> Tensor:
    return list(steps)[-1].latents


def test_a_history_is_moved_as_its_cells_are(cells: CellMap) -> None:
    left = State(
        latents=normal(1, 1, 4, 8, 8),
        history=History(clean=normal(2, 1, 4, 8, 8), known=torch.ones(1, 1, 8, 8, dtype=torch.bool)),
    )
    right = shifted_state(left, cells)
    assert left.history is not None
    assert right.history is not None
    assert torch.equal(right.history.clean[..., :-1], left.history.clean[..., 1:])
    assert bool(right.history.known[..., :-1].all())
    assert not bool(right.history.known[..., -1].any())


def test_cells_without_a_history_take_the_step_of_ddim() -> None:
    schedule = ddim_schedule(scaled_linear_alphas(), 20)
    known = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    known[..., :4] = True
    x, noise = normal(1, 1, 4, 8, 8), normal(2, 1, 4, 8, 8)
    step = dpm_solver(schedule, 5, x, noise, History(clean=normal(3, 1, 4, 8, 8), known=known)).latents
    first_order = ddim_step(x, noise, *schedule.alphas[5:7])
    torch.testing.assert_close(step[..., 4:], first_order[..., 4:], rtol=1e-5, atol=1e-5)
    assert (step[..., :4] - first_order[..., :4]).abs().amin((1, 2)).min() > 0


@pytest.mark.parametrize("solver", ["dpm++", "lcm"])
def test_without_any_technique_zero_disparity_gives_the_left_twice(backbone: StableDiffusion, solver: Any) -> None:
    """For DPM-Solver++ only if the right view takes over the left's history: its next step would else be another."""
    config = tiny.settings(
        {"sampling.steps": 10, "sampling.solver": solver, "views.resync.how": "off", "views.attention.mode": "off"}
    )
    schedule = preserving_schedule(backbone.alphas, config.sampling)
    given, added = prompted(backbone), noise_of_steps(config)
    left = sampled(backbone, given, schedule, config, normal(1))
    identity = CellMap(source=torch.arange(16).expand(2, 1, 8, 16))
    recorded = source(backbone, left, given, schedule, config, normal(2), added=added)
    right = last(view_beside(recorded, Target(cells=identity, given=recorded.given)))
    torch.testing.assert_close(right, left.clean, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("resync", ["copy", "off"])
@pytest.mark.parametrize(("solver", "spacing"), [("dpm++", "leading"), ("dpm++", "trailing"), ("lcm", "leading")])
def test_recorded_and_joint_give_the_same_right_view(
    backbone: StableDiffusion, solver: Any, spacing: Any, resync: Any, relief: Tensor
) -> None:
    config = tiny.settings(
        {
            "sampling.steps": 12,
            "sampling.solver": solver,
            "sampling.spacing": spacing,
            "views.resync.how": resync,
            "shift.deblur": True,
        }
    )
    schedule = preserving_schedule(backbone.alphas, config.sampling)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    given, x, fresh, added = prompted(backbone), normal(1), normal(2), noise_of_steps(config)
    left = sampled(backbone, given, schedule, config, x)
    recorded = source(backbone, left, given, schedule, config, fresh, added=added)
    wanted = Target(cells=cells, given=recorded.given)
    right = last(view_beside(recorded, wanted))
    joint = source(backbone, x, given, schedule, config.changed({"views": "together"}), fresh, added=added)
    left_together, right_together = split_views(last(both_views(joint, wanted)))
    torch.testing.assert_close(left.clean, left_together, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(right, right_together, rtol=1e-4, atol=1e-4)


def test_recorded_and_joint_agree_on_an_inverted_photo(backbone: StableDiffusion, relief: Tensor) -> None:
    config = preset("fast", "photo").changed({"sampling.steps": 12, "sampling.solver": "dpm++"})
    schedule = preserving_schedule(backbone.alphas, config.sampling)
    cells = tiny.cells(Disparity.from_pixels(relief * 24), config)
    given, fresh, record = prompted(backbone, 1.0), normal(2), recorder(backbone, config)
    last(invert(backbone, normal(1) * 0.8, given, schedule, record))
    left = record.trajectory()
    recorded = source(backbone, left, given, schedule, config, fresh)
    wanted = Target(cells=cells, given=recorded.given)
    alone = last(view_beside(recorded, wanted))
    joint = source(backbone, left, given, schedule, config.changed({"views": "together"}), fresh, pinned=True)
    together = last(both_views(joint, wanted))
    torch.testing.assert_close(alone, split_views(together)[1], rtol=1e-4, atol=1e-4)


def test_from_pixels_the_history_is_what_is_known(backbone: StableDiffusion, cells: CellMap) -> None:
    config = preset("best", "photo").changed({"sampling.steps": 10, "sampling.solver": "dpm++"})
    schedule = preserving_schedule(backbone.alphas, config.sampling)
    given = Conditioning(embedding=backbone.embed(["a red ball"]))
    record = recorder(backbone, config)
    last(invert(backbone, normal(1, 1, 4, 8, 8), given, schedule, record))
    known = KnownLatents(clean=normal(4, 1, 4, 8, 8), cells=cells.visible)
    recorded = source(backbone, record.trajectory(), given, schedule, config, normal(2, 1, 4, 8, 8))
    steps = list(view_beside(recorded, Target(cells=cells, given=recorded.given, known=known)))
    assert steps[0].history is not None
    assert torch.equal(steps[0].history.clean, known.clean)
    for step in steps[1:]:
        assert step.history is not None
        assert torch.equal(step.history.clean[..., :-1], known.clean[..., :-1])
        assert (step.history.clean[..., -1] - known.clean[..., -1]).abs().max() > 1e-3


def test_a_consistency_models_noise_moves_with_the_cells(cells: CellMap) -> None:
    added = AddedNoise(source=normal(5, 3, 1, 4, 8, 8), own=normal(6, 3, 1, 4, 8, 8))
    right = added.moved(cells)
    assert torch.equal(right[..., :-1], added.source[..., 1:])
    assert torch.equal(right[..., -1], added.own[..., -1])


def test_settings_that_belong_to_ddim_are_refused() -> None:
    with pytest.raises(ConfigError, match="takes a step of DDIM again"):
        tiny.settings({"sampling.solver": "dpm++", "views.resync.how": "mixed"})
    with pytest.raises(ConfigError, match="optimises steps of DDIM"):
        tiny.settings({"sampling.solver": "lcm", "views.inversion": "null-text", "views": "together"})
