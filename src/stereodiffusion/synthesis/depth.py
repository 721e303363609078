"""Depth map and prompt to stereo, with a depth-conditioned model (Sec. 3.4 c), and the two-step way of Fig. 7."""

from dataclasses import replace

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning, Edit
from stereodiffusion.diffusion.source import Source
from stereodiffusion.diffusion.trajectory import Recorder, recorder
from stereodiffusion.errors import ConfigError, ModelError
from stereodiffusion.geometry import Disparity, heading, splat
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.borders import refined
from stereodiffusion.synthesis.conditioning import Prompted, condition, depth_condition, over_steps
from stereodiffusion.synthesis.controls import controlled
from stereodiffusion.synthesis.drawing import draw
from stereodiffusion.synthesis.noise import added_noise, seeded_noise
from stereodiffusion.synthesis.parallax import effective
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.recorded import Recorded, Recording
from stereodiffusion.synthesis.run import Turn
from stereodiffusion.synthesis.sizes import grid_of, working_size


def depth_source(
    backbone: Backbone, disparity: Disparity, asked: Prompted, settings: Settings, *, edit: Edit | None = None
) -> Recording:
    """Pictures that have the given disparity: the left of Sec. 3.4 c.

    Args:
        backbone: A depth-conditioned model.
        disparity: Of the picture, one map per prompt or one for all; unknown cells are filled from their
            surroundings. Views have the model's size and the map's aspect ratio.
        asked: Prompts and seed.
        settings: Of the method.
        edit: What happens to the picture's latents after each step, where it is drawn alone.

    Raises:
        ConfigError: If the numbers of maps and prompts differ.
        ModelError: If the model takes no depth map.
        PromptError: If a prompt cannot be encoded.
    """
    count = len(asked.prompts)
    yield Turn(stage="source", networks=True)
    disparity, size = _prepared(backbone, disparity, count)

    # 1. The map at the model's size
    start, fresh = seeded_noise(backbone, asked.seed, count, size)
    sized = disparity.resize(*size)
    # What is normalised as the authors do comes to the latents' grid at once, as theirs does.
    depth = depth_condition(disparity if settings.parallax.scale == "normalized" else sized, grid_of(start))
    prompted = condition(backbone, asked, settings.guidance.scale, concat=depth)
    given = over_steps(prompted, settings)

    # 2. The picture, its way recorded, unless both views are drawn together
    added = added_noise(backbone, asked.seed, count, size, settings.sampling)
    record = recorder(backbone, settings, rows=prompted.branches * count, grid=grid_of(start))
    picture = None
    if settings.together:
        record.latents[0] = start
    else:
        picture = yield from draw(backbone, start, given, settings.sampling, record, added, edit)

    # 3. The map as the picture has it, and as a view sees it
    if picture is not None and settings.map.refine != "off":  # what was drawn follows the map about, not exactly
        disparity = sized = refined(sized, picture, settings.map)
    curved = not settings.parallax.straight
    ready = yield from controlled(disparity, picture, settings)
    disparity, settings = ready.disparity, ready.settings
    seen = effective(disparity.resize(*size), settings.parallax)
    relief = sized if curved else seen  # a curve is of the parallax alone: what is drawn has the depth of the map

    def given_at(position: float) -> list[Conditioning]:
        if settings.view_depth == "same":
            return given
        to, fraction = heading(position)
        warped = splat(relief.pixels, seen, to=to, fraction=fraction)
        moved = Disparity(pixels=warped.view, known=warped.visible).filled()
        return over_steps(replace(prompted, concat=depth_condition(moved, grid_of(start), like=relief)), settings)

    # 4. All that views are made from
    source = Source(
        backbone=backbone,
        schedule=backbone.schedule(settings.sampling, grid_of(start)),
        settings=settings,
        trajectory=record.trajectory(),
        given=given,
        fresh=fresh,
        added=added,
    )
    return Recorded(
        source=source, given_at=given_at, picture=picture, disparity=disparity, size=size, facts=asked.facts()
    )


def two_step_source(
    depth_backbone: Backbone,
    photo_backbone: Backbone,
    disparity: Disparity,
    asked: Prompted,
    settings: Settings,
    photo_settings: Settings,
) -> Recording:
    """A picture from depth and prompt, then photo mode on that picture: it no longer overlaps itself (Fig. 7).

    Args:
        depth_backbone: A depth-conditioned model, for the picture.
        photo_backbone: A text-conditioned model, for the views.
        disparity: As in `depth_source`.
        asked: Prompts and seed.
        settings: Of the picture.
        photo_settings: Of the photo mode.

    Raises:
        ConfigError: If the numbers of maps and prompts differ.
        ModelError: If a model is of the wrong kind.
    """
    count = len(asked.prompts)
    yield Turn(stage="source", networks=True)
    disparity, size = _prepared(depth_backbone, disparity, count)
    disparity = disparity.resize(*size)
    start, _ = seeded_noise(depth_backbone, asked.seed, count, size)
    prompted = condition(
        depth_backbone, asked, settings.guidance.scale, concat=depth_condition(disparity, grid_of(start))
    )
    added = added_noise(depth_backbone, asked.seed, count, size, settings.sampling)
    alone = Recorder(layers=(), indices=())
    given = over_steps(prompted, settings)
    picture = yield from draw(depth_backbone, start, given, settings.sampling, alone, added)
    if settings.map.refine == "estimated":  # all is of photo mode, which sees to it
        disparity = refined(disparity, picture, settings.map)
    unsaid = Prompted(prompts=[""] * count, seed=asked.seed)
    recorded = yield from photo_source(photo_backbone, picture, disparity, unsaid, photo_settings)
    return replace(recorded, facts={**asked.facts(), "drawn_with": settings.plain()})


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
