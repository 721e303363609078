"""From a recorded view and its disparity to a pair, or to any number of views: the part that all modes share."""

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
from stereodiffusion.geometry import Disparity, heading, splat, warp_disparity
from stereodiffusion.pair import StereoPair
from stereodiffusion.synthesis.compose import change_at, compose, encode_known, known_view
from stereodiffusion.synthesis.parts import advance, effective, grid_of
from stereodiffusion.synthesis.run import Progress, Stage, Synthesis, ViewSynthesis
from stereodiffusion.types import Image, Latent, Region
from stereodiffusion.viewpoint import EYES, Source, checked_positions
from stereodiffusion.views import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A view, ready to have others made beside it: the left, as in the paper, unless a `Source` says otherwise.

    Attributes:
        trajectory: Its latents and memory.
        given: Conditioning per step for the view itself.
        given_at: The same for a view at a position; differs in depth alone.
        fresh: Noise for Eq. 8.
        added: Noise of a stochastic solver's steps.
        picture: The view in pixels, at the pair's size; None if a joint run has yet to draw it.
        photo: Clean latents of the photo that the left is to reproduce, None if it was not made from one.
        pinned: Whether a joint run holds the left to the trajectory (an inverted photo) or denoises it again.
    """

    trajectory: Trajectory
    given: Sequence[Conditioning]
    given_at: Callable[[float], Sequence[Conditioning]]
    fresh: Latent
    added: AddedNoise | None = None
    picture: Image | None = None
    photo: Latent | None = None
    pinned: bool = False


Detail: TypeAlias = Callable[[StereoPair, float, Image], Generator[Progress, None, None]]
"""Looks closer at a source and the view at a position, and adds to the change that the model made in the view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A source with all that pairs and views of it are made from; each costs nothing but itself.

    Attributes:
        backbone: The model.
        left: The source.
        disparity: Of the source, dense, before scaling and convergence, on any grid.
        size: (height, width) of the views.
        schedule: The noise levels.
        config: The settings.
        settings: What is written beside the views.
        detail: What looks at occlusions again, where views are composed of the source's pixels; None if nothing does.
        drawn_by: Settings of the step before, if the source is a photo that was itself drawn (Fig. 7).
    """

    backbone: Backbone
    left: Left
    disparity: Disparity
    size: tuple[int, int]
    schedule: Schedule
    config: StereoConfig
    settings: Mapping[str, object]
    detail: Detail | None = None
    drawn_by: Mapping[str, object] | None = None

    def described(self, where: Mapping[str, object], found: Mapping[str, object] | None = None) -> dict[str, object]:
        """Settings of a view or a pair: where it is looked at from, and what was found out while making it."""
        own = {**self.settings, **(found or {})}
        return {**own, **where} if self.drawn_by is None else {**self.drawn_by, "second_step": own, **where}


Recording: TypeAlias = Generator[Progress, None, Recorded]


def pair_beside(recording: Recording, config: StereoConfig, source: Source = "left") -> Synthesis:
    """Make what is missing beside a source and put the pair together.

    Args:
        recording: Gives the source.
        config: The settings that it is recorded with.
        source: Which eye it is.

    Raises:
        ConfigError: If there is no such eye, or the settings denoise both views together and the source is not the
            left; while running, if they need the left in pixels before it is drawn.
    """
    if source not in EYES:
        raise ConfigError(f"source must be one of {', '.join(EYES)}, got {source!r}")
    if source != "left":
        _check_alone(config, f"source={source!r}")
    return _pair(recording, source)


def views_beside(recording: Recording, config: StereoConfig, positions: Sequence[float]) -> ViewSynthesis:
    """Make several views beside one source, one after another.

    Args:
        recording: Gives the source.
        config: The settings that it is recorded with.
        positions: In baselines to the right of the source, in order; 0 is the source itself and costs nothing.

    Raises:
        ConfigError: If positions are not in order, or the settings denoise both views together.
    """
    _check_alone(config, "making several views")
    return _views(recording, checked_positions(positions))


def _check_alone(config: StereoConfig, wanted: str) -> None:
    if config.left != "recorded":
        raise ConfigError(
            f"{wanted} needs a source that is recorded alone, left='recorded' as in the presets fast and best, "
            f"got left={config.left!r}"
        )


def _pair(recording: Recording, source: Source) -> Synthesis:
    made = yield from recording
    maps = _maps(made)
    shown: dict[float, tuple[Image, Region]] = {}
    missing = [position for position in EYES[source] if position != 0]
    left_0 = made.left.trajectory.clean
    for number, position in enumerate(missing):
        picture, hidden, left_0 = yield from _picture_at(made, maps, position, number, len(missing))
        shown[position] = picture, hidden
    found: Mapping[str, object] = {}
    if 0 in EYES[source]:
        picture, found = _own(made, left_0, source)
        shown[0] = picture, torch.zeros_like(maps.final.known)
    yield Progress(stage="decoding", step=1, steps=1)

    (left, hidden), (right, occlusion) = (shown[position] for position in EYES[source])
    disparity = maps.final
    if source != "left":
        disparity, unseen = _by_the_left(maps.final, EYES[source][0], hidden)
        occlusion = occlusion | unseen
    settings = made.described({"source": source}, found)
    return StereoPair(left=left, right=right, disparity=disparity, occlusion=occlusion, settings=settings)


def _by_the_left(disparity: Disparity, position: float, hidden: Region) -> tuple[Disparity, Region]:
    """The disparity of a left picture that was made, and the cells of the right one that the left does not see.

    Args:
        disparity: Of the source.
        position: Of the left eye.
        hidden: What of its picture the source does not see; that has no disparity.
    """
    to, fraction = heading(position)
    moved = warp_disparity(disparity, to, fraction=fraction)
    known = moved.known & ~hidden
    of_left = Disparity(pixels=torch.where(known, moved.pixels, 0.0), known=known)
    return of_left, ~warp_disparity(of_left).known


def _views(recording: Recording, positions: Sequence[float]) -> ViewSynthesis:
    made = yield from recording
    maps = _maps(made)
    missing = [position for position in positions if position != 0]
    for position in positions:
        if position == 0:
            picture, _ = _own(made, made.left.trajectory.clean, "left")
            occlusion = torch.zeros_like(maps.final.known)
        else:
            number = missing.index(position)
            picture, occlusion, _ = yield from _picture_at(made, maps, position, number, len(missing))
        settings = made.described({"position": position})
        yield View(position=position, picture=picture, occlusion=occlusion, settings=settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maps:
    """The source's disparity: as the pair will have it, and on the grid of the model, neither scaled nor converged."""

    final: Disparity
    working: Disparity


