"""Depth map and prompt to stereo, with a depth-conditioned model (Sec. 3.4 c), and the two-step way of Fig. 7."""

from collections.abc import Sequence
from dataclasses import replace

from stereodiffusion.config import StereoConfig
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.sampling import schedule_of, solver_of
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.solver import Solver
from stereodiffusion.diffusion.trajectory import Recorder, recorder, sample_left
from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.geometry import Disparity, warp_disparity
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.synthesis.parts import (
    added_noise,
    advance,
    condition,
    depth_condition,
    effective,
    grid_of,
    over_steps,
    seeded_noise,
    working_size,
)
from stereodiffusion.synthesis.photo import photo_to_stereo
from stereodiffusion.synthesis.run import Synthesis
from stereodiffusion.synthesis.stereo import Left, describe, pair_beside
from stereodiffusion.types import Latent


def depth_to_stereo(
    backbone: Backbone,
    disparity: Disparity,
    prompts: Sequence[str],
    *,
    negative: str = "",
    config: StereoConfig,
    seed: int = 0,
) -> Synthesis:
    """Stereo pairs whose left view has the given disparity.

    Args:
        backbone: A depth-conditioned model.
        disparity: Of the left view, one map per prompt or one for all; unknown cells are filled from their
            surroundings. The pair has the model's size and the map's aspect ratio.
        prompts: One prompt per pair.
        negative: What to steer away from.
        config: The settings.
        seed: Pair k draws its noise from `seed + k`.

    Raises:
        ConfigError: If the numbers of maps and prompts differ.
        ModelError: If the model takes no depth map.
        PromptError: If a prompt cannot be encoded.
    """
    disparity, size = _prepared(backbone, disparity, len(prompts))
    schedule = schedule_of(backbone.alphas, config)
    start, fresh = seeded_noise(backbone, seed, len(prompts), size)
    sized = disparity.resize(*size)
    # What is normalised as the authors do comes to the latents' grid at once, as theirs does.
    depth = depth_condition(disparity if config.parallax == "normalized" else sized, grid_of(start))
    given = condition(backbone, prompts, negative, config.guidance, depth=depth)
    given_right = given
    if config.right_depth == "warped":
        seen_left = effective(sized, config)
        warped = depth_condition(warp_disparity(seen_left).filled(), grid_of(start), like=seen_left)
        given_right = replace(given, depth=warped)

    added = added_noise(backbone, seed, len(prompts), size, config)
    record = recorder(backbone, config, rows=given.branches * len(prompts), grid=grid_of(start))
    picture = None
    if config.left == "recorded":
        solver = solver_of(config, None if added is None else lambda: added.left)
        steps = sample_left(backbone, start, over_steps(given, config), schedule, record, solver, config.cached_indices)
        picture = backbone.decode((yield from advance(steps, "left view", config.steps)))
    else:
        record.latents[0] = start
    left = Left(
        trajectory=record.trajectory(),
        given=over_steps(given, config),
        given_right=over_steps(given_right, config),
        fresh=fresh,
        added=added,
        picture=picture,
    )
    settings = describe("depth", backbone, config, {"prompt": list(prompts), "negative": negative, "seed": seed})
    return (yield from pair_beside(backbone, left, disparity, size, schedule, config, settings))


def two_step_to_stereo(
    depth_backbone: Backbone,
    photo_backbone: Backbone,
    disparity: Disparity,
    prompts: Sequence[str],
    *,
    negative: str = "",
    config: StereoConfig,
    photo_config: StereoConfig,
    seed: int = 0,
) -> Synthesis:
    """Fig. 7's remedy: a left picture from depth and prompt, then photo mode on that picture.

    Args:
        depth_backbone: A depth-conditioned model, for the left picture.
        photo_backbone: A text-conditioned model, for the pair.
        disparity: As in `depth_to_stereo`.
        prompts: One prompt per pair.
        negative: What to steer away from.
        config: The settings of the left picture.
        photo_config: The settings of the photo mode.
        seed: Pair k draws its noise from `seed + k`.

    Raises:
        ConfigError: If the numbers of maps and prompts differ.
        ModelError: If a model is of the wrong kind.
    """
    disparity, size = _prepared(depth_backbone, disparity, len(prompts))
    disparity = disparity.resize(*size)
    schedule = schedule_of(depth_backbone.alphas, config)
    start, _ = seeded_noise(depth_backbone, seed, len(prompts), size)
    depth = depth_condition(disparity, grid_of(start))
    given = condition(depth_backbone, prompts, negative, config.guidance, depth=depth)
    added = added_noise(depth_backbone, seed, len(prompts), size, config)
    solver = solver_of(config, None if added is None else lambda: added.left)
    clean = yield from advance(
        _left_only(depth_backbone, start, over_steps(given, config), schedule, solver), "left view", config.steps
    )
    picture = depth_backbone.decode(clean)
    pair = yield from photo_to_stereo(photo_backbone, picture, disparity, config=photo_config, seed=seed)
    facts = {"prompt": list(prompts), "negative": negative, "seed": seed, "second_step": dict(pair.settings)}
    return replace(pair, settings=describe("depth", depth_backbone, config, facts))


def _left_only(backbone: Backbone, start: Latent, given: Sequence[Conditioning], schedule: Schedule, solver: Solver):
    return sample_left(backbone, start, given, schedule, Recorder(layers=(), indices=()), solver)


def _prepared(backbone: Backbone, disparity: Disparity, count: int) -> tuple[Disparity, tuple[int, int]]:
    """Dense, one per prompt; and (height, width) of the pair."""
    check_disparity(disparity)
    if not backbone.depth_conditioned:
        raise ModelError(f"{backbone.name} takes no depth map; toybox and SD2-depth do")
    if disparity.batch not in (1, count):
        raise ConfigError(f"expected one depth map or one per prompt ({count}), got {disparity.batch}")
    dense = disparity.to(backbone.device).filled()
    one_each = Disparity(
        pixels=dense.pixels.expand(count, -1, -1, -1).contiguous(),
        known=dense.known.expand(count, -1, -1, -1).contiguous(),
    )
    return one_each, working_size(*disparity.size, backbone)
