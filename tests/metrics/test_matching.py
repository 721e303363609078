"""Measured disparity: exact shifts are found, of either sign, and what cannot be measured is not made up."""

import pytest
import torch
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.metrics import MatchedPair, SemiGlobalMatcher, match_pair
from stereodiffusion.metrics.matching import matchable


def texture(height: int = 64, width: int = 160, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 2, width // 2, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("shift", [-12, 0, 5, 24])
def test_a_shift_is_measured_with_its_sign(shift: int) -> None:
    left = texture()
    measured = SemiGlobalMatcher()(left, left.roll(-shift, dims=-1))
    inside = slice(abs(shift), -abs(shift) or None)
    right_ones = (measured.pixels - shift).abs()[..., inside] <= 0.25
    assert float(right_ones.float().mean()) > 0.97


def test_reach_is_a_fraction_of_the_width() -> None:
    left = texture()
    shifted = left.roll(-60, dims=-1)
    beyond, within = SemiGlobalMatcher(reach=0.1)(left, shifted), SemiGlobalMatcher(reach=0.5)(left, shifted)
    assert float(beyond.pixels.abs().max()) <= 16
    assert float(within.pixels[..., 60:].median()) == 60


@pytest.mark.parametrize("reach", [0.0, 1.5, -1.0])
def test_impossible_reach_is_refused(reach: float) -> None:
    with pytest.raises(GeometryError, match="fraction of the width"):
        SemiGlobalMatcher(reach=reach)


def test_flat_views_have_no_disparity() -> None:
    grey = torch.full((1, 3, 64, 160), 0.5)
    assert not bool(SemiGlobalMatcher()(grey, grey).known.any())
    assert not bool(matchable(grey).any())
    assert bool(matchable(texture()).float().mean() > 0.99)


def test_matchable_is_near_steps_along_the_row_alone() -> None:
    view = torch.full((1, 3, 20, 40), 0.5)
    view[..., 20:] = 0.6  # a step from column 19 to 20
    view[..., 12:, :] += 0.2  # and one along the columns
    columns = torch.arange(40)
    expected = (columns >= 16) & (columns <= 22)
    assert torch.equal(matchable(view), expected.expand(1, 1, 20, 40))


def test_both_eyes_are_measured_and_agree() -> None:
    left = texture()
    matched = match_pair(left, left.roll(-8, dims=-1), SemiGlobalMatcher())
    assert float(matched.left.pixels.median()) == float(matched.right.pixels.median()) == 8
    consistent = matched.consistent()
    assert float(consistent.known[..., 8:].float().mean()) > 0.97
    assert torch.equal(consistent.pixels[consistent.known], matched.left.pixels[consistent.known])


def test_a_batch_is_its_pictures() -> None:
    left = torch.cat([texture(seed=1), texture(seed=2)])
    right = torch.cat([left[:1].roll(-4, dims=-1), left[1:].roll(-9, dims=-1)])
    together = SemiGlobalMatcher()(left, right)
    for i in range(2):
        alone = SemiGlobalMatcher()(left[i : i + 1], right[i : i + 1])
        assert torch.equal(together.pixels[i : i + 1], alone.pixels)


def test_consistency_is_checked_at_the_landing_place() -> None:
    def one_row(values: list[float], known: list[bool]) -> Disparity:
        return Disparity(pixels=torch.tensor([[[values]]], dtype=torch.float32), known=torch.tensor([[[known]]]))

    yes, no = True, False
    left = one_row([-1, 0, 2, 2, 1, 5, 0, 0], [yes, yes, yes, yes, yes, yes, no, yes])
    right = one_row([2, 2.5, 0, 9, 0, 0, 0, 0], [yes, yes, no, yes, yes, yes, yes, yes])
    # lands on          1     1    0    1    3    0         7
    expected = [no, no, yes, yes, no, no, no, yes]
    consistent = MatchedPair(left=left, right=right).consistent()
    assert consistent.known.flatten().tolist() == expected


def test_any_callable_is_a_matcher() -> None:
    def always_three(left: Tensor, right: Tensor) -> Disparity:
        return Disparity.from_pixels(torch.full_like(left[:, :1], 3.0))

    matched = match_pair(texture(), texture(), always_three)
    assert float(matched.consistent().known.float().mean()) == pytest.approx(157 / 160)
