"""Photo to stereo: invert the photo; views are made beside its trajectory (Sec. 3.4 a)."""

from collections.abc import Generator
from dataclasses import replace
from functools import partial

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.inversion import invert
from stereodiffusion.diffusion.source import Source
from stereodiffusion.diffusion.trajectory import Recorder, Trajectory, recorder, remember
from stereodiffusion.errors import ConfigError, GeometryError, ModelError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.accept import check_picture, check_range, described
from stereodiffusion.models.estimators import DepthEstimator
from stereodiffusion.settings import STOCHASTIC, Settings
from stereodiffusion.synthesis.borders import refined
from stereodiffusion.synthesis.conditioning import Prompted, condition, over_steps
from stereodiffusion.synthesis.controls import controlled
from stereodiffusion.synthesis.detail import CloserLook
from stereodiffusion.synthesis.drawing import advance
from stereodiffusion.synthesis.holes import all_known
from stereodiffusion.synthesis.noise import seeded_noise
from stereodiffusion.synthesis.parallax import estimating
from stereodiffusion.synthesis.recorded import Recorded, Recording
from stereodiffusion.synthesis.retrace import Retrace, retrace
from stereodiffusion.synthesis.run import Progress, Turn
from stereodiffusion.synthesis.sizes import grid_of, working_size
from stereodiffusion.types import Image, Latent


def check_photo(photo: Image) -> None:
    """Refuse what no photo is, before a model is loaded for it.

    Raises:
        GeometryError: If it is no (b, 3, h, w) float tensor in [0, 1].
    """
    check_picture(photo, name="photo")
    check_range(photo, name="photo")


def photo_source(
    backbone: Backbone,
    photo: Image,
    disparity: Disparity | DepthEstimator,
    asked: Prompted,
    settings: Settings,
    *,
    retrace: Retrace = retrace,
) -> Recording:
    """Photos with their way through the noise levels and their disparity: the left of Sec. 3.4 a.

    Args:
        backbone: A text-conditioned model.
        photo: Photos of any size; worked on at the model's size, views come back at the photo's.
        disparity: Of the photo; unknown cells are filled from their surroundings. Or what estimates it.
        asked: What the photos show, one prompt per photo, "" is fine; the seed is Eq. 8's alone.
        settings: Of the method.
        retrace: Null-text inversion, where the settings ask for it; whoever makes several pairs of one photo may hand
            in one that remembers.

    Raises:
        ConfigError: If the numbers of photos and prompts differ.
        GeometryError: If the photo is no (b, 3, h, w) float tensor in [0, 1], or the disparity is of another size.
        ModelError: If the model wants a depth map.
        PromptError: If a prompt cannot be encoded.
    """
    _check(backbone, photo, disparity, asked, settings)
    yield Turn(stage="borders", networks=False)
    height, width = photo.shape[2:]
    photo = photo.to(backbone.device)
    facts: dict[str, object] = {"prompt": list(asked.prompts), "seed": asked.seed}

    # 1. Its disparity
    if isinstance(disparity, Disparity):
        dense = disparity.to(backbone.device).filled()
        if settings.map.refine == "all":
            dense = refined(dense, photo, settings.map)
    else:
        facts["depth_estimator"] = disparity.name
        estimated = yield from estimating(disparity, photo, settings)
        dense = estimated.to(backbone.device).filled()
        yield Progress(stage="depth", step=1, steps=1)
    ready = yield from controlled(dense, photo, settings)
    dense, settings = ready.disparity, ready.settings

    # 2. Its way back to noise, at the model's size
    yield Turn(stage="inversion", networks=True)
    size = working_size(height, width, backbone)
    z_0 = backbone.encode(resize_image(photo, *size))
    given = condition(backbone, asked, settings.guidance.scale)
    _, fresh = seeded_noise(backbone, asked.seed, len(photo), size)
    if settings.null_text:
        schedule = backbone.schedule(settings.sampling, grid_of(z_0))
        back = yield from retrace(backbone, z_0, asked.prompts, schedule, settings.guidance.scale)
        path = Trajectory(latents=(back.start,), tokens={})
        source = Source(
            backbone=backbone, schedule=schedule, settings=settings, trajectory=path, given=back.given, fresh=fresh
        )
    else:
        source = yield from _inverted(backbone, given, settings, z_0, fresh)

    # 3. All that views are made from
    detail = None
    if settings.crops:
        invert_crop = partial(_inverted, backbone, given, settings)
        detail = CloserLook(backbone=backbone, invert=invert_crop, settings=settings, seed=asked.seed)
    return Recorded(
        source=source,
        given_at=lambda _: source.given,
        picture=photo,
        disparity=dense,
        size=(height, width),
        facts=facts,
        photo=z_0,
        detail=detail,
    )


