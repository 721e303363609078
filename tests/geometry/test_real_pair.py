"""The sign convention, held against photographs: Middlebury pairs with measured disparity."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stereodiffusion.geometry import Disparity, splat, warp_disparity
from stereodiffusion.occlusion import snap_to_edges
from stereodiffusion.occlusion.strands import attach_strands

DATA = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "middlebury"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"left out: no stereo photographs at {DATA} (set STEREO_DATA to where they are)"
)

SCENES = {
    "2006/Aloe": ("view1.png", "view5.png", "disp1.png", "disp5.png", 3),
    "2003/Teddy": ("im2.png", "im6.png", "disp2.png", "disp6.png", 4),
}


def read(path: Path) -> Tensor:
    with Image.open(path) as picture:
        values = torch.from_numpy(np.array(picture, dtype=np.float32))
    return values.reshape(*values.shape[:2], -1).permute(2, 0, 1)[None]


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Disparity, Disparity]:
    left, right, disparity_left, disparity_right, unit = SCENES[request.param]
    folder = DATA / request.param
    maps = [read(folder / name) / unit for name in (disparity_left, disparity_right)]
    return (
        read(folder / left) / 255,
        read(folder / right) / 255,
        Disparity.from_pixels(maps[0], known=maps[0] > 0),
        Disparity.from_pixels(maps[1], known=maps[1] > 0),
    )


def psnr(a: Tensor, b: Tensor, visible: Tensor) -> float:
    return float(-10 * ((a - b) ** 2)[visible.expand_as(a)].mean().log10())


def test_the_left_view_warped_by_its_disparity_is_the_right_view(
    scene: tuple[Tensor, Tensor, Disparity, Disparity],
) -> None:
    left, right, disparity, disparity_right = scene
    warped = splat(left, disparity)
    visible = ~warped.occlusion & disparity_right.known
    quality = psnr(warped.view, right, visible)
    assert quality > 25
    for wrong in (
        splat(left, disparity, to="left"),
        splat(left, disparity.scaled(0.5)),
        splat(left, disparity.scaled(1.5)),
        splat(left, disparity.scaled(0.0)),
    ):
        assert quality > psnr(wrong.view, right, ~wrong.occlusion) + 5
    assert quality >= psnr(splat(left, disparity, mode="paper").view, right, visible) - 0.5


def test_the_right_view_comes_back_the_other_way(scene: tuple[Tensor, Tensor, Disparity, Disparity]) -> None:
    left, right, _, disparity_right = scene
    warped = splat(right, disparity_right, to="left")
    assert psnr(warped.view, left, ~warped.occlusion) > 22


def test_the_disparity_of_the_right_eye_agrees_with_the_measured_one(
    scene: tuple[Tensor, Tensor, Disparity, Disparity],
) -> None:
    _, _, disparity, disparity_right = scene
    predicted = warp_disparity(disparity)
    both = predicted.known & disparity_right.known
    error = (predicted.pixels - disparity_right.pixels).abs()[both]
    assert float(error.median()) < 0.4
    assert float((error > 1).float().mean()) < 0.06


def test_nothing_is_taken_for_hair_where_there_is_none() -> None:
    """A wooden doll before a newspaper: its map is measured, and beyond some borders little of the paper is seen."""
    folder = DATA / "2006/Baby1"
    pixels = read(folder / "disp1.png") / 3
    picture = read(folder / "view1.png") / 255
    disparity = snap_to_edges(Disparity.from_pixels(pixels, known=pixels > 0).filled(), picture)
    assert torch.equal(attach_strands(disparity, picture).pixels, disparity.pixels)
