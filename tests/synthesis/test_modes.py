"""The three modes on tiny real models: what they cost, that they repeat, and what they refuse."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from tests import tiny
from tests.making import depth_pair, photo_pair, text_pair, two_step_pair
from torch import Tensor
from torch.nn.functional import avg_pool2d
from transformers import GLPNImageProcessorPil

from stereodiffusion.errors import ConfigError, GeometryError, ModelError
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth, load_depth_estimator
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.borders import refined
from stereodiffusion.synthesis.conditioning import depth_condition
from stereodiffusion.synthesis.parallax import effective, estimate
from stereodiffusion.synthesis.run import Note, Progress, Run, Synthesis, Turn
from stereodiffusion.synthesis.sizes import working_size

TEN = {"sampling.steps": 10}
FAST_TEXT = preset("fast", "text").changed(TEN)
FAST_DEPTH = preset("fast", "depth").changed(TEN)
FAST_PHOTO = preset("fast", "photo").changed(TEN)


def evaluations(run: Iterable[Progress | Note | Turn]) -> int:
    return sum(event.evaluations for event in run if isinstance(event, Progress))


def made(synthesis: Synthesis) -> StereoPair:
    return Run(synthesis).result


# --- cost: the counts of network evaluations that the method promises -----------------------------------------------


def test_text_costs(text_backbone: StableDiffusion, estimator: MonocularDepth) -> None:
    def cost(config: Settings) -> int:
        return evaluations(text_pair(text_backbone, estimator, ["a red ball"], settings=config, size=(16, 16)))

    assert cost(preset("paper", "text").changed(TEN)) == 6 * 10
    assert cost(preset("fast", "text")) == 2 * 50 + 2 * 13  # three of the left's steps at once
    assert cost(FAST_TEXT.changed({"views.every": 0.0})) == 2 * 10 + 2 * 7 <= 3.6 * 10
    assert cost(preset("best", "text").changed(TEN)) == 2 * 10 + 2 * 1


def test_depth_costs(depth_backbone: StableDiffusion) -> None:
    disparity = Disparity.from_pixels(torch.rand(64, 64))

    def cost(config: Settings) -> int:
        return evaluations(depth_pair(depth_backbone, disparity, ["a red ball"], settings=config))

    assert cost(preset("paper", "depth").changed(TEN)) == 4 * 10
    assert cost(FAST_DEPTH) == 2 * 10 + 2 * 7
    assert cost(preset("best", "depth")) == 2 * 50 + 2 * 3


def test_photo_costs(text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor) -> None:
    disparity = Disparity.from_pixels(disparity_px)

    def cost(config: Settings, prompt: str = "") -> int:
        return evaluations(photo_pair(text_backbone, photo, disparity, prompts=[prompt], settings=config))

    assert cost(preset("fast", "photo")) == 9 + 7  # ten steps
    assert cost(preset("fast", "photo"), "a red ball") == 9 + 7
    assert cost(preset("fast", "photo").changed({"sampling.steps": 50})) == 49 + 39 <= 1.8 * 50
    guided = preset("fast", "photo").changed({"guidance.scale": 3.0})
    assert cost(guided, "a red ball") == 9 + 2 * 7 + 2 * 7  # the left is evaluated again for its guided attention


def test_guidance_is_evaluated_in_its_window_alone(
    text_backbone: StableDiffusion, depth_backbone: StableDiffusion, estimator: MonocularDepth
) -> None:
    def text(config: Settings) -> tuple[int, StereoPair]:
        run = Run(text_pair(text_backbone, estimator, ["a red ball"], settings=config, size=(32, 32)))
        return evaluations(run), run.result

    whole, window = FAST_TEXT, FAST_TEXT.changed({"guidance.start": 0.2, "guidance.stop": 0.8})
    none = FAST_TEXT.changed({"guidance.stop": 0.0})
    (all_cost, _), (some_cost, some), (least_cost, least) = text(whole), text(window), text(none)
    assert all_cost == 2 * 10 + 2 * 7
    assert some_cost == all_cost - 4 - 2  # two steps before it, two after it, the latter in both views
    assert least_cost == 10 + 7
    unguided = text(FAST_TEXT.changed({"guidance.scale": 1.0}))[1]
    torch.testing.assert_close(least.right, unguided.right, atol=1e-5, rtol=1e-5)
    assert (some.left - least.left).abs().max() > 1e-3
    disparity = Disparity.from_pixels(torch.rand(64, 64))
    assert evaluations(depth_pair(depth_backbone, disparity, ["a red ball"], settings=window)) == some_cost


@pytest.mark.parametrize(("preset_name", "of_ten", "of_four"), [("fast", 7, 2), ("best", 1, 1)])
def test_few_step_solvers_make_whole_pairs(
    text_backbone: StableDiffusion, estimator: MonocularDepth, preset_name: str, of_ten: int, of_four: int
) -> None:
    for solver, steps, cost in (("dpm++", 10, 2 * 10 + 2 * of_ten), ("lcm", 4, 2 * 4 + 2 * of_four)):
        config = preset(preset_name, "text").changed({"sampling.solver": solver, "sampling.steps": steps})  # type: ignore[arg-type]
        run = text_pair(text_backbone, estimator, ["a red ball"], settings=config, size=(32, 32), seed=3)
        again = text_pair(text_backbone, estimator, ["a red ball"], settings=config, size=(32, 32), seed=3)
        first, second = Run(run), Run(again)
        assert evaluations(first) == cost
        assert torch.equal(first.result.right, second.result.right)  # the noise that is added comes from the seed


def test_a_consistency_model_inverts_no_photo(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    config = FAST_PHOTO.changed({"sampling.solver": "lcm"})
    with pytest.raises(ConfigError, match="solvers that add noise do not follow: got solver lcm"):
        made(photo_pair(text_backbone, photo, Disparity.from_pixels(disparity_px), settings=config))


# --- repeatability --------------------------------------------------------------------------------------------------


def test_a_seed_is_a_picture_and_a_batch_is_its_seeds(
    text_backbone: StableDiffusion, estimator: MonocularDepth
) -> None:
    def text(prompts: list[str], seed: int) -> StereoPair:
        return made(text_pair(text_backbone, estimator, prompts, settings=FAST_TEXT, seed=seed))

    first, again, other = (text(["a red ball"], seed) for seed in (3, 3, 4))
    assert torch.equal(first.left, again.left)
    assert torch.equal(first.right, again.right)
    assert not torch.equal(first.left, other.left)
    batch = text(["a red ball", "a red ball"], 3)
    for pair, alone in zip(batch, (first, other), strict=True):
        torch.testing.assert_close(pair.left, alone.left, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(pair.disparity.pixels, alone.disparity.pixels, atol=5e-3, rtol=0)
        assert (pair.right - alone.right).abs().mean() < 1e-3


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_the_left_of_text_is_diffusers_own_picture(estimator: MonocularDepth, guidance: float) -> None:
    """From the noise that diffusers draws for the seed on the processor."""
    pipe: Any = tiny.pipeline("epsilon")
    few = preset("fast", "text").changed({"sampling.steps": 6, "guidance.scale": guidance})
    backbone = StableDiffusion.from_pipeline(pipe)
    synthesis = text_pair(backbone, estimator, ["a red ball"], settings=few, seed=3, size=(64, 64))
    theirs = pipe(
        "a red ball",
        num_inference_steps=6,
        guidance_scale=guidance,
        height=64,
        width=64,
        generator=torch.Generator().manual_seed(3),
        output_type="pt",
    )
    torch.testing.assert_close(made(synthesis).left, theirs.images, rtol=0, atol=1e-4)


def test_the_global_random_state_is_left_alone(text_backbone: StableDiffusion, estimator: MonocularDepth) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    made(text_pair(text_backbone, estimator, ["a red ball"], settings=FAST_TEXT.changed({"shift.deblur": True})))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("resync", ["copy", "off"])
def test_recorded_and_joint_give_the_same_pair(
    depth_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor, text_backbone: StableDiffusion, resync: str
) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    for config, run in (
        (FAST_DEPTH, lambda c: depth_pair(depth_backbone, disparity, ["a red ball"], settings=c)),
        (FAST_PHOTO, lambda c: photo_pair(text_backbone, photo, disparity, settings=c)),
    ):
        recorded = config.changed({"views.resync.how": resync, "views.every": 0.0})  # type: ignore[arg-type]
        one, two = made(run(recorded)), made(run(recorded.changed({"views": "together"})))
        torch.testing.assert_close(one.left, two.left, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.right, two.right, atol=1e-4, rtol=1e-4)


def test_a_run_reports_every_step_and_can_be_broken_off(
    text_backbone: StableDiffusion, estimator: MonocularDepth
) -> None:
    run = Run(text_pair(text_backbone, estimator, ["a red ball"], settings=FAST_TEXT))
    seen = [(progress.stage, progress.step, progress.steps) for progress in run]
    assert seen[:10] == [("source", step, 10) for step in range(1, 11)]
    assert seen[10] == ("depth", 1, 1)
    assert seen[11:-1] == [("view", step, 8) for step in range(1, 9)]
    assert seen[-1] == ("decoding", 1, 1)
    assert run.result.size == (64, 64)

    broken = Run(text_pair(text_backbone, estimator, ["a red ball"], settings=FAST_TEXT))
    for _ in range(13):
        next(iter(broken))
    del broken
    assert not tiny.patched(text_backbone.unet)


# --- what comes back ------------------------------------------------------------------------------------------------


def test_a_photo_pair_has_the_photos_size_and_disparity(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    pair = made(photo_pair(text_backbone, photo, disparity, settings=FAST_PHOTO))
    assert pair.size == (96, 160)
    assert torch.equal(pair.disparity.pixels[0, 0], disparity_px)
    # The box of 16 px moves over a ground of about 2 px: it uncovers a strip of about 14 px at its right.
    strip = pair.occlusion[0, 0, 45, 60:110].sum()
    assert 12 <= strip <= 16
    assert pair.provenance["left_latent_mse"] == 0.0
    assert pair.provenance["settings"] == FAST_PHOTO.plain()
    assert pair.provenance["source"] == "left"


def test_a_photo_without_a_map_is_estimated_on_the_way(
    text_backbone: StableDiffusion, estimator: MonocularDepth, photo: Tensor
) -> None:
    run = Run(photo_pair(text_backbone, photo, estimator, settings=FAST_PHOTO))
    assert next(iter(run)) == Progress(stage="depth", step=1, steps=1)
    pair, disparity = run.result, estimate(estimator, photo, FAST_PHOTO)
    assert torch.equal(pair.disparity.pixels, disparity.pixels)
    assert pair.provenance["depth_estimator"] == "tiny-dpt"
    given = made(photo_pair(text_backbone, photo, disparity, settings=FAST_PHOTO))
    assert torch.equal(given.right, pair.right)
    assert "depth_estimator" not in given.provenance


def test_a_map_that_is_brought_is_refined_only_if_asked(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    soft = avg_pool2d(disparity_px[None, None], 7, stride=1, padding=3, count_include_pad=False)
    disparity, config = Disparity.from_pixels(soft), FAST_PHOTO.changed({"map.refine": "all"})
    kept = made(photo_pair(text_backbone, photo, disparity, settings=config.changed({"map.refine": "estimated"})))
    moved = made(photo_pair(text_backbone, photo, disparity, settings=config))
    assert torch.equal(kept.disparity.pixels, soft)
    assert torch.equal(moved.disparity.pixels, refined(disparity, photo, config.map).pixels)
    assert not torch.equal(moved.disparity.pixels, soft)


def test_wide_ramps_of_large_pictures_become_steps() -> None:
    """A map drawn at a third of the picture's size: its ramps are wider there than what is looked at around a cell."""
    truth = torch.full((1, 1, 960, 1200), 3.0)
    truth[..., 300:700, 400:800] = 30.0
    picture = torch.where(truth > 15, 0.8, 0.2).expand(1, 3, -1, -1)
    ramps = avg_pool2d(truth, 25, stride=1, padding=12, count_include_pad=False)
    found = refined(Disparity.from_pixels(ramps), picture, preset("best", "photo").map).pixels
    beside = (..., slice(340, 660), slice(370, 430))  # of the left border, away from its ends
    right = (found - truth)[beside].abs() < 1
    assert float(right.float().mean()) > 0.99