def _check(
    backbone: Backbone, photo: Image, disparity: Disparity | DepthEstimator, asked: Prompted, settings: Settings
) -> None:
    check_photo(photo)
    if not isinstance(disparity, Disparity | DepthEstimator):
        raise GeometryError(f"disparity must be a Disparity or a depth estimator, got {described(disparity)}")
    if backbone.depth_conditioned:
        raise ModelError(f"{backbone.name} is conditioned on depth: photo mode needs a text-conditioned model")
    if settings.sampling.solver in STOCHASTIC:
        raise ConfigError(
            "photo mode inverts with DDIM, which solvers that add noise do not follow: got solver "
            f"{settings.sampling.solver}"
        )
    if settings.null_text and backbone.guidance_built_in:
        raise ConfigError(
            f"null-text inversion optimises an unconditional prompt, and {backbone.name} has its guidance built in and "
            "takes none: expected preset fast or best, or views.inversion ddim"
        )
    if settings.null_text and backbone.inpainting:
        raise ConfigError(
            f"null-text inversion is for networks that read noise and prompt alone, and {backbone.name} is one for "
            "inpainting: expected preset fast or best, or views.inversion ddim"
        )
    if len(asked.prompts) != len(photo):
        raise ConfigError(f"expected one prompt per photo ({len(photo)}), got {len(asked.prompts)}")
    height, width = photo.shape[2:]
    if isinstance(disparity, Disparity) and (disparity.size, disparity.batch) != ((height, width), len(photo)):
        raise GeometryError(
            f"the photo is {len(photo)} x {height}x{width}, its disparity {disparity.batch} x "
            f"{disparity.height}x{disparity.width}; resize the map explicitly if it shows the same picture"
        )


def _inverted(
    backbone: Backbone, given: Conditioning, settings: Settings, z_0: Latent, fresh: Latent
) -> Generator[Progress, None, Source]:
    """The source is the pivot trajectory itself: nothing is optimised, nothing drifts."""
    schedule = backbone.schedule(settings.sampling, grid_of(z_0))
    unguided = given.branches == 1
    if backbone.inpainting:
        given = replace(given, concat=all_known(z_0))

    def recorder_for() -> Recorder:
        return recorder(backbone, settings, rows=given.branches * len(z_0), grid=grid_of(z_0))

    record = recorder_for() if unguided else Recorder(layers=(), indices=())
    yield from advance(invert(backbone, z_0, given, schedule, record), "inversion", settings.sampling.steps)
    path = record.trajectory()
    sequence = over_steps(given, settings)
    if not unguided:  # inversion sees the prompt's half of guidance only
        both_halves = recorder_for()
        again = remember(backbone, path.latents, sequence, schedule, both_halves)
        if both_halves.indices:
            yield from advance(again, "source", len(both_halves.indices))
        path = replace(path, tokens=both_halves.tokens)
    return Source(
        backbone=backbone,
        schedule=schedule,
        settings=settings,
        trajectory=path,
        given=sequence,
        fresh=fresh,
        pinned=True,
    )
