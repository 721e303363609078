"""Depth map and prompt to stereo, with a depth-conditioned model (Sec. 3.4 c), and the two-step way of Fig. 7."""

from collections.abc import Sequence
from dataclasses import replace

from stereodiffusion.config import StereoConfig
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.sampling import schedule_of
from stereodiffusion.diffusion.trajectory import Recorder, recorder
from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.geometry import Disparity, heading, warp_disparity
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.synthesis.parts import (
    added_noise,
    condition,
    depth_condition,
    draw,
    effective,
    grid_of,
    over_steps,
    seeded_noise,
    working_size,
)
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.run import Synthesis
from stereodiffusion.synthesis.stereo import Left, Recorded, Recording, describe, pair_beside
from stereodiffusion.viewpoint import Source


def depth_to_stereo(
    backbone: Backbone,
    disparity: Disparity,
    prompts: Sequence[str],
    *,
    negative: str = "",
    config: StereoConfig,
    seed: int = 0,
    source: Source = "left",
) -> Synthesis:
    """Stereo pairs from depth: `depth_source` as the eye `source`, and what is missing beside it."""
    recording = depth_source(backbone, disparity, prompts, negative=negative, config=config, seed=seed)
    return pair_beside(recording, config, source)


def depth_source(
    backbone: Backbone,
    disparity: Disparity,
    prompts: Sequence[str],
    *,
    negative: str = "",
    config: StereoConfig,
    seed: int = 0,
) -> Recording:
    """Pictures that have the given disparity: the left of Sec. 3.4 c.

    Args:
        backbone: A depth-conditioned model.
        disparity: Of the picture, one map per prompt or one for all; unknown cells are filled from their
            surroundings. Views have the model's size and the map's aspect ratio.
        prompts: One prompt per picture.
        negative: What to steer away from.
        config: The settings.
        seed: Picture k draws its noise from `seed + k`.

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
    seen_left = effective(sized, config)

    def given_at(position: float) -> list[Conditioning]:
        if config.right_depth == "same":
            return over_steps(given, config)
        to, fraction = heading(position)
        moved = warp_disparity(seen_left, to, fraction=fraction).filled()
        warped = depth_condition(moved, grid_of(start), like=seen_left)
        return over_steps(replace(given, depth=warped), config)

    added = added_noise(backbone, seed, len(prompts), size, config)
    record = recorder(backbone, config, rows=given.branches * len(prompts), grid=grid_of(start))
    picture = None
    if config.left == "recorded":
        picture = yield from draw(backbone, start, over_steps(given, config), schedule, config, record, added)
    else:
        record.latents[0] = start
    left = Left(
        trajectory=record.trajectory(),
        given=over_steps(given, config),
        given_at=given_at,
        fresh=fresh,
        added=added,
        picture=picture,
    )
    facts = {"prompt": list(prompts), "negative": negative, "seed": seed}
    return Recorded(
        backbone=backbone,
        left=left,
        disparity=disparity,
        size=size,
        schedule=schedule,
        config=config,
        settings=describe("depth", backbone, config, facts),
    )


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
    source: Source = "left",
) -> Synthesis:
    """Fig. 7's remedy: `two_step_source` as the eye `source`, and what is missing beside it."""
    recording = two_step_source(
        depth_backbone,
        photo_backbone,
        disparity,
        prompts,
        negative=negative,
        config=config,
        photo_config=photo_config,
        seed=seed,
    )
    return pair_beside(recording, photo_config, source)


def two_step_source(
    depth_backbone: Backbone,
    photo_backbone: Backbone,
    disparity: Disparity,
    prompts: Sequence[str],
    *,
    negative: str = "",
    config: StereoConfig,
    photo_config: StereoConfig,
    seed: int = 0,
) -> Recording:
    """A picture from depth and prompt, then photo mode on that picture: it no longer overlaps itself (Fig. 7).

    Args:
        depth_backbone: A depth-conditioned model, for the picture.
        photo_backbone: A text-conditioned model, for the views.
        disparity: As in `depth_source`.
        prompts: One prompt per picture.
        negative: What to steer away from.
        config: The settings of the picture.
        photo_config: The settings of the photo mode.
        seed: Picture k draws its noise from `seed + k`.

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
    alone = Recorder(layers=(), indices=())
    picture = yield from draw(depth_backbone, start, over_steps(given, config), schedule, config, alone, added)
    recorded = yield from photo_source(photo_backbone, picture, disparity, config=photo_config, seed=seed)
    facts = {"prompt": list(prompts), "negative": negative, "seed": seed}
    return replace(recorded, drawn_by=describe("depth", depth_backbone, config, facts))


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
