"""Text to stereo: denoise the left, estimate its disparity, make the right beside it (Sec. 3.4 b)."""

from collections.abc import Sequence

from stereodiffusion.config import StereoConfig
from stereodiffusion.depth import DepthEstimator
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.sampling import schedule_of
from stereodiffusion.diffusion.trajectory import recorder
from stereodiffusion.errors import ModelError
from stereodiffusion.synthesis.parts import (
    added_noise,
    check_size,
    condition,
    draw,
    estimate,
    grid_of,
    over_steps,
    seeded_noise,
)
from stereodiffusion.synthesis.run import Progress, Synthesis
from stereodiffusion.synthesis.stereo import Left, Recorded, Recording, describe, pair_beside
from stereodiffusion.viewpoint import Source


def text_to_stereo(
    backbone: Backbone,
    estimator: DepthEstimator,
    prompts: Sequence[str],
    *,
    negative: str = "",
    config: StereoConfig,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    source: Source = "left",
) -> Synthesis:
    """Stereo pairs from prompts, one per prompt: `text_source` as the eye `source`, and what is missing beside it."""
    recording = text_source(backbone, estimator, prompts, negative=negative, config=config, seed=seed, size=size)
    return pair_beside(recording, config, source)


def text_source(
    backbone: Backbone,
    estimator: DepthEstimator,
    prompts: Sequence[str],
    *,
    negative: str = "",
    config: StereoConfig,
    seed: int = 0,
    size: tuple[int, int] | None = None,
) -> Recording:
    """Pictures drawn from prompts, one per prompt, with their disparity: the left of Sec. 3.4 b.

    Args:
        backbone: A text-conditioned model.
        estimator: Gives the left picture's relative inverse depth.
        prompts: One prompt per picture.
        negative: What to steer away from.
        config: The settings.
        seed: Picture k draws its noise from `seed + k`.
        size: (height, width) in pixels; the model's own if None.

    Raises:
        ConfigError: If `size` is not whole cells, or too small for the estimator.
        ModelError: If the model wants a depth map.
        PromptError: If a prompt cannot be encoded.
    """
    if backbone.depth_conditioned:
        raise ModelError(f"{backbone.name} wants a depth map: it cannot work from text alone")
    size = backbone.native_size if size is None else size
    check_size(size, backbone, estimator)
    schedule = schedule_of(backbone.alphas, config)
    start, fresh = seeded_noise(backbone, seed, len(prompts), size)
    prompted = condition(backbone, prompts, negative, config.guidance)
    given = over_steps(prompted, config)

    # 1. The picture, remembered
    record = recorder(backbone, config, rows=prompted.branches * len(prompts), grid=grid_of(start))
    added = added_noise(backbone, seed, len(prompts), size, config)
    picture = yield from draw(backbone, start, given, schedule, config, record, added)
    path = record.trajectory()

    # 2. Its disparity
    disparity = estimate(estimator, picture, config)
    yield Progress(stage="depth", step=1, steps=1)

    # 3. All that other views are made from
    left = Left(trajectory=path, given=given, given_at=lambda _: given, fresh=fresh, added=added, picture=picture)
    facts = {"prompt": list(prompts), "negative": negative, "seed": seed, "depth_estimator": estimator.name}
    return Recorded(
        backbone=backbone,
        left=left,
        disparity=disparity,
        size=size,
        schedule=schedule,
        config=config,
        settings=describe("text", backbone, config, facts),
    )
