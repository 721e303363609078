"""From a left trajectory and a disparity to a pair: the part that all modes share."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

import torch
from torch.nn.functional import mse_loss

from stereodiffusion import __version__
from stereodiffusion.config import Mode, StereoConfig
from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.diffusion.consistency import AddedNoise
from stereodiffusion.diffusion.denoise import Conditioning
from stereodiffusion.diffusion.schedule import Schedule
from stereodiffusion.diffusion.shift import CellMap, KnownRight, cell_map
from stereodiffusion.diffusion.trajectory import Trajectory
from stereodiffusion.diffusion.views import both_views, right_beside, split_views
from stereodiffusion.errors import ConfigError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.compose import change_at, encode_known, known_view
from stereodiffusion.synthesis.parts import advance, effective
from stereodiffusion.synthesis.right_view import draw_right
from stereodiffusion.synthesis.run import Progress, Synthesis
from stereodiffusion.types import Image, Latent


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A left view, ready to have a right one made beside it.

    Attributes:
        trajectory: Its latents and memory.
        given: Conditioning per step for the left.
        given_right: Conditioning per step for the right; differs in depth alone.
        fresh: Noise for Eq. 8.
        added: Noise of a stochastic solver's steps.
        picture: The view in pixels, at the pair's size; None if a joint run has yet to draw it.
        photo: Clean latents of the photo that the left is to reproduce, None if it was not made from one.
        pinned: Whether a joint run holds the left to the trajectory (an inverted photo) or denoises it again.
    """

    trajectory: Trajectory
    given: Sequence[Conditioning]
    given_right: Sequence[Conditioning]
    fresh: Latent
    added: AddedNoise | None = None
    picture: Image | None = None
    photo: Latent | None = None
    pinned: bool = False


Detail: TypeAlias = Callable[[StereoPair, Image], Generator[Progress, None, None]]
"""Looks closer at a pair, and adds to the change that the model made in its right view."""


def pair_beside(
    backbone: Backbone,
    left: Left,
    disparity: Disparity,
    size: tuple[int, int],
    schedule: Schedule,
    config: StereoConfig,
    settings: Mapping[str, object],
    detail: Detail | None = None,
) -> Synthesis:
    """Make the right view beside a left one and put the pair together.

    Args:
        backbone: The model.
        left: The left view.
        disparity: Dense, before scaling and convergence, on any grid.
        size: (height, width) of the pair.
        schedule: The noise levels.
        config: The settings.
        settings: What is written beside the pair.
        detail: What looks at the occlusions again, where the pair is composed of the left's pixels.

    Raises:
        ConfigError: If the settings need the left in pixels before it is drawn.
    """
    sized = disparity.resize(*size)
    final = effective(sized, config)
    rows, columns = left.fresh.shape[2:]
    working = sized.resize(rows * backbone.pixels_per_latent, columns * backbone.pixels_per_latent)
    # What is normalised as the authors do comes to the latents' grid at once, as theirs does.
    cells = cell_map(disparity if config.parallax == "normalized" else working, config, (rows, columns))
    known = None
    if config.resync == "pixels" or config.compose == "source":
        picture = resize_image(_drawn(left), *working.size)
        known = encode_known(backbone, known_view(picture, effective(working, config), config))

    resync = known if config.resync == "pixels" else None
    left_0, right_0 = yield from _both_latents(backbone, left, cells, schedule, config, resync)
    generated = backbone.decode(right_0)
    if known is not None and config.compose == "source":
        picture = _drawn(left)
        right = change_at(*size, generated, backbone.decode(known.clean))
        if detail is not None:
            coarse = right.clone()
            occlusion = draw_right(picture, final, coarse, config)
            pair = StereoPair(left=picture, right=coarse, disparity=final, occlusion=occlusion)
            yield from detail(pair, right)
        occlusion = draw_right(picture, final, right, config)
    else:
        decoded = _decoded(backbone, left, left_0, config)
        settings = {**settings, **_reproduction(left, left_0, decoded)}
        picture, right = resize_image(decoded, *size), resize_image(generated, *size)
        occlusion = splat(picture, final).occlusion
    yield Progress(stage="decoding", step=1, steps=1)
    return StereoPair(left=picture, right=right, disparity=final, occlusion=occlusion, settings=settings)


def _both_latents(
    backbone: Backbone,
    left: Left,
    cells: CellMap,
    schedule: Schedule,
    config: StereoConfig,
    known: KnownRight | None,
) -> Generator[Progress, None, tuple[Latent, Latent]]:
    """Clean latents of both views."""
    path = left.trajectory
    if config.left == "recorded":
        steps = right_beside(
            backbone, path, left.given_right, schedule, cells, config, left.fresh, known, left.added, left.given
        )
        right = yield from advance(steps, "right view", 1 + len(config.right_indices))
        return path.clean, right
    steps = both_views(
        backbone,
        path.latents[0],
        left.given,
        left.given_right,
        schedule,
        cells,
        config,
        left.fresh,
        pinned=path.latents if left.pinned else None,
        added=left.added,
    )
    both = yield from advance(steps, "both views", config.steps)
    return split_views(both)


def _drawn(left: Left) -> Image:
    if left.picture is None:
        raise ConfigError("moving pixels needs the left picture before the right is made: set left='recorded'")
    return left.picture


def _decoded(backbone: Backbone, left: Left, left_0: Latent, config: StereoConfig) -> Image:
    """The left view as the model draws it; a recorded one that is not a photo has been decoded already."""
    if config.left == "recorded" and left.photo is None:
        return _drawn(left)
    return backbone.decode(left_0)


def _reproduction(left: Left, left_0: Latent, decoded: Image) -> dict[str, float]:
    """How well a photo comes back, in latents and in pixels at the model's size."""
    if left.photo is None or left.picture is None:
        return {}
    error = mse_loss(decoded, resize_image(left.picture, *decoded.shape[2:]))
    return {
        "left_latent_mse": round(mse_loss(left_0, left.photo).item(), 6),
        "left_psnr_db": round(-10 * torch.log10(error).item(), 2),
    }


def describe(mode: Mode, backbone: Backbone, config: StereoConfig, facts: Mapping[str, object]) -> dict[str, object]:
    """What is written beside a pair: enough to make it again."""
    return {"version": __version__, "mode": mode, "model": backbone.name, **facts, "config": asdict(config)}
