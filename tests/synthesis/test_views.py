"""Whichever eye the source is, and views from several places: laws of the geometry, and what they cost."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from numpy.typing import NDArray
from tests.making import depth_pair, photo_pair
from torch import Tensor

from stereodiffusion.datasets.scenes import Scene, render, render_image, sample_scene
from stereodiffusion.diffusion.shift import cell_map
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity, splat, splat_eyes
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis import Note, Progress, Run, ViewRun
from stereodiffusion.synthesis.compose import known_view
from stereodiffusion.synthesis.conditioning import Prompted
from stereodiffusion.synthesis.depth import depth_source, two_step_source
from stereodiffusion.synthesis.photo import photo_source
from stereodiffusion.synthesis.recorded import Recorded, Recording
from stereodiffusion.synthesis.run import Synthesis, Turn
from stereodiffusion.synthesis.stereo import pair_beside, views_beside
from stereodiffusion.synthesis.text import text_source
from stereodiffusion.viewpoint import SourceEye, spread
from stereodiffusion.views import View

FAST, BEST = (preset(name, "photo").changed({"sampling.steps": 4}) for name in ("fast", "best"))
pytestmark = pytest.mark.usefixtures("shapes_unchecked")

PLAIN = BEST.changed({"warp.borders": "hard", "warp.frame": "ends"})
BALL, UNSAID = Prompted(prompts=["a red ball"]), Prompted(prompts=[""])
T = TypeVar("T")


def made(pair: Synthesis) -> StereoPair:
    return Run(pair).result


def views(recording: Recording, *positions: float) -> list[View]:
    return list(ViewRun(views_beside(recording, positions), positions))


def result(work: Generator[Progress | Note | Turn, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


@pytest.fixture
def disparity(disparity_px: Tensor) -> Disparity:
    return Disparity.from_pixels(disparity_px)


# --- the other eye is the mirror image ------------------------------------------------------------------------------


def test_the_right_eye_is_the_left_eye_of_the_mirrored_scene(
    text_backbone: StableDiffusion, photo: Tensor, disparity: Disparity
) -> None:
    left = made(photo_pair(text_backbone, photo, disparity, settings=PLAIN))
    mirrored = photo_pair(text_backbone, photo.flip(-1), disparity.mirrored(), settings=PLAIN, source="right")
    right = made(mirrored)
    hidden = left.occlusion.flip(-1)
    assert bool(hidden.any())
    assert torch.equal(right.right, photo.flip(-1))
    assert torch.equal(right.left.masked_select(~hidden), left.right.flip(-1).masked_select(~hidden))
    # The disparity is of the left picture, which is the one that was made: unknown where the source does not see.
    assert torch.equal(right.disparity.known, ~hidden)
    expected = splat(right.disparity.pixels.flip(-1), right.disparity.mirrored(), to="left")  # mirrored: back to source
    seen = expected.visible
    torch.testing.assert_close(expected.view[seen], disparity.pixels[seen], atol=1e-4, rtol=0)
    assert torch.equal(right.occlusion.flip(-1), ~seen)


@pytest.mark.parametrize("config", [FAST, BEST, FAST.changed({"parallax.scale": "normalized", "shift.splat": "paper"})])
def test_cells_and_known_views_mirror(photo: Tensor, disparity: Disparity, config: Settings) -> None:
    there = cell_map(disparity, config, (12, 20), 0.7).source.flip(-1)
    back = cell_map(disparity.mirrored(), config, (12, 20), -0.7).source
    assert torch.equal(back, torch.where(there < 0, there, 19 - there))
    known = known_view(photo, disparity, BEST.warp, 0.7)
    other = known_view(photo.flip(-1), disparity.mirrored(), BEST.warp, -0.7)
    assert torch.equal(other.view.flip(-1), known.view)
    assert torch.equal(other.visible.flip(-1), known.visible)


def test_the_network_sees_nothing_mirrored(
    text_backbone: StableDiffusion, photo: Tensor, disparity: Disparity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known part that it is given on the way to the left eye is the picture moved to the right."""
    encoded: list[Tensor] = []
    encode = text_backbone.encode
    monkeypatch.setattr(text_backbone, "encode", lambda picture: (encoded.append(picture), encode(picture))[1])
    small = photo[..., :64, :64]
    flat = Disparity.from_pixels(torch.full((64, 64), 8.0))
    made(photo_pair(text_backbone, small, flat, settings=PLAIN, source="right"))
    source, known = encoded
    assert torch.equal(source, small)
    torch.testing.assert_close(known[..., 8:], small[..., :-8])


