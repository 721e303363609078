"""SIoU, rivalry and comfort on pairs whose answer is known."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from torch import Tensor
from torch.nn import functional

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import (
    MatchedPair,
    SharedView,
    colour_mismatch,
    evaluate_images,
    evaluate_pair,
    parallax_percentile,
    sharpness_mismatch,
    siou,
    vertical_disparity,
    window_violation,
)


def texture(height: int = 128, width: int = 192, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 4, width // 4, generator=generator)
    return functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def everything(view: Tensor) -> SharedView:
    region = torch.ones_like(view[:, :1], dtype=torch.bool)
    return SharedView(left=region, right=region)


def disc(column: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(96), torch.arange(96), indexing="ij")
    inside = (rows - 48) ** 2 + (columns - column) ** 2 < 20**2
    return torch.where(inside, 1.0, 0.2).expand(1, 3, 96, 96).contiguous()


class TestSiou:
    def test_the_true_view_has_it_all(self) -> None:
        assert float(siou(disc(48), disc(40), disc(40))) == 1

    def test_flat_pairs_agree(self) -> None:
        grey = torch.full((1, 3, 32, 32), 0.5)
        assert float(siou(grey, grey, grey)) == 1

    def test_edges_weigh_three_quarters(self) -> None:
        # A darker right view has the true edges and differs from the left where the true one does, and everywhere else.
        darker = disc(40) - 0.1
        differing = ((disc(40) - disc(48)).abs() > 0.01).float().mean()
        assert float(siou(disc(48), darker, disc(40))) == pytest.approx(0.75 + 0.25 * float(differing), abs=0.002)

    def test_the_left_view_has_neither(self) -> None:
        assert float(siou(disc(60), disc(60), disc(20))) < 0.02

    def test_a_difference_of_five_levels_is_none(self) -> None:
        grey = torch.full((1, 3, 32, 32), 100 / 255)
        assert float(siou(grey, grey + 5 / 255, grey)) == 1
        assert float(siou(grey, grey + 6 / 255, grey)) == 0.75
        assert float(siou(grey, grey - 6 / 255, grey)) == 0.75


class TestColour:
    def test_the_same_colours_do_not_mismatch(self) -> None:
        left = texture()
        shared = everything(left)
        assert float(colour_mismatch(left, left.flip(-1), shared)) == pytest.approx(0, abs=1e-6)

    def test_a_tint_is_the_distance_of_the_mean_colours(self) -> None:
        left = texture()
        right = left * torch.tensor([1.0, 0.9, 0.8]).view(3, 1, 1)
        means = [rgb2lab(view[0].permute(1, 2, 0).numpy()).mean(axis=(0, 1)) for view in (left, right)]
        expected = float(np.linalg.norm(means[1] - means[0]))
        assert expected > 5
        assert float(colour_mismatch(left, right, everything(left))) == pytest.approx(expected, abs=0.05)

    def test_what_one_eye_sees_alone_does_not_count(self) -> None:
        left, right = texture(), texture()
        right[..., 150:] = 0
        shared = everything(left)
        seen = shared.right.clone()
        seen[..., 150:] = False
        assert float(colour_mismatch(left, right, SharedView(left=seen, right=seen))) == pytest.approx(0, abs=1e-6)
        assert float(colour_mismatch(left, right, shared)) > 1


class TestSharpness:
    def test_equal_eyes_are_equally_sharp(self) -> None:
        left = texture()
        assert float(sharpness_mismatch(left, left.flip(-1), everything(left))) == pytest.approx(0, abs=1e-9)

    def test_half_the_contrast_is_an_octave(self) -> None:
        left = texture()
        assert float(sharpness_mismatch(left, left / 2, everything(left))) == pytest.approx(-1, abs=1e-6)

    def test_blur_is_below_and_noise_above(self) -> None:
        left = texture()
        noisy = left + 0.1 * torch.randn(left.shape, generator=torch.Generator().manual_seed(0))
        assert float(sharpness_mismatch(left, functional.avg_pool2d(left, 5, 1, 2), everything(left))) < -0.5
        assert float(sharpness_mismatch(left, noisy, everything(left))) > 0.5


class TestVerticalDisparity:
    @pytest.mark.parametrize("rows", [0, 1, 3])
    def test_rows_are_counted_whatever_the_parallax(self, rows: int) -> None:
        left = texture(200, 260)
        assert float(vertical_disparity(left, left.roll((rows, -9), dims=(-2, -1)))) == pytest.approx(rows, abs=0.1)

    def test_no_points_no_number(self) -> None:
        grey = torch.full((1, 3, 64, 64), 0.5)
        assert math.isnan(float(vertical_disparity(grey, grey)))
        assert math.isnan(float(vertical_disparity(texture(), grey.new_zeros(1, 3, 128, 192))))


def test_parallax_is_in_percent_of_the_width() -> None:
    requested = Disparity.from_pixels(torch.arange(200.0).expand(4, 200))
    assert float(parallax_percentile(requested, 50)) == pytest.approx(99 / 200 * 100)
    assert float(parallax_percentile(requested, 100)) == pytest.approx(199 / 200 * 100)


class TestWindow:
    @staticmethod
    def matched(left: Tensor, right: Tensor) -> MatchedPair:
        return MatchedPair(left=Disparity.from_pixels(left), right=Disparity.from_pixels(right))

    def test_the_border_that_sees_less_counts(self) -> None:
        flat, left, right = torch.zeros(3, 10, 100)
        left[:5, -2:] = 4  # half of the right border, on the left eye's picture
        right[:, :2] = 4  # all of the left border, on the right eye's
        assert float(window_violation(self.matched(flat, flat))) == 0
        assert float(window_violation(self.matched(left, flat))) == 0.25
        assert float(window_violation(self.matched(flat, right))) == 0.5
        assert float(window_violation(self.matched(left, right))) == 0.75
        assert float(window_violation(self.matched(left.flip(-1), right.flip(-1)))) == 0

    def test_moving_the_screen_forward_mends_it(self) -> None:
        deep = torch.full((10, 100), 4.0)
        assert float(window_violation(self.matched(deep, deep))) == 1
        assert float(window_violation(self.matched(deep, deep), screen_px=4)) == 0


class TestEvaluation:
    def test_images_have_a_number_for_every_region(self) -> None:
        truth = texture(192, 192)
        visible = torch.ones(1, 1, 192, 192, dtype=torch.bool)
        visible[..., 100:] = False
        generated = torch.where(visible, truth, 0.0)
        numbers = evaluate_images(generated, truth, visible)
        assert set(numbers) == {
            f"{name}{region}" for name in ("psnr", "ssim", "ms_ssim") for region in ("", "_visible", "_occluded")
        }
        assert math.isinf(numbers["psnr_visible"])
        assert numbers["psnr"] == pytest.approx(numbers["psnr_occluded"] - 10 * math.log10(92 / 192))
        for name in ("ssim", "ms_ssim"):
            assert numbers[f"{name}_visible"] > numbers[name] > numbers[f"{name}_occluded"]

    def test_what_has_no_pixel_is_nan(self) -> None:
        truth = texture()
        numbers = evaluate_images(truth, truth, torch.ones(1, 1, 128, 192, dtype=torch.bool))
        assert math.isnan(numbers["psnr_occluded"])
        assert math.isnan(numbers["ssim_occluded"])
        assert math.isnan(numbers["ms_ssim"])  # 128 rows are too few
        assert numbers["ssim"] == pytest.approx(1)
        assert set(evaluate_images(truth, truth)) == {"psnr", "ssim", "ms_ssim"}

    def test_a_sparse_request_is_enough(self) -> None:
        left = texture()
        known = torch.rand(1, 1, 128, 192, generator=torch.Generator().manual_seed(0)) < 0.1
        requested = Disparity.from_pixels(torch.full((1, 1, 128, 192), 6.0), known)
        numbers = evaluate_pair(left, left.roll(-6, dims=-1), requested)
        assert numbers["epe"] < 0.1
        assert numbers["bad_1"] < 0.02
        assert numbers["parallax_p50"] == pytest.approx(100 * 6 / 192)
        assert math.isnan(numbers["siou"])

    def test_nothing_requested_leaves_the_pair_alone(self) -> None:
        left = texture()
        unknown = torch.zeros(1, 1, 128, 192, dtype=torch.bool)
        numbers = evaluate_pair(left, left, Disparity.from_pixels(torch.zeros(1, 1, 128, 192), unknown))
        for name in ("epe", "d1", "bad_1", "lr_consistency", "colour_mismatch", "sharpness_mismatch"):
            assert math.isnan(numbers[name]), name
        assert numbers["parallax_p99"] == pytest.approx(0, abs=0.1)

    def test_one_picture_at_a_time(self) -> None:
        two = torch.zeros(2, 3, 32, 32)
        with pytest.raises(GeometryError, match="one picture at a time"):
            evaluate_images(two, two)
        with pytest.raises(GeometryError, match="one picture at a time"):
            evaluate_pair(two, two, Disparity.from_pixels(torch.zeros(2, 32, 32)))
