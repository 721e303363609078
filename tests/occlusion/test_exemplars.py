"""Texture for occlusions comes from the picture, where it may, and goes nowhere else."""

import pytest
import torch
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, splat, warp_disparity
from stereodiffusion.occlusion import extend_background
from stereodiffusion.occlusion.exemplars import texture_from_exemplars


def noise(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed))


def with_margin(picture: Tensor, columns: int) -> Disparity:
    """One surface, of which the last columns are not known."""
    known = torch.ones_like(picture[:, :1], dtype=torch.bool)
    known[..., -columns:] = False
    return Disparity(pixels=torch.ones_like(picture[:, :1]) * known, known=known)


def textured(view: Tensor, seen: Disparity) -> Tensor:
    return texture_from_exemplars(extend_background(view, seen), seen)


def box_before_wall() -> tuple[Tensor, Disparity]:
    """A red box, 12 columns nearer than a wall of green and blue noise; moved to the right eye."""
    picture = 0.4 + 0.2 * noise(1, 3, 64, 96)
    picture[:, 0] = 0
    pixels = torch.full((64, 96), 2.0)
    picture[..., 16:48, 40:72] = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    pixels[16:48, 40:72] = 14.0
    disparity = Disparity.from_pixels(pixels)
    return splat(picture, disparity).view, warp_disparity(disparity)


def test_a_pattern_that_repeats_goes_on_beyond_the_frame() -> None:
    pattern = noise(1, 3, 12, 16).repeat(1, 1, 8, 8)
    seen = with_margin(pattern, 28)
    smooth = extend_background(pattern, seen)
    assert float((smooth - pattern).abs().max()) > 0.3
    torch.testing.assert_close(texture_from_exemplars(smooth, seen), pattern, rtol=0, atol=1e-3)


def test_what_is_known_stays_bit_for_bit_and_what_is_plain_stays_plain() -> None:
    view, seen = box_before_wall()
    filled = extend_background(view, seen)
    assert torch.equal(texture_from_exemplars(filled, seen).masked_select(seen.known), view.masked_select(seen.known))
    grey = torch.full((1, 3, 64, 96), 0.4)
    torch.testing.assert_close(textured(grey, with_margin(grey, 24)), grey, rtol=0, atol=1e-6)


def test_behind_a_box_there_is_the_grain_of_the_wall_and_nothing_of_the_box() -> None:
    view, seen = box_before_wall()
    hidden = ~seen.known
    smooth = extend_background(view, seen)
    sharp = texture_from_exemplars(smooth, seen)
    assert float(sharp[:, :1][hidden].max()) < 1e-5

    amid = ~torch.nn.functional.max_pool2d(seen.known.float(), (1, 7), stride=1, padding=(0, 3)).bool()

    def grain(picture: Tensor) -> float:
        steps = picture[:, 1:].diff(dim=2)
        return float(steps[(amid[:, :, 1:] & amid[:, :, :-1]).expand_as(steps)].std())

    of_the_wall = float(view[:, 1:, :14].diff(dim=2).std())
    assert grain(smooth) < 0.35 * of_the_wall
    assert 0.5 * of_the_wall < grain(sharp) < of_the_wall


def test_texture_fades_in_from_what_is_known_and_leaves_narrow_gaps_alone() -> None:
    view = noise(1, 3, 48, 120, seed=2)
    known = torch.ones(1, 1, 48, 120, dtype=torch.bool)
    known[..., 40:44], known[..., 80:] = False, False  # four columns of a surface, and all beyond a line
    seen = Disparity(pixels=torch.ones(1, 1, 48, 120) * known, known=known)
    smooth = extend_background(view, seen)
    change = (texture_from_exemplars(smooth, seen) - smooth).square().mean(dim=(0, 1, 2)).sqrt()
    assert float(change[40:44].max()) < 1e-3
    assert float(change[80]) < 0.4 * float(change[84:100].mean())
    assert float(change[84:100].min()) > 0.02


def test_pictures_of_a_batch_have_nothing_to_do_with_each_other() -> None:
    views = noise(2, 3, 40, 72, seed=1)
    seen = with_margin(views, 20)
    both = textured(views, seen)
    for number in range(2):
        one = slice(number, number + 1)
        alone = textured(views[one], Disparity(pixels=seen.pixels[one], known=seen.known[one]))
        assert torch.equal(alone, both[one])


@pytest.mark.parametrize("size", [(7, 60), (60, 7), (40, 40)])
def test_without_an_exemplar_the_filling_stays_as_it_is(size: tuple[int, int]) -> None:
    """In pictures smaller than a patch, and where less than a patch is known."""
    filled = noise(1, 3, *size)
    seen = with_margin(filled, size[1] - 6)
    assert torch.equal(texture_from_exemplars(filled, seen), filled)


def test_another_size_is_refused() -> None:
    seen = with_margin(torch.zeros(1, 1, 8, 8), 2)
    with pytest.raises(GeometryError, match=r"expected a view \(1, 3, 8, 8\) like its disparity, got \(1, 3, 8, 9\)"):
        texture_from_exemplars(torch.zeros(1, 3, 8, 9), seen)
