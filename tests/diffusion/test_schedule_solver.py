"""Schedule and solver against diffusers, element by element, and their own laws."""

from typing import Any

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st

from stereodiffusion.diffusion.schedule import clean_of, ddim_schedule, ddim_step, noise_of, scaled_linear_alphas
from stereodiffusion.errors import ConfigError

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def test_alphas_are_stable_diffusions() -> None:
    assert torch.equal(scaled_linear_alphas(), DDIMScheduler(**BETAS).alphas_cumprod)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("steps", [2, 7, 50, 333])
def test_visits_what_diffusers_visits(steps: int, offset: int) -> None:
    theirs = DDIMScheduler(**BETAS, steps_offset=offset, set_alpha_to_one=False)
    theirs.set_timesteps(steps)
    schedule = ddim_schedule(scaled_linear_alphas(), steps, offset=offset)
    assert list(schedule.timesteps) == theirs.timesteps.tolist()
    assert schedule.alphas[-1] == pytest.approx(float(theirs.final_alpha_cumprod), rel=1e-7)


def test_the_two_schedules_of_fifty_steps() -> None:
    alphas = scaled_linear_alphas()
    photo, text = ddim_schedule(alphas, 50, offset=0), ddim_schedule(alphas, 50, offset=1)
    assert (photo.timesteps[0], photo.timesteps[1], photo.timesteps[-1]) == (980, 960, 0)
    assert (text.timesteps[0], text.timesteps[-1]) == (981, 1)
    assert photo.alphas[-1] == photo.alphas[-2]  # the last step is the identity


def test_a_schedule_through_some_levels_skips_the_others() -> None:
    schedule = ddim_schedule(scaled_linear_alphas(), 10, offset=1)
    assert schedule.through(range(11)) == schedule
    coarse = schedule.through([0, 4, 10])
    assert coarse.timesteps == (schedule.timesteps[0], schedule.timesteps[4])
    assert coarse.alphas == (schedule.alphas[0], schedule.alphas[4], schedule.alphas[10])


@pytest.mark.parametrize("steps", [0, 1001])
def test_impossible_step_counts_are_refused(steps: int) -> None:
    with pytest.raises(ConfigError, match="steps must be between"):
        ddim_schedule(scaled_linear_alphas(), steps, offset=0)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("offset", [0, 1])
def test_every_step_is_diffusers_step(prediction: Any, offset: int) -> None:
    theirs = DDIMScheduler(
        **BETAS, steps_offset=offset, set_alpha_to_one=False, clip_sample=False, prediction_type=prediction
    )
    theirs.set_timesteps(50)
    schedule = ddim_schedule(scaled_linear_alphas(), 50, offset=offset)
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(2, 4, 8, 8, generator=generator)
    for index, t in enumerate(schedule.timesteps):
        output = torch.randn(2, 4, 8, 8, generator=generator)
        noise = noise_of(output, x_t, schedule.alphas[index], prediction)
        ours = ddim_step(x_t, noise, schedule.alphas[index], schedule.alphas[index + 1])
        theirs_next = theirs.step(output, t, x_t, return_dict=False)[0]
        torch.testing.assert_close(ours, theirs_next, rtol=1e-5, atol=1e-5)
        x_t = theirs_next


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_every_inverse_step_is_diffusers_inverse_step(prediction: Any) -> None:
    theirs = DDIMInverseScheduler(**BETAS, set_alpha_to_one=False, clip_sample=False, prediction_type=prediction)
    theirs.set_timesteps(50)
    schedule = ddim_schedule(scaled_linear_alphas(), 50, offset=0)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1, 4, 8, 8, generator=generator)
    for index, t in zip(reversed(range(50)), theirs.timesteps.tolist(), strict=True):
        output = torch.randn(1, 4, 8, 8, generator=generator)
        here, there = schedule.alphas[index + 1], schedule.alphas[index]
        ours = ddim_step(z, noise_of(output, z, here, prediction), here, there)
        assert t == schedule.timesteps[index]
        z = theirs.step(output, t, z, return_dict=False)[0]
        torch.testing.assert_close(ours, z, rtol=1e-5, atol=1e-5)


levels = st.floats(0.01, 0.999)


@given(levels, levels, st.integers(0, 2**31))
def test_a_step_and_its_inverse_cancel(alpha_t: float, alpha_s: float, seed: int) -> None:
    x, noise = torch.randn(2, 1, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    there = ddim_step(x, noise, alpha_t, alpha_s)
    torch.testing.assert_close(ddim_step(there, noise, alpha_s, alpha_t), x, rtol=1e-9, atol=1e-9)


@given(levels, st.integers(0, 2**31))
def test_noise_and_clean_rebuild_the_latent(alpha: float, seed: int) -> None:
    """Eq. 4: x_t = √ᾱ x_0 + √(1-ᾱ) ε, also when the network predicts v."""
    x_0, noise = torch.randn(2, 1, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x_t = alpha**0.5 * x_0 + (1 - alpha) ** 0.5 * noise
    v = alpha**0.5 * noise - (1 - alpha) ** 0.5 * x_0
    torch.testing.assert_close(noise_of(v, x_t, alpha, "v_prediction"), noise)
    torch.testing.assert_close(clean_of(x_t, noise, alpha), x_0, rtol=1e-8, atol=1e-8)
