"""All metrics that need no weights, of one generated view: numbers by name, NaN where there is nothing to measure."""

import math
from collections.abc import Mapping

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics.accuracy import end_point_error, known_rate, outlier_rate
from stereodiffusion.metrics.comfort import parallax_percentile, window_violation
from stereodiffusion.metrics.image import (
    SMALLEST_FOR_MS_SSIM,
    ms_ssim_maps,
    ms_ssim_over,
    psnr,
    ssim_map,
    ssim_over,
)
from stereodiffusion.metrics.matching import Matcher, SemiGlobalMatcher, match_pair, matchable
from stereodiffusion.metrics.region import check_alike, named_regions
from stereodiffusion.metrics.rivalry import colour_mismatch, sharpness_mismatch, vertical_disparity
from stereodiffusion.metrics.shared import shared_view
from stereodiffusion.metrics.siou import siou
from stereodiffusion.types import Image, Region

_PERCENTILES = (1, 50, 99)

MATCHED = (
    *("epe", "d1", "bad_1", "bad_2", "bad_4", "lr_consistency"),
    *(f"parallax_p{percent}" for percent in _PERCENTILES),
    "window_violation",
)
"""The numbers that depend on what measures disparity."""


def evaluate_images(
    generated: Image, truth: Image, visible: Region | None = None, further: Mapping[str, Region] | None = None
) -> dict[str, float]:
    """How close a right view is to the true one.

    Args:
        generated: (1, 3, h, w), sRGB in [0, 1].
        truth: the right view as it should be.
        visible: the pixels of the right view that the left eye sees as well.
        further: more regions of the right view, by name.

    Returns:
        `psnr`, `ssim` and `ms_ssim` over all pixels, and with `visible` also each with `_visible` and `_occluded`
        after its name, with further regions each with `_` and their name. `ms_ssim` is NaN for sides below 176.

    Raises:
        GeometryError: If the sizes differ, there is more than one picture, or a side is below 7.
    """
    _check_single(generated, truth)
    similarity = ssim_map(generated, truth)
    scales = ms_ssim_maps(generated, truth) if min(truth.shape[2:]) >= SMALLEST_FOR_MS_SSIM else None
    numbers: dict[str, float] = {}
    for suffix, region in named_regions(visible, further).items():
        numbers[f"psnr{suffix}"] = float(psnr(generated, truth, region))
        numbers[f"ssim{suffix}"] = float(ssim_over(similarity, region))
        numbers[f"ms_ssim{suffix}"] = math.nan if scales is None else float(ms_ssim_over(scales, region))
    return numbers


def evaluate_pair(
    left: Image,
    generated: Image,
    disparity: Disparity,
    occlusion: Region | None = None,
    *,
    truth: Image | None = None,
    matcher: Matcher | None = None,
) -> dict[str, float]:
    """How good a right view is as the other eye of a left one.

    Args:
        left: (1, 3, h, w), sRGB in [0, 1].
        generated: the right view.
        disparity: the one that was asked for, of the left view; may be sparse.
        occlusion: the pixels of the right view that the left eye does not see, where the caller knows them.
        truth: the right view as it should be, which `siou` needs.
        matcher: what measures disparity, `SemiGlobalMatcher` by default.

    Returns:
        `siou`, NaN without truth; `vertical_disparity` in pixels; `colour_mismatch` in delta E; `sharpness_mismatch`
        in octaves; and what `evaluate_matching` returns.

    Raises:
        GeometryError: If the sizes differ or there is more than one picture.
    """
    _check_single(generated, left)
    shared = shared_view(disparity, occlusion)
    return {
        "siou": math.nan if truth is None else float(siou(left, generated, truth)),
        **evaluate_matching(left, generated, disparity, occlusion, matcher=matcher or SemiGlobalMatcher()),
        "vertical_disparity": float(vertical_disparity(left, generated)),
        "colour_mismatch": float(colour_mismatch(left, generated, shared)),
        "sharpness_mismatch": float(sharpness_mismatch(left, generated, shared)),
    }


def evaluate_matching(
    left: Image, generated: Image, disparity: Disparity, occlusion: Region | None = None, *, matcher: Matcher
) -> dict[str, float]:
    """What a matcher measures on a pair.

    Disparity counts where both eyes' agree within a pixel. What both should see is told by the requested disparity;
    of that, flat areas are left out where disparities are compared (see `matchable`). Arguments as `evaluate_pair`.

    Returns:
        By the names of `MATCHED`: `epe` in pixels; `d1`, `bad_1`, `bad_2`, `bad_4` and `lr_consistency`, fractions of
        what both should see; `parallax_p1`, `parallax_p50`, `parallax_p99` in percent of the width;
        `window_violation`, a fraction.

    Raises:
        GeometryError: If the sizes differ or there is more than one picture.
    """
    _check_single(generated, left)
    matched = match_pair(left, generated, matcher)
    measured = matched.consistent()
    compared = shared_view(disparity, occlusion).left & matchable(left)
    numbers = (
        end_point_error(measured, disparity, compared),
        outlier_rate(measured, disparity, compared, over_px=3, over_share=0.05),
        *(outlier_rate(measured, disparity, compared, over_px=n) for n in (1, 2, 4)),
        known_rate(measured, compared),
        *(parallax_percentile(measured, percent) for percent in _PERCENTILES),
        window_violation(matched),
    )
    return {name: float(value) for name, value in zip(MATCHED, numbers, strict=True)}


def _check_single(generated: Image, other: Image) -> None:
    check_alike(generated, other)
    if len(generated) != 1:
        raise GeometryError(f"one picture at a time is evaluated, got {len(generated)}")