def test_paper_photo_reports_its_reconstruction(
    text_backbone: StableDiffusion, photo: Tensor, disparity_px: Tensor
) -> None:
    config = preset("paper", "photo").changed({"sampling.steps": 6})
    pair = made(photo_pair(text_backbone, photo, Disparity.from_pixels(disparity_px), settings=config))
    error = pair.provenance["left_latent_mse"]
    assert isinstance(error, float)
    assert error > 0
    # Normalised: the nearest has 8 % of the width, whatever the map says in pixels.
    assert float(pair.disparity.pixels.max()) == pytest.approx(0.08 * 160)
    assert float(pair.disparity.pixels.min()) == 0


def test_convergence_moves_the_screen_into_the_scene(disparity_px: Tensor) -> None:
    config = FAST_PHOTO.changed({"parallax.convergence": 0.05})
    moved = effective(Disparity.from_pixels(disparity_px), config.parallax)
    torch.testing.assert_close(moved.pixels[0, 0], disparity_px - 8)


def test_depth_pairs_take_the_maps_shape(depth_backbone: StableDiffusion) -> None:
    disparity = Disparity.from_pixels(torch.linspace(0, 40, 200).expand(100, 200))
    pair = made(depth_pair(depth_backbone, disparity, ["a red ball"], settings=FAST_DEPTH))
    assert pair.size == working_size(100, 200, depth_backbone) == (48, 88)
    assert float(pair.disparity.pixels.max()) == pytest.approx(40 * 88 / 200, rel=0.01)