# --- a view is a pair with another baseline --------------------------------------------------------------------------


@pytest.fixture
def recordings(
    text_backbone: StableDiffusion, depth_backbone: StableDiffusion, estimator: MonocularDepth, photo: Tensor
) -> dict[str, Callable[[Disparity, Settings], Recording]]:
    """Sources of all modes, of 64 x 64."""
    return {
        "text": lambda _, config: text_source(text_backbone, estimator, BALL, config),
        "depth": lambda given, config: depth_source(depth_backbone, given, BALL, config),
        "photo": lambda given, config: photo_source(text_backbone, photo[..., :64, 30:94], given, UNSAID, config),
        "two-step": lambda given, config: two_step_source(depth_backbone, text_backbone, given, BALL, config, config),
    }


@pytest.fixture
def box(disparity_px: Tensor) -> Disparity:
    return Disparity.from_pixels(disparity_px[:64, 30:94])


@pytest.mark.parametrize("config", [FAST, BEST])
@pytest.mark.parametrize("mode", ["text", "depth", "photo", "two-step"])
def test_a_view_one_baseline_away_is_the_other_eye(
    recordings: dict[str, Callable[[Disparity, Settings], Recording]],
    box: Disparity,
    mode: str,
    config: Settings,
) -> None:
    one_way = made(pair_beside(recordings[mode](box, config)))
    other_way = made(pair_beside(recordings[mode](box, config), "right"))
    row = views(recordings[mode](box, config), -1.0, 0.0, 1.0)
    assert torch.equal(row[0].picture, other_way.left)
    assert torch.equal(row[1].picture, one_way.left)
    assert torch.equal(row[1].picture, other_way.right)
    assert not bool(row[1].occlusion.any())
    assert torch.equal(row[2].picture, one_way.right)
    assert torch.equal(row[2].occlusion, one_way.occlusion)
    assert [view.provenance["position"] for view in row] == [-1.0, 0.0, 1.0]
    assert (one_way.provenance["source"], other_way.provenance["source"]) == ("left", "right")


@pytest.mark.parametrize("config", [FAST, BEST])
@pytest.mark.parametrize("mode", ["depth", "photo"])
def test_half_the_way_is_half_the_disparity(
    recordings: dict[str, Callable[[Disparity, Settings], Recording]],
    box: Disparity,
    mode: str,
    config: Settings,
) -> None:
    as_given = {"map.refine": "off"}  # moving borders goes by pixels of disparity: half of them are another border
    whole, half = (config.changed({"parallax.convergence": at, **as_given}) for at in (0.04, 0.02))
    (view,) = views(recordings[mode](box, whole), 0.5)
    pair = made(pair_beside(recordings[mode](box.scaled(0.5), half)))
    assert torch.equal(view.picture, pair.right)
    assert torch.equal(view.occlusion, pair.occlusion)


@pytest.mark.parametrize("config", [FAST, BEST])
def test_both_eyes_from_the_centre_are_its_views(
    recordings: dict[str, Callable[[Disparity, Settings], Recording]], box: Disparity, config: Settings
) -> None:
    pair = made(pair_beside(recordings["photo"](box, config), "centre"))
    left, right = views(recordings["photo"](box, config), -0.5, 0.5)
    assert torch.equal(pair.left, left.picture)
    assert torch.equal(pair.right, right.picture)
    assert bool((pair.occlusion >= right.occlusion).all())


