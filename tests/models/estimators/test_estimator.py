"""Depth estimators against a literal call of transformers, on tiny real networks of every family."""

import math
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModelForDepthEstimation, DPTImageProcessorPil

from stereodiffusion.errors import GeometryError, ModelError
from stereodiffusion.models.estimators import MonocularDepth, load_depth_estimator
from stereodiffusion.models.estimators.estimator import NEAREST_M, prediction_of

RELATIVE = ["dpt", "dpt-hybrid", "dpt-beit", "depth-anything", "glpn-relative"]
METRIC = ["depth-anything-metric", "glpn", "zoedepth"]


def literal(folder: Path, picture: Tensor) -> tuple[Tensor, Any]:
    """What the documentation of transformers says to do with one PIL picture, up to the resizing."""
    photo = PIL.Image.fromarray((picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
    processor = AutoImageProcessor.from_pretrained(folder)
    model = AutoModelForDepthEstimation.from_pretrained(folder)
    with torch.no_grad():
        outputs = model(**processor(images=photo, return_tensors="pt"))
    return outputs.predicted_depth, (processor, outputs)


@pytest.mark.parametrize("family", RELATIVE)
def test_inverse_depth_is_what_transformers_predicts(family: str, folders: dict[str, Path], pictures: Tensor) -> None:
    estimator = load_depth_estimator(folders[family])
    for picture in pictures:
        estimated = estimator(picture[None])
        assert estimated.shape == (1, 1, 50, 90)
        assert estimated.dtype == torch.float32
        _, (processor, outputs) = literal(folders[family], picture)
        expected = processor.post_process_depth_estimation(outputs, target_sizes=[(50, 90)])[0]["predicted_depth"]
        assert expected.std() > 1e-3 * expected.abs().mean() > 0
        torch.testing.assert_close(estimated[0, 0], expected.clamp(min=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", METRIC)
def test_metres_are_inverted_before_they_are_resized(family: str, folders: dict[str, Path], pictures: Tensor) -> None:
    estimator = load_depth_estimator(folders[family])
    pad_h, pad_w = (int(math.sqrt(25) * 3), int(math.sqrt(45) * 3)) if family == "zoedepth" else (0, 0)
    for picture in pictures:
        depth_m, _ = literal(folders[family], picture)
        assert depth_m.std() > 1e-3 * depth_m.mean() > 0
        expected = nn.functional.interpolate(
            1 / depth_m[None].clamp(min=NEAREST_M), size=(50 + 2 * pad_h, 90 + 2 * pad_w), mode="bicubic"
        )[0, 0, pad_h : pad_h + 50, pad_w : pad_w + 90]
        torch.testing.assert_close(estimator(picture[None])[0, 0], expected.clamp(min=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", RELATIVE + METRIC)
def test_near_is_large(family: str, folders: dict[str, Path], pictures: Tensor) -> None:
    """The order of the pixels from near to far is the network's, whatever it predicts."""
    height, width = (56, 56) if family.startswith("depth-anything") else (64, 64)
    picture = nn.functional.interpolate(pictures[:1], size=(height, width))
    predicted, _ = literal(folders[family], picture[0])
    estimated = load_depth_estimator(folders[family])(picture)[0, 0]
    if family == "zoedepth":  # its padding keeps the two from having the same pixels
        predicted = nn.functional.interpolate(predicted[None], size=(94, 94), mode="bicubic")[0, :, 15:-15, 15:-15]
        assert torch.corrcoef(torch.stack([predicted.flatten(), estimated.flatten()]))[0, 1] < -0.7
        return
    assert predicted.shape[1:] == estimated.shape
    nearest_first = predicted.flatten().argsort(descending=family in RELATIVE)
    assert (estimated.flatten()[nearest_first].diff() <= 0).all()


@pytest.mark.parametrize("family", RELATIVE + METRIC)
def test_a_batch_is_its_pictures(family: str, folders: dict[str, Path], pictures: Tensor) -> None:
    estimator = load_depth_estimator(folders[family])
    alone = torch.cat([estimator(picture[None]) for picture in pictures])
    torch.testing.assert_close(estimator(pictures), alone, rtol=0, atol=1e-3 * float(alone.max()))
    assert (alone >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, "float16"])
def test_the_precision_is_the_callers(dtype: Any, folders: dict[str, Path], pictures: Tensor) -> None:
    estimated = load_depth_estimator(folders["dpt"], dtype=dtype)(pictures.double())
    exact = load_depth_estimator(folders["dpt"])(pictures)
    assert estimated.dtype == torch.float32
    assert torch.corrcoef(torch.stack([estimated.flatten(), exact.flatten()]))[0, 1] > 0.95


def test_the_configuration_says_what_is_predicted() -> None:
    assert prediction_of({"model_type": "dpt"}) == "inverse-depth"
    assert prediction_of({"model_type": "dpt", "add_projection": True}) == "depth"
    assert prediction_of({"model_type": "depth_anything"}) == "inverse-depth"
    assert prediction_of({"model_type": "depth_anything", "depth_estimation_type": "metric"}) == "depth"
    assert prediction_of({"model_type": "glpn"}) == "depth"
    assert prediction_of({"model_type": "zoedepth"}) == "depth"
    assert prediction_of({"model_type": "clip"}) is None


def test_the_caller_may_say_what_is_predicted(folders: dict[str, Path], pictures: Tensor) -> None:
    square = nn.functional.interpolate(pictures, size=(64, 64))
    kept = load_depth_estimator(folders["dpt"])(square)
    inverted = load_depth_estimator(folders["dpt"], predicts="depth")(square)
    torch.testing.assert_close(inverted, 1 / kept.clamp(min=NEAREST_M))


@pytest.mark.parametrize("shape", [(3, 50, 90), (1, 1, 50, 90), (1, 4, 50, 90)])
def test_only_batches_of_rgb_pictures(shape: tuple[int, ...], folders: dict[str, Path]) -> None:
    with pytest.raises((GeometryError, TypeCheckError)):
        load_depth_estimator(folders["dpt"])(torch.zeros(shape))


def test_too_small_for_the_network(folders: dict[str, Path]) -> None:
    with pytest.raises(GeometryError, match="at least 32 pixels, got 20x90"):
        load_depth_estimator(folders["glpn"])(torch.zeros(1, 3, 20, 90))


def test_large_pictures_are_reduced_for_networks_without_a_size_of_their_own(
    folders: dict[str, Path], pictures: Tensor
) -> None:
    dpt, glpn = load_depth_estimator(folders["dpt"]), load_depth_estimator(folders["glpn"])
    assert isinstance(dpt, MonocularDepth)
    assert isinstance(glpn, MonocularDepth)
    assert (dpt.most_pixels, glpn.most_pixels) == (None, 480 * 640)
    large = nn.functional.interpolate(pictures[:1], size=(960, 1280), mode="bicubic").clamp(0, 1)
    reduced = nn.functional.interpolate(large, size=(480, 640), mode="bicubic", antialias=True).clamp(0, 1)
    depth_m, _ = literal(folders["glpn"], reduced[0])
    expected = nn.functional.interpolate(1 / depth_m[None], size=(960, 1280), mode="bicubic")
    torch.testing.assert_close(load_depth_estimator(folders["glpn"])(large), expected, rtol=1e-4, atol=1e-5)


def test_a_processor_that_resizes_and_pads_sees_the_whole_picture(folders: dict[str, Path], tmp_path: Path) -> None:
    AutoModelForDepthEstimation.from_pretrained(folders["dpt"]).save_pretrained(tmp_path)
    padded = DPTImageProcessorPil(size={"height": 32, "width": 32}, do_pad=True, size_divisor=16)
    padded.save_pretrained(tmp_path)
    estimator = load_depth_estimator(tmp_path)
    assert isinstance(estimator, MonocularDepth)
    assert estimator.most_pixels is None


def test_not_a_number_is_an_error(folders: dict[str, Path], pictures: Tensor) -> None:
    model = AutoModelForDepthEstimation.from_pretrained(folders["dpt"])
    torch.nn.init.constant_(next(model.parameters()), math.nan)
    processor = AutoImageProcessor.from_pretrained(folders["dpt"])
    estimator = MonocularDepth(name="broken", model=model, processor=processor, predicts="inverse-depth")
    with pytest.raises(ModelError, match="broken predicted values that are not finite"):
        estimator(pictures)
