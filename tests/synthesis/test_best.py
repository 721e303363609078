"""Preset `best`: pixels where pixels are known, generated ones where they are not."""

import pytest
import torch
from tests import tiny
from tests.making import depth_pair, photo_pair, text_pair, two_step_pair
from torch import Tensor

from stereodiffusion.diffusion.schedule import Level
from stereodiffusion.diffusion.shift import CellMap, KnownLatents, resync_pixels
from stereodiffusion.errors import ConfigError
from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.borders import refined
from stereodiffusion.synthesis.compose import KnownView, compose, known_view
from stereodiffusion.synthesis.run import Run

BEST_PHOTO = preset("best", "photo").changed({"sampling.steps": 6})
PLAIN = {"warp.borders": "hard", "warp.frame": "ends"}


def seen_from_the_right(left: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The right view of a map of whole numbers, point by point, the nearest last; and where anything is seen."""
    view, seen = torch.zeros_like(left), torch.zeros_like(left[:, :1], dtype=torch.bool)
    height, width = pixels.shape
    for row in range(height):
        shift = pixels[row].int().tolist()
        for column in sorted(range(width), key=lambda at: shift[at]):
            lands = column - shift[column]
            if 0 <= lands < width:
                view[:, :, row, lands], seen[:, :, row, lands] = left[:, :, row, column], True
    return view, seen


def stairs() -> Tensor:
    """Whole numbers: a floor of four steps, a box before it."""
    pixels = torch.linspace(1, 4, 96).round()[:, None].expand(96, 160).clone()
    pixels[30:60, 60:100] = 16
    return pixels


def test_the_photo_is_the_left_eye_and_the_right_shows_its_pixels(
    text_backbone: StableDiffusion, photo: Tensor
) -> None:
    disparity = Disparity.from_pixels(stairs())
    pair = Run(photo_pair(text_backbone, photo, disparity, settings=BEST_PHOTO.changed(PLAIN))).result
    assert torch.equal(pair.left, photo)
    view, seen = seen_from_the_right(photo, stairs())
    assert torch.equal(pair.occlusion, ~seen)
    assert torch.equal(pair.right.masked_select(seen), view.masked_select(seen))
    assert bool(pair.occlusion.any())


def test_soft_borders_change_nothing_away_from_depth_edges(photo: Tensor, disparity_px: Tensor) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    hard = known_view(photo, disparity, BEST_PHOTO.changed(PLAIN).warp)
    soft = known_view(photo, disparity, BEST_PHOTO.changed({"warp.frame": "ends"}).warp)
    pixels, hole = hard.seen.filled().pixels, (~hard.visible).float()
    near, far, holes = torch.nn.functional.max_pool2d(torch.cat([pixels, -pixels, hole], 1), 9, 1, 4).split(1, dim=1)
    calm = (near + far < 1) & (holes == 0)
    assert float(calm.float().mean()) > 0.2
    assert torch.equal(soft.view.masked_select(calm), hard.view.masked_select(calm))


def test_what_the_frame_hides_is_not_seen() -> None:
    left = torch.rand((1, 3, 16, 40), generator=torch.Generator().manual_seed(0))
    pixels = torch.ones((16, 40))
    pixels[:, 36:] = 12.0  # a near thing that the frame cuts: it comes in further, before what is behind
    disparity = Disparity.from_pixels(pixels)
    open_frame = known_view(left, disparity, BEST_PHOTO.changed(PLAIN).warp).visible
    closed = known_view(left, disparity, BEST_PHOTO.changed({"warp.borders": "hard"}).warp).visible
    assert bool(open_frame[..., 29:35].all())
    assert not bool(closed[..., 28:].any())
    assert torch.equal(closed[..., :28], open_frame[..., :28])


def test_it_costs_the_inversion_and_a_step(text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    steps = Run(photo_pair(text_backbone, photo, disparity, settings=preset("best", "photo")))
    assert sum(progress.evaluations for progress in steps) == 9 + 1


def test_text_and_depth_show_the_pixels_of_the_left_that_was_drawn(
    text_backbone: StableDiffusion, depth_backbone: StableDiffusion, estimator: MonocularDepth
) -> None:
    text = preset("best", "text").changed({"sampling.steps": 6, **PLAIN})
    depth = preset("best", "depth").changed({"sampling.steps": 6, **PLAIN})
    relief = Disparity.from_pixels(3 * torch.rand((32, 32), generator=torch.Generator().manual_seed(0)).round())
    for pair in (
        Run(text_pair(text_backbone, estimator, ["a red ball"], settings=text, size=(32, 32))).result,
        Run(depth_pair(depth_backbone, relief, ["a red ball"], settings=depth)).result,
    ):
        warped = splat(pair.left, pair.disparity)
        assert torch.equal(pair.right.masked_select(warped.visible), warped.view.masked_select(warped.visible))


@pytest.mark.parametrize("two_step", [False, True])
def test_a_map_is_fitted_to_what_was_drawn_from_it(
    text_backbone: StableDiffusion, depth_backbone: StableDiffusion, two_step: bool
) -> None:
    pixels = torch.zeros(64, 64)
    pixels[16:48, 16:48] = 6
    relief, prompts = Disparity.from_pixels(pixels), ["a red ball"]

    def drawn(settings: Settings) -> StereoPair:
        photo = settings.changed({"guidance.scale": 1.0})
        if two_step:
            pairs = two_step_pair(
                depth_backbone, text_backbone, relief, prompts, settings=settings, photo_settings=photo
            )
            return Run(pairs).result
        return Run(depth_pair(depth_backbone, relief, prompts, settings=settings)).result

    fitting = preset("best", "depth").changed({"sampling.steps": 4})
    fitted, as_given = drawn(fitting), drawn(fitting.changed({"map.refine": "off"}))
    assert torch.equal(fitted.left, as_given.left)
    assert torch.equal(as_given.disparity.pixels, relief.pixels)
    assert torch.equal(fitted.disparity.pixels, refined(relief, fitted.left, fitting.map).pixels)
    assert not torch.equal(fitted.disparity.pixels, relief.pixels)


def hidden_wall() -> KnownView:
    left = torch.full((1, 3, 32, 48), 0.5)
    pixels = torch.zeros((32, 48))
    pixels[8:24, 24:40] = 6.0
    known = known_view(left, Disparity.from_pixels(pixels), BEST_PHOTO.warp)
    assert bool((~known.visible).any())
    return known


def test_a_model_that_changes_nothing_changes_nothing() -> None:
    known = hidden_wall()
    assert torch.equal(compose(known, torch.zeros_like(known.behind)), known.view)


def test_what_the_model_draws_is_in_the_occlusions_and_nowhere_else() -> None:
    known = hidden_wall()
    checks = 0.1 * (-1.0) ** (torch.arange(48) + torch.arange(32)[:, None]).expand(1, 3, 32, 48)
    composed, hole = compose(known, checks), (~known.visible).expand(1, 3, -1, -1)
    assert torch.allclose(composed[hole], (0.5 + checks)[hole], atol=1e-6)
    assert torch.equal(composed[~hole], known.view[~hole])


def test_the_noise_of_the_known_part_is_the_left_s_own() -> None:
    generator = torch.Generator().manual_seed(0)
    left_0, noise, clean, fresh = torch.randn((4, 1, 4, 6, 8), generator=generator)
    source = torch.arange(8).expand(1, 1, 6, 8).clone()
    source[..., 5:] = -1
    cells, known = CellMap(source=source), KnownLatents(clean=clean, cells=source >= 0)
    alpha = 0.3
    left_s = alpha**0.5 * left_0 + (1 - alpha) ** 0.5 * noise
    level = Level(signal=alpha**0.5, noise=(1 - alpha) ** 0.5)
    right_s = resync_pixels(known, left_0, left_s, level, cells, fresh)
    own = torch.where(source >= 0, noise, fresh)
    assert torch.allclose(right_s, alpha**0.5 * clean + (1 - alpha) ** 0.5 * own, atol=1e-5)
    assert torch.equal(resync_pixels(known, left_0, left_0, Level(signal=1.0, noise=0.0), cells, fresh), clean)


def test_both_views_together_cannot_start_from_pixels(depth_backbone: StableDiffusion) -> None:
    with pytest.raises(ConfigError, match="set views to after-source"):
        tiny.settings({"views.resync.how": "pixels", "views": "together"})
    # Their source is drawn with the view, so that there is nothing yet to be moved.
    apart = preset("paper", "depth").changed({"picture": "own-pixels", "sampling.steps": 6})
    with pytest.raises(ConfigError, match="set views to after-source"):
        list(depth_pair(depth_backbone, Disparity.from_pixels(torch.rand(32, 32)), ["a red ball"], settings=apart))
