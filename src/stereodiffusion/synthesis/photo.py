"""Photo to stereo: invert the photo, make the right beside its trajectory (Sec. 3.4 a)."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from stereodiffusion.config import StereoConfig
from stereodiffusion.depth import DepthEstimator
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.inversion import AUTHORS_NULL_TEXT, NullTextSettings, invert, null_text
from stereodiffusion.diffusion.sampling import schedule_of
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.trajectory import Recorder, Trajectory, recorder, remember
from stereodiffusion.errors import ConfigError, GeometryError, ModelError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.accept import check_picture, check_range, described
from stereodiffusion.synthesis.detail import in_crops
from stereodiffusion.synthesis.parts import (
    advance,
    condition,
    estimate,
    grid_of,
    over_steps,
    refined,
    seeded_noise,
    working_size,
)
from stereodiffusion.synthesis.run import Progress, Synthesis
from stereodiffusion.synthesis.stereo import Left, Recorded, Recording, describe, pair_beside
from stereodiffusion.types import Image, Latent
from stereodiffusion.viewpoint import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraced:
    """What null-text inversion finds: the way back to a photo.

    Attributes:
        start: Latents at the noisiest level, (b, c, h, w).
        given: Conditioning per step with which denoising leads from them to the photo.
    """

    start: Latent
    given: Sequence[Conditioning]


Retrace: TypeAlias = Callable[
    [Backbone, Latent, Sequence[str], Schedule, float, NullTextSettings], Generator[Progress, None, Retraced]
]
"""Null-text inversion of clean latents: model, latents, a prompt for each, noise levels, guidance scale, optimiser."""


def retrace(
    backbone: Backbone,
    z_0: Latent,
    prompts: Sequence[str],
    schedule: Schedule,
    guidance: float,
    optimisation: NullTextSettings = AUTHORS_NULL_TEXT,
) -> Generator[Progress, None, Retraced]:
    """Find the pivot trajectory of photos and the embeddings that retrace it (Eq. 9 and 10)."""
    record = Recorder(layers=(), indices=())
    given = Conditioning(
        embedding=backbone.embed(prompts),
        unconditional=backbone.embed([""] * len(prompts), unconditional=True),
        guidance=guidance,
    )
    there = invert(backbone, z_0, given, schedule, record, label="there")
    yield from advance(there, "inversion", schedule.steps)
    pivot = record.trajectory()
    found: list[Conditioning] = []
    yield from advance(
        null_text(backbone, pivot.latents, given, schedule, found, optimisation), "null-text", schedule.steps
    )
    return Retraced(start=pivot.latents[0], given=found)


def check_photo(photo: Image) -> None:
    """Refuse what no photo is, before a model is loaded for it.

    Raises:
        GeometryError: If it is no (b, 3, h, w) float tensor in [0, 1].
    """
    check_picture(photo, name="photo")
    check_range(photo, name="photo")


def photo_to_stereo(
    backbone: Backbone,
    photo: Image,
    disparity: Disparity | DepthEstimator,
    *,
    prompts: Sequence[str] | None = None,
    config: StereoConfig,
    seed: int = 0,
    optimisation: NullTextSettings = AUTHORS_NULL_TEXT,
    retrace: Retrace = retrace,
    source: Source = "left",
) -> Synthesis:
    """Stereo pairs from photos: `photo_source` as the eye `source`, and what is missing beside it.

    The photo's own eye is the photo, or (`compose="decoded"`) the photo as the model reproduces it.
    """
    recording = photo_source(
        backbone,
        photo,
        disparity,
        prompts=prompts,
        config=config,
        seed=seed,
        optimisation=optimisation,
        retrace=retrace,
    )
    return pair_beside(recording, config, source)


def photo_source(
    backbone: Backbone,
    photo: Image,
    disparity: Disparity | DepthEstimator,
    *,
    prompts: Sequence[str] | None = None,
    config: StereoConfig,
    seed: int = 0,
    optimisation: NullTextSettings = AUTHORS_NULL_TEXT,
    retrace: Retrace = retrace,
) -> Recording:
    """Photos with their way through the noise levels and their disparity: the left of Sec. 3.4 a.

    Args:
        backbone: A text-conditioned model.
        photo: Photos of any size; worked on at the model's size, views come back at the photo's.
        disparity: Of the photo; unknown cells are filled from their surroundings. Or what estimates it.
        prompts: What the photos show, one per photo; "" for each if None.
        config: The settings.
        seed: For Eq. 8's noise; photo mode draws no other.
        optimisation: Of null-text inversion, if the settings ask for it.
        retrace: Null-text inversion itself; depends on nothing but what it is given, so that whoever makes several
            pairs of one photo may hand in one that remembers.

    Raises:
        ConfigError: If the numbers of photos and prompts differ.
        GeometryError: If the photo is no (b, 3, h, w) float tensor in [0, 1], or the disparity is of another size.
        ModelError: If the model wants a depth map.
        PromptError: If a prompt cannot be encoded.
    """
    check_photo(photo)
    if not isinstance(disparity, Disparity | DepthEstimator):
        raise GeometryError(f"disparity must be a Disparity or a depth estimator, got {described(disparity)}")
    if backbone.depth_conditioned:
        raise ModelError(f"{backbone.name} is conditioned on depth: photo mode needs a text-conditioned model")
    if config.solver == "lcm":
        raise ConfigError("photo mode inverts with DDIM, which consistency models do not follow: got solver='lcm'")
    height, width = photo.shape[2:]
    photo = photo.to(backbone.device)
    facts: dict[str, object] = {"seed": seed}
    was_given = isinstance(disparity, Disparity)
    if not isinstance(disparity, Disparity):
        facts["depth_estimator"] = disparity.name
        disparity = estimate(disparity, photo, config)
        yield Progress(stage="depth", step=1, steps=1)
    if (disparity.size, disparity.batch) != ((height, width), len(photo)):
        raise GeometryError(
            f"the photo is {len(photo)} x {height}x{width}, its disparity {disparity.batch} x "
            f"{disparity.height}x{disparity.width}; resize the map explicitly if it shows the same picture"
        )
    prompts = [""] * len(photo) if prompts is None else prompts
    if len(prompts) != len(photo):
        raise ConfigError(f"expected one prompt per photo ({len(photo)}), got {len(prompts)}")

    # 1. At the model's size
    size = working_size(height, width, backbone)
    dense = disparity.to(backbone.device).filled()
    if was_given and config.refine == "all":
        dense = refined(dense, photo)
    z_0 = backbone.encode(resize_image(photo, *size))
    schedule = schedule_of(backbone.alphas, config)
    given = condition(backbone, prompts, "", config.guidance)
    _, fresh = seeded_noise(backbone, seed, len(photo), size)

    # 2. Its trajectory
    if config.inversion == "null-text":
        back = yield from retrace(backbone, z_0, prompts, schedule, config.guidance, optimisation)
        path = Trajectory(latents=(back.start,), memory={})
        left = Left(trajectory=path, given=back.given, given_at=lambda _: back.given, fresh=fresh)
    else:
        left = yield from _ddim_left(backbone, given, schedule, config, z_0, fresh)

    # 3. All that other views are made from
    detail = None
    if config.crops:
        invert_crop = partial(_ddim_left, backbone, given, schedule, config)
        detail = partial(in_crops, backbone, invert_crop, schedule, config, seed)
    return Recorded(
        backbone=backbone,
        left=replace(left, picture=photo, photo=z_0),
        disparity=dense,
        size=(height, width),
        schedule=schedule,
        config=config,
        settings=describe("photo", backbone, config, {"prompt": list(prompts), **facts}),
        detail=detail,
    )


def _ddim_left(
    backbone: Backbone, given: Conditioning, schedule: Schedule, config: StereoConfig, z_0: Latent, fresh: Latent
) -> Generator[Progress, None, Left]:
    """The left is the pivot trajectory itself: nothing is optimised, nothing drifts."""
    unguided = given.branches == 1
    record = _recorder(backbone, z_0, given, config) if unguided else Recorder(layers=(), indices=())
    yield from advance(invert(backbone, z_0, given, schedule, record), "inversion", config.steps)
    path = record.trajectory()
    sequence = over_steps(given, config)
    if not unguided:  # inversion sees the prompt's half of guidance only
        both_halves = _recorder(backbone, z_0, given, config)
        again = remember(backbone, path.latents, sequence, schedule, both_halves)
        if both_halves.indices:
            yield from advance(again, "left view", len(both_halves.indices))
        path = replace(path, memory=both_halves.memory)
    return Left(trajectory=path, given=sequence, given_at=lambda _: sequence, fresh=fresh, pinned=True)


def _recorder(backbone: Backbone, z_0: Latent, given: Conditioning, config: StereoConfig) -> Recorder:
    return recorder(backbone, config, rows=given.branches * len(z_0), grid=grid_of(z_0))
