"""Maps as their publishers distribute them mean what the pictures show."""

import os
from pathlib import Path

import pytest
import torch

from stereodiffusion.formats import Unknown, disparity_from_map, read_image, read_map

DATA = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[4] / "shared" / "data"))
KITTI = "kitti/2015/training"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"left out: no stereo photographs at {DATA} (set STEREO_DATA to where they are)"
)


@pytest.mark.parametrize(
    ("left", "right", "stored", "scale", "unknown"),
    [
        ("middlebury/2001/venus/im2.png", "im6.png", "disp2.png", 8.0, "zero"),
        ("middlebury/2003/Cones/im2.png", "im6.png", "disp2.png", 4.0, "zero"),
        ("middlebury/2005/Art/view1.png", "view5.png", "disp1.png", 3.0, "zero"),
        ("middlebury/2014/Motorcycle/im0.png", "im1.png", "disp0.pfm", None, "nonfinite"),
        (f"{KITTI}/image_2/000046_10.png", "../image_3/000046_10.png", "../disp_occ_0/000046_10.png", 256.0, "zero"),
    ],
)
def test_the_right_eye_shows_the_same_point_d_columns_further_left(
    left: str, right: str, stored: str, scale: float | None, unknown: Unknown
) -> None:
    folder = (DATA / left).parent
    seen_left, seen_right = read_image(DATA / left)[0], read_image(folder / right)[0]
    disparity = disparity_from_map(read_map(folder / stored), "disparity-px", scale=scale, unknown=unknown)
    rows, columns = disparity.known[0, 0].nonzero()[::7].T  # some are enough
    d = disparity.pixels[0, 0, rows, columns]

    def difference(of: float) -> float:
        reached = (columns - (of * d).round().long()).clamp(0, seen_right.shape[-1] - 1)
        return float((seen_right[:, rows, reached] - seen_left[:, rows, columns]).abs().mean(dim=0).median())

    assert difference(1) < 0.9 * min(difference(k) for k in (-1, 0, 0.5, 0.9, 1.1, 2))
    assert torch.equal(disparity.pixels[~disparity.known], torch.zeros(int((~disparity.known).sum())))
