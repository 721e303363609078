"""Photographs with measured disparity: who comes closest to the other eye's picture."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stereodiffusion.baselines.blank import leave_blank, warp
from stereodiffusion.baselines.classical import telea
from stereodiffusion.baselines.identity import identity
from stereodiffusion.baselines.ldi import photography_3d
from stereodiffusion.baselines.stretch import stretch
from stereodiffusion.datasets import open_middlebury

DATA = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "middlebury"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"left out: no stereo photographs at {DATA} (set STEREO_DATA to where they are)"
    ),
]


def psnr(a: Tensor, b: Tensor, region: Tensor) -> float:
    return float(-10 * ((a - b) ** 2)[region.expand_as(a)].mean().log10())


@pytest.mark.parametrize("scene", ["2006/Aloe", "2003/Teddy"])
def test_the_more_is_known_of_depth_the_better(scene: str) -> None:
    sample = open_middlebury(DATA).read(scene)
    assert sample.disparity is not None
    disparity = sample.disparity.filled()
    everything = torch.ones_like(disparity.known)
    views = [method(sample.left, disparity) for method in (leave_blank, identity, stretch, telea, photography_3d)]
    blank, same, stretched, inpainted, layered = (psnr(view, sample.right, everything) for view in views)
    assert blank < stretched
    assert same < stretched - 5
    assert stretched < inpainted < layered
    hidden = warp(sample.left, disparity, registration="subpixel").occlusion
    in_holes = [psnr(view, sample.right, hidden) for view in views]
    assert in_holes[-1] == max(in_holes)