def test_the_right_view_is_conditioned_on_what_it_sees(depth_backbone: StableDiffusion) -> None:
    disparity = Disparity.from_pixels(torch.linspace(0, 6, 64).expand(64, 64))

    def depth(right_depth: str) -> StereoPair:
        config = FAST_DEPTH.changed({"view_depth": right_depth})  # type: ignore[arg-type]
        return made(depth_pair(depth_backbone, disparity, ["a red ball"], settings=config))

    warped, same = depth("warped"), depth("same")
    assert torch.equal(warped.left, same.left)
    assert (warped.right - same.right).abs().max() > 1e-4


def test_depth_condition_is_near_bright_in_minus_one_to_one() -> None:
    disparity = Disparity.from_pixels(torch.linspace(3, 9, 64).expand(64, 64))
    condition = depth_condition(disparity, (8, 8))
    assert condition.shape == (1, 1, 8, 8)
    assert (float(condition.min()), float(condition.max())) == (-1.0, 1.0)
    assert bool((condition[..., 1:] > condition[..., :-1]).all())


@pytest.mark.parametrize("level", [0.0, 0.1, 2.0, 7.3, 300.3])
def test_a_flat_map_is_far_and_not_what_rounding_makes_of_it(level: float) -> None:
    for size in ((64, 64), (96, 130)):
        flat = depth_condition(Disparity.from_pixels(torch.full(size, level)), (8, 12))
        assert torch.equal(flat, torch.full((1, 1, 8, 12), -1.0))


