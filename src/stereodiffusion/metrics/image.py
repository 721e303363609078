"""How close a generated view is to the true one as a picture: PSNR, SSIM and MS-SSIM, computed in float64.

Each may be limited to a region. PSNR alone then knows nothing of the other pixels: the windows of SSIM and MS-SSIM
reach a few pixels beyond it.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stereodiffusion.errors import GeometryError
from stereodiffusion.metrics.region import check_alike, mean_over, weighted_mean
from stereodiffusion.types import Image, Region

_C1, _C2 = 0.01**2, 0.03**2  # keep the quotients finite (Wang et al. 2004), for values in [0, 1]

SSIM_WINDOW = 7
"""Pixels along a side of SSIM's windows."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, the finest first (Wang et al. 2003, section 3.2)."""

_GAUSSIAN_WINDOW, _GAUSSIAN_SIGMA = 11, 1.5
SMALLEST_FOR_MS_SSIM = _GAUSSIAN_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
"""Pixels that a side must have for five scales."""


def psnr(generated: Image, truth: Image, region: Region | None = None) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio in dB, higher is better.

    Args:
        generated: (b, 3, h, w), sRGB in [0, 1].
        truth: as `generated`.
        region: the pixels that count; all by default.

    Returns:
        One number per picture: infinite for equal ones, NaN where the region is empty.

    Raises:
        GeometryError: If the sizes differ.
    """
    check_alike(generated, truth, region)
    return -10 * mean_over((generated.double() - truth.double()) ** 2, region).log10()


def ssim(generated: Image, truth: Image, region: Region | None = None) -> Float[Tensor, " b"]:
    """Structural similarity (Wang et al. 2004), at most 1, higher is better.

    Equals scikit-image's `structural_similarity` with its defaults (`channel_axis`, `data_range=1`): uniform windows
    of 7 x 7, sample covariance, the mean over channels and over all windows that lie wholly inside the picture. With a
    region, the mean over the windows whose centre is in it.

    Raises:
        GeometryError: If the sizes differ or a side is below 7.
    """
    check_alike(generated, truth, region)
    return ssim_over(ssim_map(generated, truth), region)


def ssim_map(generated: Image, truth: Image) -> Float[Tensor, "b 3 h-6 w-6"]:
    """The structural similarity of each window, by the pixel at its centre; 3 pixels at each border are no centres."""
    check_alike(generated, truth)
    if min(truth.shape[2:]) < SSIM_WINDOW:
        raise GeometryError(f"SSIM needs sides of at least {SSIM_WINDOW} pixels, got {tuple(truth.shape[2:])}")
    profile = torch.full((SSIM_WINDOW,), 1 / SSIM_WINDOW, dtype=torch.float64, device=truth.device)
    luminance, structure = similarity_of_windows(generated.double(), truth.double(), profile, sample=True)
    return luminance * structure


def ssim_over(similarity: Float[Tensor, "b 3 m n"], region: Region | None) -> Float[Tensor, " b"]:
    """SSIM over a region of the picture, from its `ssim_map`."""
    edge = SSIM_WINDOW // 2
    return mean_over(similarity, None if region is None else region[..., edge:-edge, edge:-edge])


def ms_ssim(generated: Image, truth: Image, region: Region | None = None) -> Float[Tensor, " b"]:
    """Multi-scale structural similarity (Wang et al. 2003), in [0, 1], higher is better.

    Five scales, each half the one before (mean of 2 x 2), Gaussian windows of 11 x 11 with sigma 1.5, the published
    weights; contrast and structure at each scale, luminance at the coarsest, negative means taken as 0; the mean over
    channels. With a region, a cell of a coarse scale counts by the share of it that lies in the region. Windows must
    lie inside the picture, which at the coarsest scale leaves out 80 pixels at each border: NaN if nothing of the
    region is left there.

    Raises:
        GeometryError: If the sizes differ or a side is below 176.
    """
    check_alike(generated, truth, region)
    return ms_ssim_over(ms_ssim_maps(generated, truth), region)


def ms_ssim_maps(generated: Image, truth: Image) -> list[Float[Tensor, "b 3 _ _"]]:
    """What is averaged at each scale, the finest first: contrast times structure, and luminance at the coarsest."""
    check_alike(generated, truth)
    if min(truth.shape[2:]) < SMALLEST_FOR_MS_SSIM:
        raise GeometryError(
            f"MS-SSIM needs sides of at least {SMALLEST_FOR_MS_SSIM} pixels, got {tuple(truth.shape[2:])}"
        )
    profile = gaussian_profile(truth.device)
    a, b = generated.double(), truth.double()
    scales = [(a, b)]
    for _ in MS_SSIM_WEIGHTS[1:]:
        a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
        scales.append((a, b))
    *finer, (luminance, structure) = (similarity_of_windows(a, b, profile, sample=False) for a, b in scales)
    return [*(structure for _, structure in finer), luminance * structure]


def ms_ssim_over(maps: list[Float[Tensor, "b 3 _ _"]], region: Region | None) -> Float[Tensor, " b"]:
    """MS-SSIM over a region, from `ms_ssim_maps`."""
    edge = _GAUSSIAN_WINDOW // 2
    weight = None if region is None else region.double()
    product = torch.ones((), dtype=torch.float64)
    for similarity, exponent in zip(maps, MS_SSIM_WEIGHTS, strict=True):
        if weight is None:
            mean = similarity.mean(dim=(2, 3))
        else:
            mean = weighted_mean(similarity, weight[..., edge:-edge, edge:-edge])
            weight = functional.avg_pool2d(weight, 2)
        product = product * mean.clamp(min=0) ** exponent
    return product.mean(dim=1)


def gaussian_profile(device: torch.device) -> Float[Tensor, " 11"]:
    """Weights of the rows, and of the columns, of a window of 11 x 11 with sigma 1.5 (Wang et al. 2004)."""
    offset = torch.arange(_GAUSSIAN_WINDOW, dtype=torch.float64, device=device) - _GAUSSIAN_WINDOW // 2
    return (-(offset**2) / (2 * _GAUSSIAN_SIGMA**2)).softmax(dim=0)


def similarity_of_windows(
    a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"], profile: Float[Tensor, " k"], *, sample: bool
) -> tuple[Float[Tensor, "b c m n"], Float[Tensor, "b c m n"]]:
    """Luminance, and contrast times structure, of all windows inside; with `sample` variances are over n - 1."""
    mean_a, mean_b, mean_squares, mean_ab = (_window_means(f, profile) for f in (a, b, a**2 + b**2, a * b))
    cells = len(profile) ** 2
    unbiased = cells / (cells - 1) if sample else 1.0
    variances = unbiased * (mean_squares - mean_a**2 - mean_b**2)
    covariance = unbiased * (mean_ab - mean_a * mean_b)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return luminance, (2 * covariance + _C2) / (variances + _C2)


def _window_means(field: Float[Tensor, "b c h w"], profile: Float[Tensor, " k"]) -> Float[Tensor, "b c m n"]:
    """The mean over each square window, weighted by the product of `profile` with itself."""
    # Sums of shifted views: in float64 several times faster than conv2d.
    for axis in (3, 2):
        count = field.shape[axis] - len(profile) + 1
        first, *others = (field.narrow(axis, start, count) for start in range(len(profile)))
        field = first * profile[0]
        for view, weight in zip(others, profile[1:].tolist(), strict=True):
            field.add_(view, alpha=weight)
    return field
