"""From scenes to cases."""

from dataclasses import replace
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image as Image_

from stereodiffusion.bench.protocols import AsGenStereo, CaseKind, Preparation, case_kinds, prepare
from stereodiffusion.bench.results import DisparitySource, Protocol
from stereodiffusion.bench.scale import fitted, parallax_by_sgbm
from stereodiffusion.datasets import StereoDataset, StereoSample, open_scenes
from stereodiffusion.errors import ConfigError, DatasetError
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Map

AS_IT_IS = Preparation(size=64)


def kind(protocol: Protocol, disparity: DisparitySource = "truth") -> CaseKind:
    return CaseKind(protocol=protocol, disparity=disparity)


def nothing(picture: Image) -> NoReturn:
    raise AssertionError("the estimator was asked")


@pytest.fixture(scope="module")
def sample(scenes: StereoDataset) -> StereoSample:
    return scenes.read(scenes.scenes[0])


@pytest.fixture(scope="module")
def wide() -> StereoSample:
    """A scene wider than high, and larger than the working size."""
    dataset = open_scenes(1, seed=3, size=(96, 160))
    return dataset.read(dataset.scenes[0])


def truth(sample: StereoSample) -> Disparity:
    assert sample.disparity is not None
    return sample.disparity


def test_metric_hands_over_the_truth(sample: StereoSample) -> None:
    case = prepare(sample, kind("metric"), AS_IT_IS, nothing)
    torch.testing.assert_close(case.disparity.pixels, truth(sample).pixels)
    torch.testing.assert_close(case.left, sample.left)
    torch.testing.assert_close(case.right, sample.right)


def test_the_centre_square_is_the_same_for_both_eyes_and_values_scale(wide: StereoSample) -> None:
    native = prepare(wide, kind("metric"), Preparation(size=96), nothing)
    square = (..., slice(0, 96), slice(32, 128))
    torch.testing.assert_close(native.left, wide.left[square])
    torch.testing.assert_close(native.right, wide.right[square])
    torch.testing.assert_close(native.disparity.pixels, truth(wide).pixels[square])
    half = prepare(wide, kind("metric"), Preparation(size=48), nothing)
    assert half.left.shape == (1, 3, 48, 48)
    assert float(half.disparity.pixels.median()) == pytest.approx(float(native.disparity.pixels.median()) / 2, rel=0.05)


def test_pictures_of_any_size_may_stay_as_they_are(wide: StereoSample) -> None:
    case = prepare(wide, kind("metric"), Preparation(size=None), nothing)
    assert case.left.shape == wide.left.shape
    assert wide.occlusion is not None
    assert torch.equal(case.visible, ~wide.occlusion)


def test_the_paper_protocol_knows_nothing_of_scale_and_offset(sample: StereoSample) -> None:
    known = truth(sample)
    other = replace(sample, disparity=Disparity.from_pixels(3 * known.pixels + 5))
    preparation = Preparation(size=64, max_disparity=0.25)
    cases = [prepare(one, kind("paper"), preparation, nothing) for one in (sample, other)]
    torch.testing.assert_close(cases[0].disparity.pixels, cases[1].disparity.pixels)
    assert float(cases[0].disparity.pixels.min()) == 0
    assert float(cases[0].disparity.pixels.max()) == pytest.approx(0.25 * 64)


def test_all_methods_are_given_a_map_without_gaps(sample: StereoSample) -> None:
    known = truth(sample).known.clone()
    known[..., 20:40, 30:50] = False
    gaps = replace(sample, disparity=Disparity.from_pixels(truth(sample).pixels, known))
    for protocol in ("metric", "paper"):
        case = prepare(gaps, kind(protocol), AS_IT_IS, nothing)
        assert bool(case.disparity.known.all())
    case = prepare(gaps, kind("metric"), AS_IT_IS, nothing)
    torch.testing.assert_close(case.disparity.pixels[known], truth(sample).pixels[known])


def test_sparse_truth_is_made_dense_along_the_edges_of_the_picture(sample: StereoSample) -> None:
    generator = torch.Generator().manual_seed(0)
    known = torch.rand(truth(sample).known.shape, generator=generator) < 0.2
    sparse = replace(sample, disparity=Disparity.from_pixels(truth(sample).pixels, known))
    case = prepare(sparse, kind("metric"), AS_IT_IS, nothing)
    assert bool(case.disparity.known.all())
    error = (case.disparity.pixels - truth(sample).pixels).abs()
    behind = (Disparity.from_pixels(truth(sample).pixels, known).filled().pixels - truth(sample).pixels).abs()
    assert float(error.mean()) < float(behind.mean())


@pytest.mark.parametrize("protocol", ["paper", "metric", "leak-free"])
def test_what_counts_as_visible_is_the_same_under_all_protocols(protocol: Protocol, sample: StereoSample) -> None:
    photographed = replace(sample, occlusion=None)
    expected = prepare(photographed, kind("metric"), AS_IT_IS, nothing).visible
    disparity: DisparitySource = "estimated"
    case = prepare(photographed, kind(protocol, disparity), AS_IT_IS, lambda left: left[:, :1])
    assert torch.equal(case.visible, expected)
    assert 0.7 < float(expected.float().mean()) < 1


