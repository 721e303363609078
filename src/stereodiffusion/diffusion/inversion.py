"""From a photo's latent back to noise (Sec. 3.4).

DDIM inversion walks Eq. 9 from z_0 to z_T. The path it takes, z*, is kept: it *is* the left view of photo mode, and
nothing needs to be optimised to reproduce it. Null-text inversion (Mokady et al. 2023) instead optimises the
unconditional embedding of every step so that denoising with guidance retraces z* (Eq. 10); the paper does so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch.nn.functional import mse_loss

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning, Step, predict
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.trajectory import Recorder
from stereodiffusion.errors import ConfigError
from stereodiffusion.types import Latent


def invert(
    backbone: Backbone,
    z_0: Latent,
    given: Conditioning,
    schedule: Schedule,
    into: Recorder,
    *,
    label: Literal["here", "there"] = "here",
) -> Iterator[Step]:
    """DDIM inversion (Eq. 9): fills `into` with the pivot trajectory z*.

    Args:
        backbone: The model.
        z_0: Clean latents.
        given: Conditioning; the pivot is found without guidance (w = 1), whatever it says.
        schedule: The noise levels, walked from the last to the first.
        into: Receives latents and, with `label="here"`, attention and predicted x_0.
        label: Which training step the network is told. `here`, the level of its input, is Eq. 9 as printed; its
            evaluations are the very ones that denoising along z* would make, so that their attention can be
            recorded. `there`, the level to be reached, is what diffusers and the null-text authors do.

    Yields:
        One `Step` per level gained; levels that are equal cost nothing.
    """
    steps = schedule.steps
    unguided = replace(given, unconditional=None)
    into.latents[steps] = z_0
    for index in reversed(range(steps)):
        z_t = into.latents[index + 1]
        here = schedule.timesteps[index + 1] if index + 1 < steps else 0
        if schedule.level(index + 1) == schedule.level(index):
            z_s, evaluations = z_t, 0
        else:
            timestep = here if label == "here" else schedule.timesteps[index]
            tap = into.tap_at(index + 1) if label == "here" else None
            with torch.no_grad():
                predicted = predict(backbone, z_t, unguided, schedule, index + 1, tap, timestep=timestep)
                z_s, evaluations = schedule.moved(z_t, predicted, index + 1, index), len(z_t)
            if label == "here":
                into.predicted[index + 1] = schedule.clean(z_t, predicted, index + 1)
        into.latents[index] = z_s
        yield Step(index=index, timestep=here, latents=z_s, evaluations=evaluations)


@dataclass(frozen=True, slots=True, kw_only=True)
class NullTextSettings:
    """Null-text optimisation as its authors run it.

    Attributes:
        iterations: Most Adam iterations per step.
        learning_rate: lr of the first step; step i has lr (1 - i / 100), never below 1 % of it.
        tolerance: Early stop of the first step: mean squared error below it.
        tolerance_growth: Added to the tolerance per step.
    """

    iterations: int = 10
    learning_rate: float = 1e-2
    tolerance: float = 1e-5
    tolerance_growth: float = 2e-5


AUTHORS_NULL_TEXT = NullTextSettings()
"""As published."""


def null_text(
    backbone: Backbone,
    pivot: tuple[Latent, ...],
    given: Conditioning,
    schedule: Schedule,
    found: list[Conditioning],
    settings: NullTextSettings = AUTHORS_NULL_TEXT,
) -> Iterator[Step]:
    """Null-text optimisation (Eq. 10): one unconditional embedding per step.

    Its tokens are optimised; a pooled vector beside them (SDXL) stays what it is.

    Args:
        backbone: The model; gradients flow through its noise prediction.
        pivot: z* of `invert`, n + 1 latents from noise to clean.
        given: Prompt, unconditional start and guidance w.
        schedule: The noise levels.
        found: Receives one conditioning per step.
        settings: The optimiser's.

    Yields:
        One `Step` per sampling step with the latents that were reached; a backward pass counts as one evaluation.

    Raises:
        ConfigError: If `given` has no unconditional embedding to optimise.
    """
    if given.unconditional is None:
        raise ConfigError("null-text inversion optimises the unconditional embedding, but guidance is off (w = 1)")
    unconditional, z_t = given.unconditional, pivot[0]
    for index in range(schedule.steps):
        timestep = schedule.timesteps[index]
        conditional = replace(given, unconditional=None)
        with torch.no_grad():
            with_prompt = predict(backbone, z_t, conditional, schedule, index)
        with torch.enable_grad():
            tokens = unconditional.tokens.detach().clone().requires_grad_()
            unconditional = replace(unconditional, tokens=tokens)
            rate = settings.learning_rate * max(1 - index / 100, 0.01)
            adam = torch.optim.Adam([tokens], lr=rate)
            evaluations = 1
            for _ in range(settings.iterations):
                output = backbone.predict(z_t, timestep, unconditional, given.concat)
                without = schedule.predicted(output, z_t, index, backbone.prediction)
                predicted = without + given.guidance * (with_prompt - without)
                loss = mse_loss(schedule.moved(z_t, predicted, index, index + 1), pivot[index + 1])  # Eq. 10
                (tokens.grad,) = torch.autograd.grad(loss, [tokens])
                adam.step()
                evaluations += 2
                if loss.item() < settings.tolerance + index * settings.tolerance_growth:
                    break
        unconditional = replace(unconditional, tokens=tokens.detach())
        found.append(replace(given, unconditional=unconditional))
        with torch.no_grad():
            without = predict(backbone, z_t, replace(conditional, embedding=unconditional), schedule, index)
            predicted = without + given.guidance * (with_prompt - without)
            z_t = schedule.moved(z_t, predicted, index, index + 1)
        yield Step(index=index, timestep=timestep, latents=z_t, evaluations=(evaluations + 1) * len(z_t))
