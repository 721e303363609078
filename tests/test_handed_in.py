"""What is no picture and no map is refused in one line that says what was expected and what came."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests import tiny
from tests.making import photo_pair

from stereodiffusion.errors import FormatError, GeometryError
from stereodiffusion.formats import resize_image, to_pil
from stereodiffusion.geometry import Disparity, paper_disparity, splat, warp_disparity
from stereodiffusion.metrics import (
    SemiGlobalMatcher,
    evaluate_images,
    evaluate_pair,
    evaluate_perceptual,
    ms_ssim,
    psnr,
    shared_view,
    siou,
    ssim,
    vertical_disparity,
)
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.occlusion import extend_background, hidden_beyond_frame, snap_to_edges, split_at_borders
from stereodiffusion.occlusion.strands import attach_strands
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.model import StereoDiffusion
from stereodiffusion.synthesis.run import Run

PICTURE = torch.full((1, 3, 64, 64), 0.5)
MAP = Disparity.from_pixels(torch.ones(64, 64))
NOWHERE = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
PAIR: dict[str, Any] = {"left": PICTURE, "right": PICTURE, "disparity": MAP, "occlusion": NOWHERE}


@pytest.fixture(autouse=True)
def _as_outside_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


@pytest.fixture(scope="module")
def backbone() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline(), name="tiny")


WRONG_PICTURES: list[tuple[Any, str]] = [
    (np.zeros((64, 64, 3), np.uint8), r"ndarray of shape \(64, 64, 3\), uint8"),
    (np.zeros((1, 3, 64, 64), np.float32), r"ndarray of shape \(1, 3, 64, 64\), float32"),
    ((PICTURE * 255).byte(), r"Tensor of shape \(1, 3, 64, 64\), uint8"),
    (PICTURE[0], r"Tensor of shape \(3, 64, 64\), float32"),
    (PICTURE.movedim(1, -1), r"Tensor of shape \(1, 64, 64, 3\), float32"),
    (PICTURE[..., :0], r"Tensor of shape \(1, 3, 64, 0\), float32"),
    (to_pil(PICTURE), "Image"),
    ("cat.jpg", "str"),
]
TAKE_PICTURES: list[Callable[[Any], object]] = [
    lambda picture: StereoPair(**PAIR | {"left": picture}),
    lambda picture: StereoPair(**PAIR | {"right": picture}),
    lambda picture: psnr(picture, PICTURE),
    lambda picture: ssim(PICTURE, picture),
    lambda picture: ms_ssim(PICTURE, picture),
    lambda picture: siou(PICTURE, PICTURE, picture),
    lambda picture: vertical_disparity(picture, PICTURE),
    lambda picture: SemiGlobalMatcher()(picture, PICTURE),
    lambda picture: evaluate_images(picture, PICTURE),
    lambda picture: evaluate_pair(picture, PICTURE, MAP),
    lambda picture: evaluate_pair(PICTURE, picture, MAP),
    lambda picture: evaluate_perceptual({}, picture, PICTURE),
    lambda picture: snap_to_edges(MAP, picture),
    lambda picture: attach_strands(MAP, picture),
    lambda picture: split_at_borders(picture, MAP),
    lambda picture: resize_image(picture, 8, 8),
    to_pil,
]


@pytest.mark.parametrize("take", TAKE_PICTURES)
@pytest.mark.parametrize(("wrong", "described"), WRONG_PICTURES)
def test_what_is_no_picture_is_refused(take: Callable[[Any], object], wrong: Any, described: str) -> None:
    with pytest.raises(GeometryError, match=rf"must be a \(b, 3, h, w\) float tensor in \[0, 1\], got {described}$"):
        take(wrong)


@pytest.mark.parametrize(("wrong", "described"), WRONG_PICTURES)
def test_what_is_no_photo_is_refused_before_the_model_is_looked_for(wrong: Any, described: str) -> None:
    model = StereoDiffusion("nowhere/to-be-found")
    if isinstance(wrong, str):  # a photo may be given by its path
        with pytest.raises(FormatError, match=r"^cat\.jpg: no such file$"):
            model.photo(wrong)
    else:
        with pytest.raises(
            GeometryError, match=rf"must be a \(b, 3, h, w\) float tensor in \[0, 1\], got {described}$"
        ):
            model.photo(wrong)


@pytest.mark.parametrize(("wrong", "described"), WRONG_PICTURES)
def test_photo_mode_and_estimators_refuse_it(backbone: StableDiffusion, wrong: Any, described: str) -> None:
    estimator = MonocularDepth(
        name="tiny", model=tiny.depth_estimator(), processor=lambda **_: None, predicts="inverse-depth"
    )
    config = preset("fast", "photo")
    takes: list[Callable[[Any], object]] = [
        estimator,
        lambda photo: Run(photo_pair(backbone, photo, MAP, prompts=[""], settings=config)).result,
    ]
    for take in takes:
        with pytest.raises(GeometryError, match=rf"must be a \(b, 3, h, w\) float tensor .*got {described}$"):
            take(wrong)


@pytest.mark.parametrize("levels", [255.0, -1.0, float("nan")])
def test_photos_of_other_levels_are_refused(levels: float) -> None:
    with pytest.raises(GeometryError, match=r"photo must be .* in \[0, 1\], got (0|-1|nan) \.\.\. (255|0|nan)"):
        StereoDiffusion("nowhere/to-be-found").photo(torch.tensor([0, levels]).expand(1, 3, 2, 2))


@pytest.mark.parametrize(
    ("wrong", "described"),
    [
        (np.zeros((64, 64), np.float32), r"ndarray of shape \(64, 64\), float32"),
        (torch.zeros(1, 1, 64, 64), r"Tensor of shape \(1, 1, 64, 64\), float32"),
        (3.0, "float"),
    ],
)
def test_what_is_no_disparity_is_refused(backbone: StableDiffusion, wrong: Any, described: str) -> None:
    takes: list[Callable[[], object]] = [
        lambda: StereoPair(**PAIR | {"disparity": wrong}),
        lambda: StereoDiffusion("nowhere/to-be-found").depth(wrong, "a ball"),
        lambda: StereoDiffusion("nowhere/to-be-found").photo(PICTURE, disparity=wrong),
        lambda: Run(photo_pair(backbone, PICTURE, wrong, settings=preset("fast", "photo"))).result,
        lambda: splat(PICTURE, wrong),
        lambda: warp_disparity(wrong),
        lambda: extend_background(PICTURE, wrong),
        lambda: hidden_beyond_frame(wrong),
        lambda: paper_disparity(wrong, max_disparity=0.1, height=8, width=8),
        lambda: snap_to_edges(wrong, PICTURE),
        lambda: attach_strands(wrong, PICTURE),
        lambda: split_at_borders(PICTURE, wrong),
        lambda: shared_view(wrong),
        lambda: evaluate_pair(PICTURE, PICTURE, wrong),
    ]
    for take in takes:
        with pytest.raises(GeometryError, match=rf"disparity must be a Disparity.*, got {described}$"):
            take()


def test_maps_are_tensors() -> None:
    array: Any = np.ones((4, 4), np.float32)
    for make in (Disparity.from_pixels, lambda it: Disparity.from_relative(it, 3.0)):
        with pytest.raises(
            GeometryError, match=r"must be a tensor \(h, w\).*, got ndarray of shape \(4, 4\), float32$"
        ):
            make(array)
    with pytest.raises(GeometryError, match=r"known must be a tensor .*, got ndarray"):
        Disparity.from_pixels(torch.ones(4, 4), array > 0)
    with pytest.raises(GeometryError, match=r"pixels and known must be tensors .*, got ndarray"):
        Disparity(pixels=array[None, None], known=array[None, None] > 0)


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 4, 8, 8), np.float32), torch.zeros(4, 8, 8), torch.zeros(1, 4, 8, 8).int()]
)
def test_views_may_have_any_channels_but_are_batches_of_numbers(wrong: Any) -> None:
    seen = Disparity.from_pixels(torch.zeros(8, 8))
    for take in (splat, extend_background):
        with pytest.raises(
            GeometryError, match=r"the view must be a \(b, c, h, w\) float tensor, not empty, got (ndarray|Tensor)"
        ):
            take(wrong, seen)


@pytest.mark.parametrize("wrong", [np.zeros((1, 1, 64, 64), bool), torch.zeros(1, 1, 64, 64)])
def test_occlusions_are_sets_of_cells(wrong: Any) -> None:
    with pytest.raises(GeometryError, match=r"occlusion must be a \(b, 1, h, w\) bool tensor, got (ndarray|Tensor)"):
        StereoPair(**PAIR | {"occlusion": wrong})


@pytest.mark.parametrize("nothing", [None, "map.pfm", [[1.0]]])
def test_disparity_is_made_of_tensors(nothing: Any) -> None:
    with pytest.raises(GeometryError, match=f"disparity must be a tensor .* got {type(nothing).__name__}"):
        Disparity.from_pixels(nothing)
