"""RePaint: its walk, its steps, and what it may not touch."""

from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stereodiffusion.baselines.repaint import (
    SHORT_WALK,
    RePaintSettings,
    ancestral_step,
    diffuse,
    jump_levels,
    repaint,
)
from stereodiffusion.diffusion.denoise import Conditioning, Step
from stereodiffusion.diffusion.schedule import ddim_schedule
from stereodiffusion.errors import ConfigError
from stereodiffusion.models.backbones import StableDiffusion

SHORT = RePaintSettings(steps=6, jump=2, resamplings=2)


def published_walk(steps: int, jump: int, resamplings: int) -> list[int]:
    """Supplement of the RePaint paper in closed form: each stretch is gone down, then up and down again r - 1 times."""
    walk = [steps]
    for low in reversed(range(1, steps - jump + 1, jump)):
        walk += range(walk[-1] - 1, low - 1, -1)
        for _ in range(resamplings - 1):
            walk += [*range(low + 1, low + jump + 1), *range(low + jump - 1, low - 1, -1)]
    return walk + list(range(walk[-1] - 1, -1, -1))


walks = st.builds(RePaintSettings, steps=st.integers(1, 60), jump=st.integers(1, 12), resamplings=st.integers(1, 5))


@given(walks)
def test_the_walk_is_the_published_one(walk: RePaintSettings) -> None:
    levels = jump_levels(walk)
    assert list(levels) == published_walk(walk.steps, walk.jump, walk.resamplings)
    down = sum(there < here for here, there in pairwise(levels))
    assert walk.evaluations == down


def test_the_published_walk_has_its_published_length() -> None:
    assert RePaintSettings().evaluations == 2410
    assert len(jump_levels(RePaintSettings())) == 4571
    assert SHORT_WALK.evaluations == 140


@pytest.mark.parametrize("field", ["steps", "jump", "resamplings"])
def test_settings_must_be_positive(field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} must be at least 1, got 0"):
        RePaintSettings(**{field: 0})


@pytest.mark.parametrize("place", [0, 1, 25, 48, 49])
def test_a_step_down_is_that_of_diffusers(place: int, backbone: StableDiffusion) -> None:
    scheduler: Any = DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        variance_type="fixed_small",
        clip_sample=False,
    )
    scheduler.set_timesteps(50)
    schedule = ddim_schedule(backbone.alphas, 50, offset=0)
    alphas = (*schedule.alphas[:-1], 1.0)
    assert scheduler.timesteps.tolist() == list(schedule.timesteps)
    x_t, noise = torch.randn((2, 1, 4, 8, 8), generator=torch.Generator().manual_seed(place))
    theirs = scheduler.step(noise, schedule.timesteps[place], x_t, generator=torch.Generator().manual_seed(7))
    fresh = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(7))
    ours = ancestral_step(x_t, noise, alphas[place], alphas[place + 1], fresh)
    torch.testing.assert_close(ours, theirs.prev_sample, atol=1e-5, rtol=1e-4)


def test_a_step_down_to_clean_is_the_prediction_itself() -> None:
    x_0, noise, fresh = torch.randn((3, 1, 4, 5, 5), generator=torch.Generator().manual_seed(0)).double()
    x_t = diffuse(x_0, 1.0, 0.6, noise)
    torch.testing.assert_close(ancestral_step(x_t, noise, 0.6, 1.0, fresh), x_0)


def test_two_steps_up_are_one_in_distribution() -> None:
    one, none = torch.ones(1, 1, 1, 1).double(), torch.zeros(1, 1, 1, 1).double()

    def both(x: Tensor, first: Tensor, second: Tensor) -> float:
        return float(diffuse(diffuse(x, 1.0, 0.8, first), 0.8, 0.3, second))

    assert both(one, none, none) == pytest.approx(0.3**0.5)
    variance = both(none, one, none) ** 2 + both(none, none, one) ** 2
    assert variance == pytest.approx(1 - 0.3)


def test_down_and_up_keep_the_noise_level() -> None:
    """A draw from q(x_s | x_t, x_0) with the true noise has the marginal q(x_s | x_0)."""
    x_0, zero = torch.zeros(1, 1, 1, 1).double(), torch.zeros(1, 1, 1, 1).double()
    one = torch.ones(1, 1, 1, 1).double()
    alpha_t, alpha_s = 0.4, 0.7
    from_noise = float(ancestral_step(diffuse(x_0, 1.0, alpha_t, one), one, alpha_t, alpha_s, zero))
    from_fresh = float(ancestral_step(x_0, zero, alpha_t, alpha_s, one))
    assert from_noise**2 + from_fresh**2 == pytest.approx(1 - alpha_s)


@pytest.fixture
def z_0() -> Tensor:
    return torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))


@pytest.fixture
def visible() -> Tensor:
    visible = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    visible[..., 2:6, 3:7] = False
    return visible


def walk(backbone: StableDiffusion, z_0: Tensor, visible: Tensor, *, seed: int = 0) -> list[Step]:
    given = Conditioning(embedding=backbone.embed([""]))
    return list(repaint(backbone, z_0, visible, given, torch.Generator().manual_seed(seed), SHORT))


def test_known_cells_are_exact_at_the_end(backbone: StableDiffusion, z_0: Tensor, visible: Tensor) -> None:
    steps = walk(backbone, z_0, visible)
    end = steps[-1].latents
    assert torch.equal(end * visible, z_0 * visible)
    assert bool((end != z_0)[~visible.expand_as(z_0)].all())
    assert bool(end.isfinite().all())


def test_each_step_down_is_paid_for(backbone: StableDiffusion, z_0: Tensor, visible: Tensor) -> None:
    steps = walk(backbone, z_0, visible)
    assert len(steps) == len(jump_levels(SHORT)) - 1
    assert sum(step.evaluations for step in steps) == SHORT.evaluations
    assert [step.evaluations for step in steps[:8]] == [1, 1, 1, 0, 0, 1, 1, 1]


def test_what_is_not_visible_has_no_influence(backbone: StableDiffusion, z_0: Tensor, visible: Tensor) -> None:
    other = torch.where(visible, z_0, 100.0)
    a, b = (walk(backbone, picture, visible)[-1].latents for picture in (z_0, other))
    assert torch.equal(a, b)


def test_a_seed_means_the_same_again(backbone: StableDiffusion, z_0: Tensor, visible: Tensor) -> None:
    first, again, other = (walk(backbone, z_0, visible, seed=seed)[-1].latents for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_with_everything_visible_nothing_is_made_up(backbone: StableDiffusion, z_0: Tensor) -> None:
    everything = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    assert torch.equal(walk(backbone, z_0, everything)[-1].latents, z_0)


def test_more_steps_than_the_model_was_trained_with_are_refused(
    backbone: StableDiffusion, z_0: Tensor, visible: Tensor
) -> None:
    given = Conditioning(embedding=backbone.embed([""]))
    too_many = RePaintSettings(steps=1001)
    with pytest.raises(ConfigError, match="1000"):
        next(cast(Any, repaint(backbone, z_0, visible, given, torch.Generator(), too_many)))
