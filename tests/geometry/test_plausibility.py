"""What looks wrong with a parallax is said; of what is measured or drawn nothing is."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stereodiffusion.datasets.opening import open_dataset
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.plausibility import implausibilities

DATA = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[3] / "shared" / "data"))
HEIGHT, WIDTH = 60, 160


def relief() -> Tensor:
    """A floor and a box before it, in pixels."""
    pixels = torch.linspace(1, 3, HEIGHT)[:, None].expand(HEIGHT, WIDTH).clone()
    pixels[20:50, 50:100] = 7.0
    return pixels


def in_metres() -> Tensor:
    return 30 / relief()


def holes(share: float = 0.04) -> Tensor:
    return torch.rand((HEIGHT, WIDTH), generator=torch.Generator().manual_seed(0)) < share


def by_depth(depth_m: Tensor) -> Tensor:
    """Disparity of metres whose nearest point has 10 px, as for a camera that is not known."""
    return 10 * depth_m.min() / depth_m


def near_is_dark(values: Tensor) -> Tensor:
    return Disparity.from_relative(-values, 12.0).pixels[0, 0]


def at(where: Tensor, value: float, pixels: Tensor) -> Tensor:
    return torch.where(where, value, pixels)


one_cell = torch.zeros((HEIGHT, WIDTH), dtype=torch.bool)
one_cell[5, 7] = True
sky = torch.zeros((HEIGHT, WIDTH), dtype=torch.bool)
sky[:12] = True

WRONG = {
    "no data at -9999 px": (at(holes(), -9999.0, relief()), "6249% of the picture's width"),
    "metres, by mistake tenfold": (10 * relief(), "44% of the picture's width"),
    "holes of a matcher at -1": (at(holes(), -1.0, relief()), "does it stand for unknown"),
    "zeros for holes, nearest": (near_is_dark(at(holes(), 0.0, in_metres())), "does it stand for unknown"),
    "a sky at 1e10": (near_is_dark(at(sky, 1e10, in_metres())), "80% of the map lies within 1% of its range"),
    "a stray nearest cell in metres": (
        by_depth(at(one_cell, 1e-3, in_metres())),
        "all but the nearest 2% of the map or less",
    ),
    "a stray farthest cell": (
        near_is_dark(at(one_cell, 1e4, in_metres())),
        "all but the farthest 2% of the map or less",
    ),
    "all white": (Disparity.from_relative(torch.ones(HEIGHT, WIDTH), 9.0).pixels[0, 0], "both eyes see the same"),
    "a wall": (torch.full((HEIGHT, WIDTH), 3.0), "one depth (3 px)"),
}


@pytest.mark.parametrize(("pixels", "said"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_said_in_one_line(pixels: Tensor, said: str) -> None:
    known = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    lines = implausibilities(Disparity(pixels=pixels[None, None], known=known))
    assert any(said in line for line in lines), lines
    assert all(line and "\n" not in line for line in lines)
    batch = Disparity(pixels=torch.stack([relief(), pixels])[:, None], known=known.expand(2, -1, -1, -1))
    assert implausibilities(batch) == lines


def test_what_is_unknown_does_not_count_but_may_be_too_much() -> None:
    stray = at(holes(), -9999.0, relief())
    assert implausibilities(Disparity.from_pixels(stray, known=stray > 0)) == []
    (line,) = implausibilities(Disparity.from_pixels(relief(), known=holes(0.05)))
    assert "95% of the map is unknown" in line
    assert implausibilities(Disparity.from_pixels(relief(), known=torch.zeros(HEIGHT, WIDTH, dtype=torch.bool))) == [
        "no cell of the map is known"
    ]


SOUND = {
    "as it is": relief(),
    "with the screen in the scene": relief() - 2.5,
    "metres": by_depth(in_metres()),
    "a balloon in the sky": at(sky, 6.0, torch.linspace(0, 0.05, WIDTH).expand(HEIGHT, WIDTH)),
    "a slope": torch.linspace(0, 1, WIDTH).expand(HEIGHT, WIDTH),
}


@pytest.mark.parametrize("pixels", SOUND.values(), ids=list(SOUND))
def test_what_is_sound_passes(pixels: Tensor) -> None:
    known = torch.ones(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    assert implausibilities(Disparity(pixels=pixels[None, None], known=known)) == []


def test_drawn_scenes_pass() -> None:
    scenes = open_dataset("scenes", count=12, size=(96, 128))
    for name in scenes.scenes:
        drawn = scenes.read(name).disparity
        assert drawn is not None
        assert implausibilities(drawn) == [], name


@pytest.mark.skipif(not DATA.is_dir(), reason=f"left out: no data at {DATA} (set STEREO_DATA to where they are)")
@pytest.mark.parametrize("folder", ["middlebury", "kitti/2012", "kitti/2015"])
def test_measured_maps_pass(folder: str) -> None:
    measured = open_dataset("auto", DATA / folder)
    for name in measured.scenes:
        for disparity in (measured.read(name).disparity, measured.read(name).right_disparity):
            assert disparity is None or implausibilities(disparity) == [], name