def test_without_parallax_both_eyes_are_the_source(text_backbone: StableDiffusion, photo: Tensor) -> None:
    flat = Disparity.from_pixels(torch.zeros(photo.shape[2:]))
    best = made(photo_pair(text_backbone, photo, flat, settings=BEST, source="centre"))
    assert torch.equal(best.left, photo)
    assert torch.equal(best.right, photo)
    assert bool(best.disparity.known.all())
    assert not bool(best.occlusion.any())
    fast = made(photo_pair(text_backbone, photo, flat, settings=FAST, source="centre"))
    own = made(photo_pair(text_backbone, photo, flat, settings=FAST)).left
    for eye in (fast.left, fast.right):
        torch.testing.assert_close(eye, own, atol=1e-4, rtol=0)


def test_the_depth_condition_is_of_the_view(depth_backbone: StableDiffusion, box: Disparity) -> None:
    config = preset("fast", "depth").changed({"sampling.steps": 4})

    def condition(given: Disparity, position: float) -> Tensor:
        recorded: Recorded = result(depth_source(depth_backbone, given, BALL, config))
        depth = recorded.given_at(position)[0].concat
        assert depth is not None
        return depth

    there, back = condition(box, 0.5), condition(box.mirrored(), -0.5)
    torch.testing.assert_close(back.flip(-1), there, atol=1e-5, rtol=0)
    # The box is 16 px and 40 columns from 30: half a baseline to the right it is 8 px, one cell, further left.
    own, nearest = condition(box, 0.0), there.amax()
    assert torch.equal((there[0, 0, 6] > 0.5 * nearest)[:-1], (own[0, 0, 6] > 0.5 * nearest)[1:])


def test_views_agree_on_what_depth_a_value_is(depth_backbone: StableDiffusion) -> None:
    """The nearest thing leaves the frame on the way to the right eye; what stays keeps its value."""
    pixels = torch.full((64, 64), 2.0)
    pixels[:, :12] = 24.0
    pixels[:, 32:56] = 8.0
    settings = preset("fast", "depth").changed({"sampling.steps": 4})
    recorded: Recorded = result(
        depth_source(depth_backbone, Disparity.from_pixels(pixels), Prompted(prompts=["a red ball"]), settings)
    )
    own, moved = (recorded.given_at(position)[0].concat for position in (0.0, 1.0))
    assert own is not None
    assert moved is not None
    box = 2 * (8 - 2) / (24 - 2) - 1
    assert float(own[..., 5].mean()) == pytest.approx(box, abs=0.1)
    assert float(moved[..., 4].mean()) == pytest.approx(box, abs=0.1)


# --- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fast", "best"])
def test_views_cost_the_source_once(text_backbone: StableDiffusion, estimator: MonocularDepth, name: str) -> None:
    config = preset(name, "text").changed({"sampling.steps": 10})  # pyright: ignore[reportArgumentType]

    def events(*positions: float) -> list[Progress | Note | Turn | View]:
        recording = text_source(text_backbone, estimator, BALL, config, size=(32, 32))
        return list(views_beside(recording, positions))

    def evaluations(*positions: float) -> int:
        return sum(event.evaluations for event in events(*positions) if isinstance(event, Progress))

    left = evaluations(0.0)
    one = evaluations(1.0) - left
    assert (left, one) == (2 * 10, 2 * len(config.view_indices))
    assert evaluations(*spread(5, -0.5, 0.5)) == left + 4 * one  # the middle one is the source
    several = [event for event in events(0.25, 0.5, 1.0) if isinstance(event, Progress) and event.stage == "views"]
    assert [event.step for event in several] == list(range(1, several[0].steps + 1))


def test_views_come_one_by_one(text_backbone: StableDiffusion, photo: Tensor, disparity: Disparity) -> None:
    positions = 0.25, 0.5
    run = ViewRun(views_beside(photo_source(text_backbone, photo, disparity, UNSAID, FAST), positions), positions)
    first = next(iter(run))
    assert first.position == 0.25
    left = [event for event in run.steps if isinstance(event, Progress)]
    assert sum(event.evaluations for event in left) == len(FAST.view_indices)  # the second view's


