"""The noise levels that models of flow matching come with, as diffusers' own scheduler visits them."""

from copy import deepcopy
from typing import Any, Final

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from stereodiffusion.diffusion.flow import FlowMatching
from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.settings import Sampling

_UNLIKE: Final = ("stochastic_sampling", "invert_sigmas")
"""Settings with which a step is not Euler's from noise to clean."""


def check_levels(name: str, scheduler: Any) -> FlowMatchEulerDiscreteScheduler:
    """A model's scheduler, if its levels are those of Euler's method along a flow.

    Args:
        name: Of the model, for messages.
        scheduler: Its scheduler.

    Raises:
        ModelError: If they are not.
    """
    if not isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        raise ModelError(
            f"{name}: expected the scheduler of a flow (FlowMatchEulerDiscreteScheduler), got a "
            f"{type(scheduler).__name__}"
        )
    unlike = [setting for setting in _UNLIKE if scheduler.config.get(setting)]
    if unlike:
        raise ModelError(f"{name}: expected a scheduler that takes Euler's steps from noise, got one with {unlike[0]}")
    return scheduler


def flow_schedule(
    scheduler: FlowMatchEulerDiscreteScheduler, sampling: Sampling, tokens: int, *, even: bool
) -> FlowMatching:
    """The levels that the settings ask for, shifted towards noise as the model's scheduler has it.

    A fixed shift takes σ to s σ / (1 + (s - 1) σ) (Esser et al. 2024); a dynamic one is larger for larger pictures.

    Args:
        scheduler: The model's; it is left as it is.
        sampling: Steps and solver; a flow has a spacing of its own.
        tokens: Of the picture.
        even: Whether n steps begin with σ = 1, ... 2/n, 1/n, as FLUX has it; otherwise the scheduler spaces them.

    Raises:
        ConfigError: If there are more steps than training steps, or the solver or spacing is of another kind of model.
    """
    most: int = scheduler.config["num_train_timesteps"]
    steps = sampling.steps
    if not 1 <= steps <= most:
        raise ConfigError(f"steps must be between 1 and {most}, got {steps}")
    if sampling.solver == "lcm":
        raise ConfigError("solver lcm is for latent consistency models, got a model of flow matching: ddim is Euler's")
    if sampling.spacing == "trailing":
        raise ConfigError("sampling.spacing trailing would have no effect: a flow has a spacing of its own")
    visiting: Any = deepcopy(scheduler)
    sigmas = torch.linspace(1, 1 / steps, steps, dtype=torch.float64).tolist() if even else None
    mu = _dynamic_shift(scheduler, tokens) if scheduler.config["use_dynamic_shifting"] else None
    visiting.set_timesteps(steps, sigmas=sigmas, mu=mu)
    return FlowMatching(timesteps=tuple(visiting.timesteps.tolist()), sigmas=tuple(visiting.sigmas.tolist()))


def _dynamic_shift(scheduler: FlowMatchEulerDiscreteScheduler, tokens: int) -> float:
    """μ: on the line through the shifts of the smallest and of the largest picture."""
    config = scheduler.config
    fewest, most = config["base_image_seq_len"], config["max_image_seq_len"]
    slope = (config["max_shift"] - config["base_shift"]) / (most - fewest)
    return config["base_shift"] + slope * (tokens - fewest)
