"""Text to stereo: denoise the source and estimate its disparity; views are made beside it (Sec. 3.4 b)."""

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Edit
from stereodiffusion.diffusion.source import Source
from stereodiffusion.diffusion.trajectory import recorder
from stereodiffusion.errors import ModelError
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.conditioning import Prompted, condition, over_steps
from stereodiffusion.synthesis.controls import controlled
from stereodiffusion.synthesis.drawing import draw
from stereodiffusion.synthesis.holes import all_hole
from stereodiffusion.synthesis.noise import added_noise, seeded_noise
from stereodiffusion.synthesis.parallax import estimating
from stereodiffusion.synthesis.recorded import Recorded, Recording
from stereodiffusion.synthesis.run import Note, Progress, Turn
from stereodiffusion.synthesis.sizes import check_size, cost_of, grid_of


def text_source(
    backbone: Backbone,
    estimator: DepthEstimator,
    asked: Prompted,
    settings: Settings,
    *,
    size: tuple[int, int] | None = None,
    edit: Edit | None = None,
) -> Recording:
    """Pictures drawn from prompts, one per prompt, with their disparity: the left of Sec. 3.4 b.

    Args:
        backbone: A text-conditioned model.
        estimator: Gives the picture's relative inverse depth.
        asked: Prompts and seed.
        settings: Of the method.
        size: (height, width) in pixels; the model's own if None.
        edit: What happens to the picture's latents after each step.

    Raises:
        ConfigError: If `size` is not whole cells, too small for the estimator, or far beyond the model's own.
        ModelError: If the model wants a depth map.
        PromptError: If a prompt cannot be encoded.
    """
    if backbone.depth_conditioned:
        raise ModelError(f"{backbone.name} wants a depth map: it cannot work from text alone")
    size = backbone.native_size if size is None else size
    check_size(size, backbone, estimator)
    if cost := cost_of(size, backbone):
        yield Note(cost)
    yield Turn(stage="source", networks=True)
    count = len(asked.prompts)
    start, fresh = seeded_noise(backbone, asked.seed, count, size)
    nothing_yet = all_hole(backbone, count, size) if backbone.inpainting else None
    prompted = condition(backbone, asked, settings.guidance.scale, concat=nothing_yet)
    given = over_steps(prompted, settings)

    # 1. The picture, its way recorded
    record = recorder(backbone, settings, rows=prompted.branches * count, grid=grid_of(start))
    added = added_noise(backbone, asked.seed, count, size, settings.sampling)
    picture = yield from draw(backbone, start, given, settings.sampling, record, added, edit)

    # 2. Its disparity
    disparity = yield from estimating(estimator, picture, settings)
    yield Progress(stage="depth", step=1, steps=1)
    ready = yield from controlled(disparity, picture, settings)
    disparity, settings = ready.disparity, ready.settings

    # 3. All that views are made from
    yield Turn(stage="view", networks=True)
    source = Source(
        backbone=backbone,
        schedule=backbone.schedule(settings.sampling, grid_of(start)),
        settings=settings,
        trajectory=record.trajectory(),
        given=given,
        fresh=fresh,
        added=added,
    )
    facts = {**asked.facts(), "depth_estimator": estimator.name}
    return Recorded(
        source=source, given_at=lambda _: given, picture=picture, disparity=disparity, size=size, facts=facts
    )
