"""What the frame cuts goes on and hides."""

import torch
from torch.nn.functional import pad

from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.occlusion import hidden_beyond_frame


def test_a_near_thing_at_the_side_hides_what_is_behind_it() -> None:
    pixels = torch.full((4, 40), 2.0)
    pixels[:, 36:] = 10.0
    hidden = hidden_beyond_frame(Disparity.from_pixels(pixels))
    expected = torch.zeros((1, 1, 4, 40), dtype=torch.bool)
    expected[..., 30:] = True  # the thing itself is seen at 26 to 29, its continuation from there on
    assert torch.equal(hidden, expected)


def test_nothing_is_hidden_by_what_is_behind() -> None:
    pixels = torch.full((4, 40), 10.0)
    pixels[:, 36:] = 2.0
    disparity = Disparity.from_pixels(pixels)
    hidden = hidden_beyond_frame(disparity)
    assert not bool((hidden & splat(disparity.pixels, disparity).visible).any())


def test_to_the_left_eye_it_is_the_mirror_image() -> None:
    pixels = 8 * torch.rand((2, 1, 6, 30), generator=torch.Generator().manual_seed(0)).round()
    there = hidden_beyond_frame(Disparity.from_pixels(pixels.flip(-1)), to="left")
    assert torch.equal(there.flip(-1), hidden_beyond_frame(Disparity.from_pixels(pixels)))


def test_what_lies_behind_the_screen_comes_in_from_the_other_side() -> None:
    far = Disparity.from_pixels(torch.ones((2, 12))).converged_at(4.0)
    hidden = hidden_beyond_frame(far)
    assert torch.equal(hidden[0, 0, 0], torch.arange(12) < 3)


def test_of_a_wide_map_only_the_sides_count() -> None:
    """What the whole map gives, continued on both sides by more columns than anything moves."""
    steps = torch.randint(-7, 12, (5, 40), generator=torch.Generator().manual_seed(0))
    pixels = (steps + 0.25).repeat_interleave(6, dim=1)[None, None]
    further = pad(pixels, (12, 12, 0, 0), mode="replicate")
    outside = torch.ones_like(further)
    outside[..., 12:-12] = 0
    shown = splat(outside, Disparity(pixels=further, known=torch.ones_like(further, dtype=torch.bool)))
    hidden = hidden_beyond_frame(Disparity(pixels=pixels, known=torch.ones_like(pixels, dtype=torch.bool)))
    assert torch.equal(hidden, shown.view[..., 12:-12] > 0)
    assert bool(hidden[..., :12].any())
    assert bool(hidden[..., -12:].any())
    assert not bool(hidden[..., 12:-12].any())
