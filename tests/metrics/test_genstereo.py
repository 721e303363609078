"""PSNR and SSIM by GenStereo's protocol, against scikit-image on pictures made small by other means."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.metrics import evaluate_genstereo, psnr, ssim

EDGE = 768


def views(seed: int = 0, noise: float = 0.05) -> tuple[Tensor, Tensor]:
    """A grainy picture, and the same with other grain, in 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 24, 24, generator=generator)
    truth = torch.nn.functional.interpolate(coarse, size=(EDGE, EDGE), mode="bilinear") * 0.8 + 0.1
    grain = noise * torch.randn(2, 3, EDGE, EDGE, generator=generator)
    made, true = ((view * 255).round() / 255 for view in (truth + grain).clamp(0, 1).split(1))
    return made, true


def sampled(view: Tensor) -> np.ndarray:
    """At 512: each pixel lies halfway between two of every three, where the cubic kernel (a = -0.75) is known."""
    levels = np.asarray(Image.fromarray((view[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)), np.float64)

    def kernel(distance: np.ndarray) -> np.ndarray:
        x, a = np.abs(distance), -0.75
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        return np.where(x <= 1, near, np.where(x < 2, a * (x**3 - 5 * x**2 + 8 * x - 4), 0))

    at = (np.arange(512) + 0.5) * EDGE / 512 - 0.5
    weights = np.zeros((512, EDGE))
    for row, place in enumerate(at):
        for source in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            weights[row, np.clip(source, 0, EDGE - 1)] += kernel(np.array(place - source))
    small = np.einsum("im,mnc,jn->ijc", weights, levels, weights, optimize=True)
    return small.round().clip(0, 255) / 255


def test_it_is_scikit_images_ssim_of_means_of_2_x_2() -> None:
    made, true = views()
    a, b = sampled(made), sampled(true)
    halves = [view.reshape(256, 2, 256, 2, 3).mean((1, 3)) for view in (a, b)]
    expected = structural_similarity(
        *halves, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    numbers = evaluate_genstereo(made, true)
    assert numbers["ssim"] == pytest.approx(expected, abs=1e-3)
    assert numbers["psnr"] == pytest.approx(-10 * np.log10(((a - b) ** 2).mean()), abs=0.02)


def test_grain_that_differs_costs_far_less_than_at_full_size() -> None:
    made, true = views()
    numbers = evaluate_genstereo(made, true)
    assert numbers["ssim"] > float(ssim(made, true)) + 0.1
    assert numbers["psnr"] == pytest.approx(float(psnr(made, true)), abs=3)


def test_equal_pictures_and_wrong_ones() -> None:
    made, _ = views()
    assert evaluate_genstereo(made, made) == {"psnr": float("inf"), "ssim": pytest.approx(1)}
    with pytest.raises(GeometryError, match="one picture at a time"):
        evaluate_genstereo(made.expand(2, -1, -1, -1), made.expand(2, -1, -1, -1))