def test_two_steps_keep_the_left_of_the_depth_model(
    depth_backbone: StableDiffusion, text_backbone: StableDiffusion
) -> None:
    disparity = Disparity.from_pixels(torch.linspace(0, 6, 64).expand(64, 64))
    direct = made(depth_pair(depth_backbone, disparity, ["a red ball"], settings=FAST_DEPTH, seed=2))
    two = made(
        two_step_pair(
            depth_backbone,
            text_backbone,
            disparity,
            ["a red ball"],
            settings=FAST_DEPTH,
            photo_settings=FAST_PHOTO,
            seed=2,
        )
    )
    reproduced = text_backbone.decode(text_backbone.encode(direct.left))
    torch.testing.assert_close(two.left, reproduced, atol=1e-4, rtol=1e-4)
    said, first = dict(two.provenance), dict(direct.provenance)
    assert (said.pop("model"), first.pop("model")) == ("tiny", "tiny-depth")
    assert said.pop("left_latent_mse") == 0.0
    assert isinstance(said.pop("left_psnr_db"), float)
    assert said.pop("settings") == FAST_PHOTO.plain()
    assert said.pop("drawn_with") == first.pop("settings") == FAST_DEPTH.plain()
    assert said == first


# --- refusals -------------------------------------------------------------------------------------------------------