# --- against the true pictures of a scene ----------------------------------------------------------------------------

SIZE = (128, 128)


def picture(image: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


def seen_at(scene: Scene, position: float) -> tuple[Tensor, Disparity]:
    """The true picture `position` baselines right of the left eye, and its disparity for a whole baseline."""
    if position == 0:
        view = render(scene, SIZE).left
        return picture(view.image), Disparity.from_pixels(torch.from_numpy(view.disparity))
    moved = replace(scene, rig=replace(scene.rig, baseline_m=scene.rig.baseline_m * position))
    view = render(moved, SIZE).right
    return picture(view.image), Disparity.from_pixels(torch.from_numpy(view.disparity)).scaled(1 / position)


@pytest.mark.parametrize("source", [0.0, 1.0])
def test_half_way_is_closest_to_the_true_view_there(source: float) -> None:
    scene = sample_scene(3)
    left, disparity = seen_at(scene, source)
    halfway = picture(
        render_image(replace(scene, rig=replace(scene.rig, baseline_m=scene.rig.baseline_m / 2)), SIZE, eye="right")
    )
    towards = 1 if source == 0 else -1

    def error(position: float) -> float:
        known = known_view(left, disparity, BEST.warp, towards * position)
        return float((known.view - halfway).square().mean())

    assert 10 * error(0.5) < min(error(0.0), error(1.0))
    assert error(0.5) < min(error(0.4), error(0.6))


@pytest.mark.parametrize(("source", "position"), [("right", 1.0), ("centre", 0.5)])
def test_disparity_and_occlusion_are_those_of_the_pair(
    text_backbone: StableDiffusion, source: SourceEye, position: float
) -> None:
    scene = sample_scene(3)
    truth = render(scene, SIZE)
    own, disparity = seen_at(scene, position)
    pair = made(photo_pair(text_backbone, own, disparity, settings=PLAIN, source=source))
    error = (pair.disparity.pixels - torch.from_numpy(truth.left.disparity)).abs()[pair.disparity.known]
    assert float((error < 0.1).float().mean()) > 0.99
    true_occlusion = torch.from_numpy(truth.right.occluded)[None, None]
    agree = (pair.occlusion == true_occlusion).float().mean()
    both, either = (pair.occlusion & true_occlusion).sum(), (pair.occlusion | true_occlusion).sum()
    assert float(agree) > 0.99
    assert float(both / either) > 0.9


def test_both_eyes_meet_in_the_middle(photo: Tensor, disparity: Disparity) -> None:
    """The geometry's own two eyes are the known views at half a baseline."""
    for warped, position in zip(splat_eyes(photo, disparity), (-0.5, 0.5), strict=True):
        known = known_view(photo, disparity, PLAIN.warp, position)
        assert torch.equal(known.visible, warped.visible)
        assert torch.equal(known.view.masked_select(warped.visible), warped.view.masked_select(warped.visible))


# --- refusals --------------------------------------------------------------------------------------------------------


def test_views_that_are_denoised_together_have_their_source_left(depth_backbone: StableDiffusion) -> None:
    ramp = Disparity.from_pixels(torch.linspace(0, 6, 64).expand(64, 64))
    paper = preset("paper", "depth")
    for source in ("right", "centre"):
        with pytest.raises(ConfigError, match=f"source {source} needs a source that is recorded alone"):
            list(depth_pair(depth_backbone, ramp, ["a red ball"], settings=paper, source=source))
    with pytest.raises(ConfigError, match=r"making several views needs .* got views together"):
        list(views_beside(depth_source(depth_backbone, ramp, BALL, paper), [0.5, 1.0]))
    with pytest.raises((ConfigError, TypeCheckError), match="'middle'"):
        list(pair_beside(depth_source(depth_backbone, ramp, BALL, paper), "middle"))  # pyright: ignore[reportArgumentType]
