import pytest
import torch

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.layouts.rgbd import disparity_of, nearness
from stereodiffusion.geometry import Disparity


def test_the_nearest_is_white_and_the_unknown_lies_behind() -> None:
    known = torch.ones(3, 4, dtype=torch.bool)
    known[1, 1] = False
    pixels = torch.tensor([[2.0, 2, 2, 2], [6, 0, 3, 3], [4, 4, 4, 4]])
    depth, relief = nearness(Disparity.from_pixels(pixels, known))
    assert relief == (2, 6)
    assert depth[0, 0].tolist() == [[0, 0, 0, 0], [1, 0.25, 0.25, 0.25], [0.5, 0.5, 0.5, 0.5]]


def test_disparity_comes_back_negative_or_not() -> None:
    disparity = Disparity.from_pixels(torch.rand(5, 6) * 7).converged_at(3)
    assert torch.allclose(disparity_of(*nearness(disparity)).pixels, disparity.pixels, atol=1e-5)


def test_flat_scenes_are_black() -> None:
    depth, relief = nearness(Disparity.from_pixels(torch.full((2, 2), 3.0)))
    assert (float(depth.max()), relief) == (0, (3, 3))


def test_without_disparity() -> None:
    with pytest.raises(FormatError, match="needs the disparity of the left eye"):
        nearness(None)
