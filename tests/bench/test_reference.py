"""The classical methods on real pairs against numbers that were computed independently.

19 Middlebury scenes of 2001 to 2014 at 512 x 512, true disparity in true pixels: means of PSNR in dB and of SSIM.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import pytest

from stereodiffusion.bench.methods import METHODS
from stereodiffusion.bench.protocols import CaseKind, Preparation, prepare
from stereodiffusion.bench.tools import Tools
from stereodiffusion.datasets import open_dataset
from stereodiffusion.metrics import psnr, ssim
from stereodiffusion.types import Image, Map

DATA = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "middlebury"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"left out: no stereo photographs at {DATA} (set STEREO_DATA to where they are)"
    ),
]

REFERENCE = {"identity": (14.83, 0.388), "blank": (14.38, 0.642), "stretch": (24.84, 0.858), "telea": (25.0, 0.866)}
VISIBLE = 30.15
SCENES = 19


def no_estimate(picture: Image) -> Map:
    raise AssertionError("the truth is given")


@pytest.fixture(scope="module")
def means() -> Mapping[str, tuple[float, float, float]]:
    """PSNR, SSIM and PSNR of the visible pixels, by method."""
    dataset, kind = open_dataset("middlebury", DATA), CaseKind(protocol="metric", disparity="truth")
    scenes = [name for name in dataset.scenes if not name.startswith("2021")]  # of these the truth is not here
    if len(scenes) != SCENES:
        pytest.skip(f"left out: the numbers are of {SCENES} scenes, {len(scenes)} are there")
    found: dict[str, list[tuple[float, float, float]]] = {method: [] for method in REFERENCE}
    for name in scenes:
        case = prepare(dataset.read(name), kind, Preparation(), no_estimate)
        for method, numbers in found.items():
            made = METHODS[method](Tools())(case.left, case.disparity)
            visible = psnr(made, case.right, case.visible)
            numbers.append((float(psnr(made, case.right)), float(ssim(made, case.right)), float(visible)))
    columns = {method: tuple(zip(*numbers, strict=True)) for method, numbers in found.items()}
    return {method: (fmean(a), fmean(b), fmean(c)) for method, (a, b, c) in columns.items()}


@pytest.mark.parametrize("method", REFERENCE)
def test_means_agree(method: str, means: Mapping[str, tuple[float, float, float]]) -> None:
    decibels, similarity, _ = means[method]
    assert decibels == pytest.approx(REFERENCE[method][0], abs=0.3)
    assert similarity == pytest.approx(REFERENCE[method][1], abs=0.01)


def test_visible_pixels_agree(means: Mapping[str, tuple[float, float, float]]) -> None:
    assert means["stretch"][2] == pytest.approx(VISIBLE, abs=0.3)