def test_wrong_kinds_and_sizes_are_refused(
    text_backbone: StableDiffusion,
    depth_backbone: StableDiffusion,
    estimator: MonocularDepth,
    photo: Tensor,
    disparity_px: Tensor,
) -> None:
    disparity = Disparity.from_pixels(disparity_px)
    with pytest.raises(ModelError, match="wants a depth map"):
        made(text_pair(depth_backbone, estimator, ["a red ball"], settings=FAST_TEXT))
    with pytest.raises(ModelError, match="takes no depth map"):
        made(depth_pair(text_backbone, disparity, ["a red ball"], settings=FAST_DEPTH))
    with pytest.raises(ModelError, match="text-conditioned"):
        made(photo_pair(depth_backbone, photo, disparity, settings=FAST_PHOTO))
    with pytest.raises(ConfigError, match="multiples of 8, got 60x64"):
        made(text_pair(text_backbone, estimator, ["a red ball"], settings=FAST_TEXT, size=(60, 64)))
    with pytest.raises(GeometryError, match="the photo is 1 x 96x160, its disparity 1 x 48x80"):
        made(photo_pair(text_backbone, photo, disparity.resize(48, 80), settings=FAST_PHOTO))
    with pytest.raises(ConfigError, match="one prompt per photo"):
        made(photo_pair(text_backbone, photo, disparity, prompts=["a", "b"], settings=FAST_PHOTO))


def test_pictures_too_small_for_the_estimator_are_refused_before_the_first_step(text_backbone: StableDiffusion) -> None:
    processor: Any = GLPNImageProcessorPil(size_divisor=32)
    picky = MonocularDepth(name="picky", model=tiny.depth_estimator(), processor=processor, predicts="depth")
    with pytest.raises(ConfigError, match="picky needs sides of at least 32 pixels, got 24x64"):
        next(text_pair(text_backbone, picky, ["a red ball"], settings=FAST_TEXT, size=(24, 64)))
    events = text_pair(text_backbone, picky, ["a red ball"], settings=FAST_TEXT, size=(32, 64))
    first = next(event for event in events if not isinstance(event, Turn))
    assert first == Progress(stage="source", step=1, steps=10, evaluations=2)


def test_sizes_far_beyond_the_models_own_are_announced_and_beyond_64_times_refused(
    text_backbone: StableDiffusion, estimator: MonocularDepth
) -> None:
    native = text_backbone.native_size
    assert native == (64, 64)

    def first(size: tuple[int, int]) -> Progress | Note:
        events = text_pair(text_backbone, estimator, ["a red ball"], settings=FAST_TEXT, size=size)
        return next(event for event in events if isinstance(event, Progress | Note))

    assert isinstance(first((128, 128)), Progress)
    said = first((128, 136))
    assert isinstance(said, Note)
    assert said.text.startswith(
        "128x136 is 4 times the pixels that tiny was trained at (64x64): each step takes 4 to 18 "
    )
    assert isinstance(first((512, 512)), Note)
    with pytest.raises(
        ConfigError, match=r"trained at 64x64 and draws up to 64 times as many pixels, got 512x520, 65 "
    ):
        first((512, 520))


def test_a_map_without_borders_is_not_snapped_to_those_of_the_picture(photo: Tensor) -> None:
    estimator = load_depth_estimator("photo-depth")
    width = photo.shape[3]
    found = estimate(estimator, photo, preset("best", "photo"))
    assert torch.equal(found.pixels, Disparity.from_relative(estimator(photo), 0.08 * width).pixels)
