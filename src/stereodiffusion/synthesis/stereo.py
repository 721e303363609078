"""From a recorded source and its disparity to a pair, or to any number of views: the part that all modes share."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import mse_loss

from stereodiffusion.diffusion.shift import cell_map
from stereodiffusion.diffusion.source import Target
from stereodiffusion.diffusion.views import both_views, split_views, view_beside
from stereodiffusion.errors import ConfigError
from stereodiffusion.formats import resize_image
from stereodiffusion.geometry import Disparity, heading, splat, warp_disparity
from stereodiffusion.geometry.plausibility import implausibilities
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings import Settings
from stereodiffusion.synthesis.compose import change_at, compose, encode_known, known_view
from stereodiffusion.synthesis.drawing import advance
from stereodiffusion.synthesis.holes import around_holes, told
from stereodiffusion.synthesis.parallax import effective
from stereodiffusion.synthesis.recorded import Recorded, Recording
from stereodiffusion.synthesis.run import Note, Progress, Stage, Synthesis, Turn, ViewSynthesis
from stereodiffusion.synthesis.sizes import grid_of
from stereodiffusion.types import Image, Latent, Region
from stereodiffusion.viewpoint import EYES, SourceEye, checked_positions
from stereodiffusion.views import View


def check_alone(settings: Settings, wanted: str) -> None:
    """Refuse what views that are denoised together cannot give.

    Raises:
        ConfigError: If the settings denoise both views together.
    """
    if settings.together:
        raise ConfigError(
            f"{wanted} needs a source that is recorded alone, as in the presets fast and best, got views together"
        )


def pair_beside(recording: Recording, eye: SourceEye = "left") -> Synthesis:
    """Make what is missing beside a source and put the pair together.

    Args:
        recording: Gives the source.
        eye: Which eye it is; beside `centre` both are made.

    Raises:
        ConfigError: If there is no such eye, or the settings denoise both views together and the source is not the
            left, or they need it in pixels before it is drawn.
    """
    if eye not in EYES:
        raise ConfigError(f"source must be one of {', '.join(EYES)}, got {eye!r}")
    made = yield from recording
    if eye != "left":
        check_alone(made.source.settings, f"source {eye}")
    maps = _maps(made)
    yield from _doubts(maps.final)
    shown: dict[float, tuple[Image, Region]] = {}
    missing = [position for position in EYES[eye] if position != 0]
    source_0 = made.source.trajectory.clean
    for number, position in enumerate(missing):
        picture, hidden, source_0 = yield from _picture_at(made, maps, position, number, len(missing))
        shown[position] = picture, hidden
    found: Mapping[str, object] = {}
    if 0 in EYES[eye]:
        picture, found = yield from _own(made, source_0, eye)
        shown[0] = picture, torch.zeros_like(maps.final.known)
    yield Progress(stage="decoding", step=1, steps=1)

    (left, hidden), (right, occlusion) = (shown[position] for position in EYES[eye])
    disparity = maps.final
    if eye != "left":
        disparity, unseen = _by_the_left(maps.final, EYES[eye][0], hidden)
        occlusion = occlusion | unseen
    provenance = {**_described(made), **found, "source": eye}
    return StereoPair(left=left, right=right, disparity=disparity, occlusion=occlusion, provenance=provenance)


def views_beside(recording: Recording, positions: Sequence[float]) -> ViewSynthesis:
    """Make several views beside one source, one after another.

    Args:
        recording: Gives the source.
        positions: In baselines to the right of the source, in order; 0 is the source itself and costs nothing.

    Raises:
        ConfigError: If positions are not in order, or the settings denoise both views together.
    """
    positions = checked_positions(positions)
    made = yield from recording
    check_alone(made.source.settings, "making several views")
    maps = _maps(made)
    yield from _doubts(maps.final)
    missing = [position for position in positions if position != 0]
    for position in positions:
        if position == 0:
            picture, _ = yield from _own(made, made.source.trajectory.clean, "left")
            occlusion = torch.zeros_like(maps.final.known)
        else:
            number = missing.index(position)
            picture, occlusion, _ = yield from _picture_at(made, maps, position, number, len(missing))
        provenance = {**_described(made), "position": position}
        yield View(position=position, picture=picture, occlusion=occlusion, provenance=provenance)


def _described(made: Recorded) -> dict[str, object]:
    """What is written beside the views."""
    return {"model": made.source.backbone.name, **made.facts, "settings": made.source.settings.plain()}


def _doubts(disparity: Disparity) -> Generator[Note, None, None]:
    """Say what looks wrong with the parallax, before time is spent on it."""
    for line in implausibilities(disparity):
        yield Note(line)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maps:
    """The source's disparity: as the pair will have it, and on the grid of the model, neither scaled nor converged."""

    final: Disparity
    working: Disparity