def _maps(source: Recorded) -> _Maps:
    rows, columns = source.left.fresh.shape[2:]
    cell = source.backbone.pixels_per_latent
    sized = source.disparity.resize(*source.size)
    return _Maps(final=effective(sized, source.config), working=sized.resize(rows * cell, columns * cell))


def _picture_at(
    source: Recorded, maps: _Maps, position: float, number: int, count: int
) -> Generator[Progress, None, tuple[Image, Region, Latent]]:
    """What is seen from a position, which of it the source does not see, and clean latents of the source.

    It is the view `number` of `count` that have to be made.
    """
    backbone, left, config, size = source.backbone, source.left, source.config, source.size
    # What is normalised as the authors do comes to the latents' grid at once, as theirs does.
    given = source.disparity if config.parallax == "normalized" else maps.working
    cells = cell_map(given, config, grid_of(left.fresh), position)
    known = None
    if config.resync == "pixels" or config.compose == "source":
        picture = resize_image(_drawn(left), *maps.working.size)
        known = encode_known(backbone, known_view(picture, effective(maps.working, config), config, position))

    resync = known if config.resync == "pixels" else None
    left_0, right_0 = yield from _both_latents(source, cells, resync, position, number, count)
    generated = backbone.decode(right_0)
    if known is not None and config.compose == "source":
        view = known_view(_drawn(left), maps.final, config, position)
        change = change_at(*size, generated, backbone.decode(known.clean))
        if source.detail is not None:
            coarse = compose(view, change)
            pair = StereoPair(left=_drawn(left), right=coarse, disparity=maps.final, occlusion=~view.visible)
            yield from source.detail(pair, position, change)
        return compose(view, change), ~view.visible, left_0
    to, fraction = heading(position)
    occlusion = splat(maps.final.pixels, maps.final, to=to, fraction=fraction).occlusion
    return resize_image(generated, *size), occlusion, left_0


def _both_latents(
    source: Recorded, cells: CellMap, known: KnownRight | None, position: float, number: int, count: int
) -> Generator[Progress, None, tuple[Latent, Latent]]:
    """Clean latents of the source and of the view."""
    backbone, left, config, schedule = source.backbone, source.left, source.config, source.schedule
    path, given_right = left.trajectory, left.given_at(position)
    if config.left == "recorded":
        steps = right_beside(
            backbone, path, given_right, schedule, cells, config, left.fresh, known, left.added, left.given
        )
        each = 1 + len(config.right_indices)
        stage: Stage = "right view" if count == 1 else "views"
        right = yield from advance(steps, stage, count * each, done=number * each)
        return path.clean, right
    steps = both_views(
        backbone,
        path.latents[0],
        left.given,
        given_right,
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


def _own(source: Recorded, left_0: Latent, eye: Source) -> tuple[Image, Mapping[str, object]]:
    """The source itself as a view, and how well a photo came back."""
    left, config = source.left, source.config
    if config.compose == "source":
        return _drawn(left), {}
    # What was recorded and is no photo has been decoded already.
    drawn = config.left == "recorded" and left.photo is None
    decoded = _drawn(left) if drawn else source.backbone.decode(left_0)
    return resize_image(decoded, *source.size), _reproduction(left, left_0, decoded, eye)


def _reproduction(left: Left, left_0: Latent, decoded: Image, eye: Source) -> dict[str, object]:
    """How well a photo comes back, in latents and in pixels at the model's size."""
    if left.photo is None or left.picture is None:
        return {}
    error = mse_loss(decoded, resize_image(left.picture, *decoded.shape[2:]))
    return {
        f"{eye}_latent_mse": round(mse_loss(left_0, left.photo).item(), 6),
        f"{eye}_psnr_db": round(-10 * torch.log10(error).item(), 2),
    }


def describe(mode: Mode, backbone: Backbone, config: StereoConfig, facts: Mapping[str, object]) -> dict[str, object]:
    """What is written beside a pair: enough to make it again."""
    return {"version": __version__, "mode": mode, "model": backbone.name, **facts, "config": asdict(config)}
