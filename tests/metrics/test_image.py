"""PSNR and SSIM against scikit-image, MS-SSIM against the formula written out, and what regions must do."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.metrics.image import MS_SSIM_WEIGHTS, ms_ssim, psnr, ssim

Metric = Callable[..., Tensor]


def pictures(height: int, width: int, *, noise: float = 0.1, batch: int = 1) -> tuple[Tensor, Tensor]:
    """A smooth picture and the same with noise."""
    generator = torch.Generator().manual_seed(height + width)
    coarse = torch.rand(batch, 3, 9, 9, generator=generator, dtype=torch.float64)
    truth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    generated = truth + noise * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    return generated.clamp(0, 1), truth


def channels_last(picture: Tensor) -> NDArray[np.float64]:
    return picture[0].permute(1, 2, 0).numpy()


def reference_ms_ssim(generated: Tensor, truth: Tensor) -> float:
    """Wang, Simoncelli and Bovik 2003, channel by channel."""
    offset = np.arange(-5, 6)
    window = np.exp(-(offset**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(field: NDArray[np.float64]) -> NDArray[np.float64]:
        return correlate1d(correlate1d(field, window, axis=0), window, axis=1)[5:-5, 5:-5]

    def halve(field: NDArray[np.float64]) -> NDArray[np.float64]:
        even = field[: field.shape[0] // 2 * 2, : field.shape[1] // 2 * 2]
        return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4

    values: list[float] = []
    for x, y in zip(generated[0].numpy(), truth[0].numpy(), strict=True):
        value = 1.0
        for scale, weight in enumerate(MS_SSIM_WEIGHTS):
            mu_x, mu_y = blur(x), blur(y)
            sigma_x, sigma_y = blur((x - 0.5) ** 2) - (mu_x - 0.5) ** 2, blur((y - 0.5) ** 2) - (mu_y - 0.5) ** 2
            sigma_xy = blur((x - 0.5) * (y - 0.5)) - (mu_x - 0.5) * (mu_y - 0.5)
            cs = (2 * sigma_xy + 0.0009) / (sigma_x + sigma_y + 0.0009)
            if scale == 4:
                cs = cs * (2 * mu_x * mu_y + 0.0001) / (mu_x**2 + mu_y**2 + 0.0001)
            value *= max(float(cs.mean()), 0.0) ** weight
            x, y = halve(x), halve(y)
        values.append(value)
    return float(np.mean(values))


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("size", [(7, 7), (31, 50), (64, 64)])
def test_psnr_and_ssim_are_those_of_scikit_image(size: tuple[int, int], noise: float) -> None:
    generated, truth = pictures(*size, noise=noise)
    a, b = channels_last(generated), channels_last(truth)
    assert float(psnr(generated, truth)) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-9)
    expected = structural_similarity(b, a, data_range=1, channel_axis=2)
    assert float(ssim(generated, truth)) == pytest.approx(expected, abs=1e-9)
    single = float(ssim(generated.float(), truth.float()))
    assert single == pytest.approx(expected, abs=1e-6)


def test_ssim_over_a_region_is_the_mean_of_scikit_images_map_over_it() -> None:
    generated, truth = pictures(40, 56)
    region = torch.rand(1, 1, 40, 56, generator=torch.Generator().manual_seed(1)) < 0.3
    reference = structural_similarity(
        channels_last(truth), channels_last(generated), data_range=1, channel_axis=2, full=True
    )
    full = reference[1]
    inside = region[0, 0, 3:-3, 3:-3].numpy()
    assert float(ssim(generated, truth, region)) == pytest.approx(full[3:-3, 3:-3][inside].mean(), abs=1e-9)


@pytest.mark.parametrize("size", [(176, 176), (201, 250)])
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ms_ssim_is_the_published_formula(size: tuple[int, int], noise: float) -> None:
    generated, truth = pictures(*size, noise=noise)
    assert float(ms_ssim(generated, truth)) == pytest.approx(reference_ms_ssim(generated, truth), abs=1e-9)


def test_ms_ssim_takes_anticorrelation_as_none() -> None:
    _, truth = pictures(180, 180)
    assert float(ms_ssim(1 - truth, truth)) == pytest.approx(reference_ms_ssim(1 - truth, truth), abs=1e-9)
    assert float(ms_ssim(1 - truth, truth)) == 0


def test_a_picture_equals_itself() -> None:
    _, truth = pictures(180, 200)
    assert math.isinf(float(psnr(truth, truth)))
    assert float(ssim(truth, truth)) == pytest.approx(1, abs=1e-12)
    assert float(ms_ssim(truth, truth)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("metric", [psnr, ssim, ms_ssim])
class TestRegions:
    def test_the_whole_picture_is_a_region_too(self, metric: Metric) -> None:
        generated, truth = pictures(192, 192)
        everything = torch.ones(1, 1, 192, 192, dtype=torch.bool)
        assert float(metric(generated, truth, everything)) == pytest.approx(float(metric(generated, truth)))

    def test_only_the_region_counts(self, metric: Metric) -> None:
        generated, truth = pictures(192, 400)
        damaged = generated.clone()
        damaged[..., 250:] = 0
        far, near = torch.zeros(2, 1, 1, 192, 400, dtype=torch.bool)
        far[..., 100:150] = True  # a window of 11 cells of 16 pixels does not reach the damage
        near[..., 200:300] = True
        assert float(metric(damaged, truth, far)) == pytest.approx(float(metric(generated, truth, far)))
        assert float(metric(damaged, truth, near)) < float(metric(generated, truth, near))

    def test_an_empty_region_has_no_value(self, metric: Metric) -> None:
        generated, truth = pictures(192, 192)
        assert math.isnan(float(metric(generated, truth, torch.zeros(1, 1, 192, 192, dtype=torch.bool))))

    def test_each_picture_of_a_batch_has_its_own(self, metric: Metric) -> None:
        generated, truth = pictures(180, 180, batch=3)
        region = torch.rand(3, 1, 180, 180, generator=torch.Generator().manual_seed(0)) < 0.5
        together = metric(generated, truth, region)
        apart = [metric(generated[i : i + 1], truth[i : i + 1], region[i : i + 1]) for i in range(3)]
        assert together.tolist() == pytest.approx(torch.cat(apart).tolist())

    def test_sizes_must_agree(self, metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)  # as outside of the tests
        generated, truth = pictures(180, 180)
        with pytest.raises(GeometryError, match="one size"):
            metric(generated[..., 1:], truth)
        with pytest.raises(GeometryError, match="the region is"):
            metric(generated, truth, torch.ones(1, 1, 180, 179, dtype=torch.bool))


def test_pictures_too_small_are_refused() -> None:
    with pytest.raises(GeometryError, match="at least 7 pixels, got"):
        ssim(*pictures(6, 20))
    with pytest.raises(GeometryError, match="at least 176 pixels, got"):
        ms_ssim(*pictures(175, 200))