def _maps(made: Recorded) -> _Maps:
    source = made.source
    rows, columns = source.fresh.shape[2:]
    cell = source.backbone.pixels_per_latent
    sized = made.disparity.resize(*made.size)
    return _Maps(final=effective(sized, source.settings.parallax), working=sized.resize(rows * cell, columns * cell))


def _picture_at(
    made: Recorded, maps: _Maps, position: float, number: int, count: int
) -> Generator[Progress | Turn, None, tuple[Image, Region, Latent]]:
    """What is seen from a position, which of it the source does not see, and clean latents of the source.

    It is the view `number` of `count` that have to be made.
    """
    yield Turn(stage="warping", networks=False)
    backbone, settings = made.source.backbone, made.source.settings
    in_pixels = settings.views.resync.how == "pixels"
    # What is normalised as the authors do comes to the latents' grid at once, as theirs does.
    given = made.disparity if settings.parallax.scale == "normalized" else maps.working
    cells = cell_map(given, settings, grid_of(made.source.fresh), position)
    moved = None
    if in_pixels or settings.own_pixels or (backbone.inpainting and made.picture is not None):
        picture = resize_image(_drawn(made), *maps.working.size)
        moved = known_view(picture, effective(maps.working, settings.parallax), settings.warp, position)

    yield Turn(stage="view", networks=True)
    known = None if moved is None else encode_known(backbone, moved)
    given_there = made.given_at(position)
    if moved is not None and backbone.inpainting:
        given_there = told(given_there, around_holes(backbone, moved.view, ~moved.visible))
    target = Target(cells=cells, given=given_there, known=known if in_pixels else None)
    source_0, view_0 = yield from _both_latents(made, target, number, count)
    generated = backbone.decode(view_0)
    if known is not None and settings.own_pixels:
        decoded = backbone.decode(known.clean)
        yield Turn(stage="warping", networks=False)
        view = known_view(_drawn(made), maps.final, settings.warp, position)
        change = change_at(*made.size, generated, decoded)
        if made.detail is not None:
            coarse = compose(view, change)
            pair = StereoPair(left=_drawn(made), right=coarse, disparity=maps.final, occlusion=~view.visible)
            yield Turn(stage="crops", networks=True)
            yield from made.detail(pair, position, change)
            yield Turn(stage="warping", networks=False)
        return compose(view, change), ~view.visible, source_0
    yield Turn(stage="warping", networks=False)
    to, fraction = heading(position)
    occlusion = splat(maps.final.pixels, maps.final, to=to, fraction=fraction).occlusion
    return resize_image(generated, *made.size), occlusion, source_0


def _both_latents(
    made: Recorded, target: Target, number: int, count: int
) -> Generator[Progress, None, tuple[Latent, Latent]]:
    """Clean latents of the source and of the view."""
    source, settings = made.source, made.source.settings
    if settings.together:
        both = yield from advance(both_views(source, target), "both views", settings.sampling.steps)
        return split_views(both)
    each = 1 + len(settings.view_indices)
    stage: Stage = "view" if count == 1 else "views"
    view_0 = yield from advance(view_beside(source, target), stage, count * each, done=number * each)
    return source.trajectory.clean, view_0


def _drawn(made: Recorded) -> Image:
    if made.picture is None:
        raise ConfigError("moving pixels needs the source before the view is made: set views to after-source")
    return made.picture


def _own(made: Recorded, source_0: Latent, eye: SourceEye) -> Generator[Turn, None, tuple[Image, Mapping[str, object]]]:
    """The source itself as a view, and how well a photo came back."""
    settings = made.source.settings
    if settings.own_pixels:
        return _drawn(made), {}
    yield Turn(stage="decoding", networks=True)
    # What was recorded and is no photo has been decoded already.
    drawn = not settings.together and made.photo is None
    decoded = _drawn(made) if drawn else made.source.backbone.decode(source_0)
    return resize_image(decoded, *made.size), _reproduction(made, source_0, decoded, eye)


def _reproduction(made: Recorded, source_0: Latent, decoded: Image, eye: SourceEye) -> dict[str, object]:
    """How well a photo comes back, in latents and in pixels at the model's size."""
    if made.photo is None or made.picture is None:
        return {}
    error = mse_loss(decoded, resize_image(made.picture, *decoded.shape[2:]))
    return {
        f"{eye}_latent_mse": round(mse_loss(source_0, made.photo).item(), 6),
        f"{eye}_psnr_db": round(-10 * torch.log10(error).item(), 2),
    }