def test_an_estimate_gets_the_unit_of_the_truth_under_metric(sample: StereoSample) -> None:
    relief = truth(sample).pixels * 0.01 - 7

    def estimate(left: Image) -> Map:
        return relief

    case = prepare(sample, kind("metric", "estimated"), AS_IT_IS, estimate)
    torch.testing.assert_close(case.disparity.pixels, truth(sample).pixels, atol=1e-3, rtol=1e-3)


def test_a_worthless_estimate_is_not_turned_round() -> None:
    ramp = torch.linspace(1, 9, 64).expand(1, 1, 8, 64)
    assert torch.allclose(fitted(-ramp, Disparity.from_pixels(ramp)).pixels, torch.tensor(5.0))
    assert torch.allclose(fitted(torch.ones_like(ramp), Disparity.from_pixels(ramp)).pixels, torch.tensor(5.0))


def test_only_what_was_measured_is_fitted_to() -> None:
    ramp = torch.linspace(1, 9, 64).expand(1, 1, 8, 64)
    measured = Disparity.from_pixels(ramp, known=ramp < 5)
    wrong_beyond = torch.where(ramp < 5, ramp, 100.0)
    torch.testing.assert_close(fitted(wrong_beyond / 10, measured).pixels[ramp < 5], ramp[ramp < 5])


def test_leak_free_looks_at_no_truth(sample: StereoSample) -> None:
    blind = replace(sample, disparity=None)
    cases = [
        prepare(one, kind("leak-free", "estimated"), AS_IT_IS, lambda left: left[:, :1]) for one in (sample, blind)
    ]
    torch.testing.assert_close(cases[0].disparity.pixels, cases[1].disparity.pixels)


def test_the_pair_tells_the_scale_of_a_right_relief() -> None:
    dataset = open_scenes(1, seed=5, size=(256, 256))
    rendered = dataset.read(dataset.scenes[0])
    pixels = truth(rendered).pixels
    span = float(pixels.max())
    assert span > 8
    relief = torch.cat([pixels[..., :1, :] * 0, pixels[..., 1:, :]], dim=2)  # a row at infinity: no offset is left
    assert parallax_by_sgbm(rendered.left, rendered.right, relief) == pytest.approx(span, rel=0.15)


@pytest.mark.parametrize("wrong", [kind("paper"), kind("metric"), kind("metric", "estimated")])
def test_a_scene_without_truth_is_refused_where_truth_is_needed(sample: StereoSample, wrong: CaseKind) -> None:
    with pytest.raises(DatasetError, match=rf"{sample.name}.*{wrong.protocol}"):
        prepare(replace(sample, disparity=None), wrong, AS_IT_IS, lambda left: left[:, :1])


def test_the_facts_are_those_of_the_case(sample: StereoSample) -> None:
    case = prepare(sample, kind("metric"), AS_IT_IS, nothing)
    assert case.facts["width"] == 64
    assert case.facts["nearest_px"] == pytest.approx(float(truth(sample).pixels.max()))
    assert case.facts["visible"] == pytest.approx(float(case.visible.float().mean()))


def test_leak_free_is_run_once_whatever_disparities_are_asked_for() -> None:
    kinds = case_kinds(["metric", "leak-free"], ["truth", "estimated"])
    assert kinds == (
        kind("metric"),
        kind("metric", "estimated"),
        kind("leak-free", "estimated"),
    )


def test_settings_name_what_the_case_depends_on() -> None:
    preparation = Preparation(size=None, max_disparity=0.1, estimator="dpt-large")
    assert preparation.settings(kind("metric")) == {"size": "native"}
    assert preparation.settings(kind("paper")) == {"size": "native", "max_disparity": 0.1}
    assert preparation.settings(kind("leak-free", "estimated"))["estimator"] == "dpt-large"


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="size must be at least 8 pixels, got 4"):
        Preparation(size=4)
    with pytest.raises(ConfigError, match=r"max_disparity .* got 2"):
        Preparation(max_disparity=2.0)


def test_genstereo_squeezes_the_whole_picture(wide: StereoSample, monkeypatch: pytest.MonkeyPatch) -> None:
    preparation = Preparation(size=64)
    assert preparation.settings(kind("genstereo"))["size"] == "768"
    monkeypatch.setattr("stereodiffusion.bench.protocols.GENSTEREO_SIZE", 72)
    whole = prepare(wide, kind("genstereo"), preparation, nothing)
    assert whole.left.shape == (1, 3, 72, 72)
    pil = Image_.fromarray((wide.left[0].permute(1, 2, 0) * 255).round().byte().numpy())
    pil = pil.resize((72, 72), Image_.Resampling.BILINEAR)
    assert float((whole.left - torch.from_numpy(np.array(pil)).permute(2, 0, 1)[None] / 255).abs().max()) <= 1.01 / 255
    scale = 72 / 160  # disparity follows the width alone
    assert float(whole.disparity.pixels.max()) == pytest.approx(scale * float(truth(wide).pixels.max()), rel=0.01)


def test_genstereo_takes_the_centre_square_of_what_is_very_wide(wide: StereoSample) -> None:
    cut = AsGenStereo(64, 160)
    strip = wide.left[..., 16:80, :]
    assert torch.equal(cut.picture(strip), AsGenStereo(64, 64).picture(strip[..., 48:112]))
    disparity = truth(wide).crop(16, 0, 64, 160)
    assert torch.equal(
        cut.disparity(disparity).pixels, AsGenStereo(64, 64).disparity(truth(wide).crop(16, 48, 64, 64)).pixels
    )
