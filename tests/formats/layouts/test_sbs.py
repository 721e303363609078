import pytest
import torch
from torch import Tensor

from stereodiffusion.formats import cross_eyed, side_by_side, top_bottom


def test_full_frames_hold_both_eyes(eyes: tuple[Tensor, Tensor]) -> None:
    left, right = eyes
    beside = side_by_side(left, right)
    assert torch.equal(beside[..., :31], left)
    assert torch.equal(beside[..., 31:], right)
    above = top_bottom(left, right)
    assert torch.equal(above[..., :24, :], left)
    assert torch.equal(above[..., 24:, :], right)


def test_cross_eyed_is_side_by_side_of_the_exchanged_eyes(eyes: tuple[Tensor, Tensor]) -> None:
    left, right = eyes
    assert torch.equal(cross_eyed(left, right), side_by_side(right, left))


@pytest.mark.parametrize(("width", "frame"), [(30, 30), (31, 32), (1, 2)])
def test_half_frames_are_one_eye_wide(eyes: tuple[Tensor, Tensor], width: int, frame: int) -> None:
    left, right = (eye[..., :width] for eye in eyes)
    assert tuple(side_by_side(left, right, "half").shape) == (1, 3, 24, frame)
    turned = [eye.mT for eye in (left, right)]
    assert tuple(top_bottom(turned[0], turned[1], "half").shape) == (1, 3, frame, 24)


def test_squeezing_keeps_colours_and_range(eyes: tuple[Tensor, Tensor]) -> None:
    flat = torch.full((2, 3, 8, 10), 0.3)
    assert torch.allclose(side_by_side(flat, flat, "half"), flat)
    assert torch.allclose(top_bottom(flat, flat, "half"), flat)
    noise = (torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    squeezed = side_by_side(noise, noise, "half")
    assert squeezed.min() >= 0
    assert squeezed.max() <= 1
    left, _ = eyes
    squeezed = side_by_side(left, left, "half")[..., :16]
    assert (squeezed.mean() - left.mean()).abs() < 0.01
