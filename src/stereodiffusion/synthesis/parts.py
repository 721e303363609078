"""What the modes have in common: sizes, noise and conditioning."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from stereodiffusion.config import StereoConfig
from stereodiffusion.depth import DepthEstimator
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.consistency import AddedNoise
from stereodiffusion.diffusion.denoise import Conditioning, Step
from stereodiffusion.diffusion.sampling import solver_of
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.trajectory import Recorder, sample_left
from stereodiffusion.errors import ConfigError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity, snap_to_edges
from stereodiffusion.synthesis.run import Progress, Stage
from stereodiffusion.types import Image, Latent, Map

_SNAPPING_PIXELS = 512 * 512
_ROUNDINGS = 16  # of one value, that bicubic interpolation makes of equal ones at most


def working_size(height: int, width: int, backbone: Backbone) -> tuple[int, int]:
    """(height, width) at which a picture of another size is worked on.

    As many pixels as the model was trained at, the picture's aspect ratio, whole cells.
    """
    native_height, native_width = backbone.native_size
    scale = (native_height * native_width / (height * width)) ** 0.5
    cell = backbone.pixels_per_latent

    def whole(length: int) -> int:
        return max(cell, round(length * scale / cell) * cell)

    return whole(height), whole(width)


def check_size(size: tuple[int, int], backbone: Backbone, estimator: DepthEstimator) -> None:
    """Refuse sizes that are not whole cells, or too small for what estimates the depth of the picture.

    Raises:
        ConfigError: If height or width is not a positive multiple of the model's cell, or below the estimator's least.
    """
    cell = backbone.pixels_per_latent
    if any(length < cell or length % cell for length in size):
        raise ConfigError(f"{backbone.name} needs sides that are multiples of {cell}, got {size[0]}x{size[1]}")
    least = estimator.least_side
    if min(size) < least:
        raise ConfigError(f"{estimator.name} needs sides of at least {least} pixels, got {size[0]}x{size[1]}")


def seeded_noise(
    backbone: Backbone, seed: int, count: int, size: tuple[int, int]
) -> tuple[Latent, Float[Tensor, "b c h w"]]:
    """The noise that sampling starts from, and the fresh noise of Eq. 8.

    Drawn on the CPU, so that a seed means the same everywhere; picture k of a batch draws from `seed + k`, so that it
    is the picture that the seed gives alone.
    """
    cell = backbone.pixels_per_latent
    shape = (2, 1, backbone.latent_channels, size[0] // cell, size[1] // cell)
    drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(seed + k)) for k in range(count)]
    start, fresh = torch.cat(drawn, dim=1).to(backbone.device)
    return start, fresh


def grid_of(latents: Latent) -> tuple[int, int]:
    """(height, width) of latents in cells."""
    return latents.shape[2], latents.shape[3]


def added_noise(
    backbone: Backbone, seed: int, count: int, size: tuple[int, int], config: StereoConfig
) -> AddedNoise | None:
    """What a stochastic solver adds after its steps, None for the others.

    It is drawn after `seeded_noise` from the same generators.
    """
    if config.solver != "lcm":
        return None
    cell = backbone.pixels_per_latent
    shape = (2 + 2 * config.steps, 1, backbone.latent_channels, size[0] // cell, size[1] // cell)
    drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(seed + k))[2:] for k in range(count)]
    left, own = torch.cat(drawn, dim=1).to(backbone.device).chunk(2)
    return AddedNoise(left=left, own=own)


def condition(
    backbone: Backbone,
    prompts: Sequence[str],
    negative: str,
    guidance: float,
    *,
    depth: Map | None = None,
) -> Conditioning:
    """Embed prompts. Guidance towards the negative prompt itself, or with w = 1, has no effect and is left out.

    Raises:
        ConfigError: If there is a negative prompt for a model that has its guidance built in.
        PromptError: If a prompt cannot be encoded.
    """
    embedding = backbone.embed(prompts)
    if backbone.guidance_built_in:
        if negative:
            raise ConfigError(
                f"{backbone.name} has its guidance built in and takes no negative prompt: got {negative!r}"
            )
        return Conditioning(embedding=replace(embedding, guidance=guidance), depth=depth)
    if guidance == 1 or all(prompt == negative for prompt in prompts):
        return Conditioning(embedding=embedding, depth=depth)
    unconditional = backbone.embed([negative] * len(prompts))
    return Conditioning(embedding=embedding, unconditional=unconditional, guidance=guidance, depth=depth)


def over_steps(given: Conditioning, config: StereoConfig) -> list[Conditioning]:
    """One conditioning per step: guided where the settings want guidance, elsewhere by the prompt alone."""
    unguided = replace(given, unconditional=None, guidance=1.0)
    return [given if index in config.guidance_indices else unguided for index in range(config.steps)]


def effective(disparity: Disparity, config: StereoConfig) -> Disparity:
    """The disparity that a pair will have, on the grid it is given on: scaled as the settings say, then converged."""
    if config.parallax == "normalized":
        nearest_px = config.max_disparity * disparity.width
        disparity = Disparity.from_relative(disparity.pixels, nearest_px, known=disparity.known)
    return disparity.converged_at(config.convergence * disparity.width) if config.convergence else disparity


def estimate(estimator: DepthEstimator, picture: Image, config: StereoConfig) -> Disparity:
    """The disparity of a picture as far as it can be told from the picture alone."""
    disparity = Disparity.from_relative(estimator(picture), config.max_disparity * picture.shape[3])
    return disparity if config.refine == "off" else refined(disparity, picture)


def refined(disparity: Disparity, picture: Image) -> Disparity:
    """A dense map whose borders lie where the picture's do, hair included.

    On a small grid first, where an estimator's ramps are narrow and hair is thin, then on the picture's own.
    """
    height, width = picture.shape[2:]
    if height * width <= 2 * _SNAPPING_PIXELS:
        return _with_hair(disparity, picture)
    scale = (_SNAPPING_PIXELS / (height * width)) ** 0.5
    small = round(height * scale), round(width * scale)
    coarse = _with_hair(disparity.resize(*small), resize_image(picture, *small))
    return snap_to_edges(coarse.resize(height, width), picture)


def _with_hair(disparity: Disparity, picture: Image) -> Disparity:
    from stereodiffusion.geometry.strands import attach_strands  # OpenCV takes its time

    return attach_strands(snap_to_edges(disparity, picture), picture)


def depth_condition(disparity: Disparity, grid: tuple[int, int], *, like: Disparity | None = None) -> Map:
    """A depth map as SD2-depth wants it: relative inverse depth on the latent grid, the range mapped to [-1, 1].

    Args:
        disparity: Dense, of the picture, on any grid.
        grid: (height, width) of the latents.
        like: Take the range of this map, which is on the same grid, instead, so that two views of a scene agree.
    """

    def on_latents(given: Disparity) -> Map:
        return interpolate(given.pixels, size=grid, mode="bicubic", align_corners=False)

    reference = on_latents(disparity if like is None else like)
    low, high = reference.amin((1, 2, 3), keepdim=True), reference.amax((1, 2, 3), keepdim=True)
    rounding = _ROUNDINGS * torch.finfo(reference.dtype).eps * torch.maximum(low.abs(), high.abs())
    span = torch.where(high - low > rounding, high - low, torch.inf)  # a flat map has no relief: all of it is far
    return (2 * (on_latents(disparity) - low) / span - 1).clamp(-1, 1)


def advance(steps: Iterator[Step], stage: Stage, total: int, *, done: int = 0) -> Generator[Progress, None, Latent]:
    """Run a loop to its end, reporting progress; gives its last latents. The stage has taken `done` steps before."""
    latents: Latent | None = None
    for number, step in enumerate(steps, start=done + 1):
        latents = step.latents
        yield Progress(stage=stage, step=number, steps=total, evaluations=step.evaluations)
    if latents is None:
        raise ConfigError(f"the stage {stage!r} has no steps")
    return latents


def draw(
    backbone: Backbone,
    start: Latent,
    given: Sequence[Conditioning],
    schedule: Schedule,
    config: StereoConfig,
    record: Recorder,
    added: AddedNoise | None,
) -> Generator[Progress, None, Image]:
    """Sample the source from noise as the settings say, remembered by `record`; gives it in pixels."""
    solver = solver_of(config, None if added is None else lambda: added.left)
    steps = sample_left(backbone, start, given, schedule, record, solver)
    return backbone.decode((yield from advance(steps, "left view", config.steps)))
