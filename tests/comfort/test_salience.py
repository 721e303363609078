"""The screen goes to what people look at: what stands out, in the middle, and near."""

import pytest
import torch

from stereodiffusion.comfort import looked_at
from stereodiffusion.comfort.salience import salience
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity


def scene(column: int) -> tuple[Disparity, torch.Tensor]:
    """A bright box of disparity 8 at a column, before a grey ramp of 0 to 4."""
    pixels = torch.linspace(0, 4, 96)[:, None].repeat(1, 128)
    picture = torch.full((1, 3, 96, 128), 0.4)
    pixels[30:66, column : column + 36] = 8
    picture[:, :, 30:66, column : column + 36] = torch.tensor([0.9, 0.3, 0.2]).view(3, 1, 1)
    return Disparity.from_pixels(pixels), picture


def test_a_box_in_the_middle_is_looked_at() -> None:
    disparity, picture = scene(46)
    assert looked_at(disparity, picture) == 8
    assert float(disparity.percentile(50)) < 3  # the middle of the map is not


def test_a_box_at_the_side_is_looked_at_less_than_in_the_middle() -> None:
    (middle, seen), (side, aside) = scene(46), scene(0)
    box = middle.pixels == 8, side.pixels == 8
    share = [
        float(weights[of].sum() / weights.sum())
        for weights, of in zip((salience(middle, seen), salience(side, aside)), box, strict=True)
    ]
    assert share[0] > share[1] + 0.05


def test_what_stands_out_is_looked_at_more() -> None:
    disparity, picture = scene(46)
    plain = torch.full_like(picture, 0.4)
    box = disparity.pixels == 8
    share = [
        float(weights[box].sum() / weights.sum()) for weights in (salience(disparity, p) for p in (picture, plain))
    ]
    assert share[0] > share[1]


def test_half_of_what_is_looked_at_lies_before_the_screen() -> None:
    disparity, picture = scene(10)
    at, weights = looked_at(disparity, picture), salience(disparity, picture)
    assert float(weights[disparity.pixels < at].sum()) <= float(weights.sum()) / 2
    assert float(weights[disparity.pixels <= at].sum()) >= float(weights.sum()) / 2


def test_without_a_picture_place_and_nearness_decide() -> None:
    disparity, _ = scene(46)
    assert looked_at(disparity) == 8
    assert looked_at(disparity) == looked_at(disparity, torch.full((1, 3, 96, 128), 0.5))  # nothing stands out


def test_one_picture_at_a_time() -> None:
    disparity, picture = scene(46)
    several = Disparity(pixels=disparity.pixels.repeat(2, 1, 1, 1), known=disparity.known.repeat(2, 1, 1, 1))
    with pytest.raises(GeometryError, match="one map of which something is known"):
        looked_at(several)
    with pytest.raises(GeometryError, match="its disparity"):
        looked_at(disparity, picture[..., :-1])
