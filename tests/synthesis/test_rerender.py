"""A pair drawn again with other parallax: laws of moved surfaces, and what was recorded comes back."""

import pytest
import torch

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.curve import along_curve
from stereodiffusion.pair import StereoPair
from stereodiffusion.settings import Warp
from stereodiffusion.synthesis.compose import known_view
from stereodiffusion.synthesis.rerender import Relief, Rerender, mirrored

HEIGHT, WIDTH = 12, 80


def picture(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def recorded(pixels: torch.Tensor, convergence: float = 0.0) -> Rerender:
    """A pair as the method gives it with own pixels, with something of its own in the occlusions."""
    left, disparity = picture(), Disparity.from_pixels(pixels.expand(1, 1, HEIGHT, WIDTH).contiguous())
    disparity = disparity.converged_at(convergence * WIDTH)
    known = known_view(left, disparity, Warp())
    right = torch.where(known.visible, known.view, picture(1))
    pair = StereoPair(left=left, right=right, disparity=disparity, occlusion=~known.visible)
    return Rerender(pair=pair, made=Relief(strength=float(pixels.max()) / WIDTH, convergence=convergence))


def relief(strength: float, convergence: float, curve: tuple[float, ...] = (0.0, 1.0)) -> Relief:
    return Relief(strength=strength, convergence=convergence, curve=curve)


def step(behind: float, front: float) -> torch.Tensor:
    """Something in front between columns 30 and 50."""
    pixels = torch.full((WIDTH,), float(behind))
    pixels[30:50] = front
    return pixels


def test_its_own_parallax_gives_the_pair_itself() -> None:
    live = recorded(step(2, 8), convergence=0.02)
    assert live.at(live.made) is live.pair


def test_without_strength_the_right_eye_sees_what_the_left_sees() -> None:
    live = recorded(step(2, 8))
    again = live.at(relief(0.0, 0.0))
    assert torch.equal(again.right, again.left)
    assert not again.occlusion.any()


def test_a_plane_is_shifted_exactly() -> None:
    live = recorded(torch.full((WIDTH,), 4.0))
    again = live.at(relief(0.1, 0.0))  # 8 pixels
    assert torch.equal(again.right[..., :-8], again.left[..., 8:])
    assert torch.equal(again.occlusion[0, 0, 0], torch.arange(WIDTH) >= WIDTH - 8)


def test_the_plane_of_convergence_does_not_move() -> None:
    live = recorded(torch.full((WIDTH,), 4.0))
    assert torch.equal(live.at(relief(0.05, 0.05)).right, live.pair.left)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    left = recorded(torch.full((WIDTH,), 4.0)).at(relief(4.5 / WIDTH, 0.0))
    expected = (left.left[..., 4:-1] + left.left[..., 5:]) / 2
    torch.testing.assert_close(left.right[..., : expected.shape[-1] - 1], expected[..., :-1])


@pytest.mark.parametrize("front", [6.0, 8.0, 12.0])
def test_what_is_seen_agrees_with_the_method_s_own_warp(front: float) -> None:
    live = recorded(step(2, 8))
    again = live.at(relief(front / WIDTH, 0.0))
    known = known_view(again.left, again.disparity, Warp())
    inside = known.visible & ~again.occlusion
    assert inside.float().mean() > 0.75
    borders = torch.nn.functional.max_pool2d((~known.visible).float(), (1, 3), 1, (0, 1)) > 0
    where = (inside & ~borders).expand_as(again.right)
    difference = (again.right - known.view).abs()[where]
    assert difference.median() < 1e-5
    assert (difference > 0.02).float().mean() < 0.05  # where two surfaces meet within a pixel


def test_less_strength_shows_what_the_model_drew_behind() -> None:
    live = recorded(step(0, 8))
    again = live.at(relief(4 / WIDTH, 0.0))
    hidden = again.occlusion[0, 0, 0].nonzero().flatten()
    assert hidden.tolist() == [46, 47, 48, 49]  # of the eight columns, 42 to 49, that the model drew
    assert torch.equal(again.right[..., hidden], live.pair.right[..., hidden])


def test_deeper_than_recorded_the_background_is_mirrored() -> None:  # from two columns beside its border on
    live = recorded(step(0, 4))
    again = live.at(relief(8 / WIDTH, 0.0))
    assert again.occlusion[0, 0, 0].nonzero().flatten().tolist() == list(range(42, 50))
    assert torch.equal(again.right[..., 46:50], live.pair.right[..., 46:50])  # drawn by the model
    assert torch.equal(again.right[..., 42:46], live.pair.left[..., [59, 58, 57, 56]])


@pytest.mark.parametrize(("strength", "convergence"), [(-0.1, 0), (0.6, 0), (0.1, float("nan")), (0.1, -0.7)])
def test_parallax_out_of_range_is_refused(strength: float, convergence: float) -> None:
    with pytest.raises(GeometryError, match="must be a fraction of the width"):
        recorded(step(2, 8)).at(relief(strength, convergence))


def test_a_curve_moves_every_surface_as_the_method_does() -> None:
    pixels = torch.cat([torch.full((40,), 2.0), torch.full((20,), 5.0), torch.full((20,), 10.0)])
    curve = (0.0, 0.8, 1.0)
    given = Disparity.from_pixels(pixels.expand(1, 1, HEIGHT, WIDTH).contiguous())
    again = recorded(pixels).at(relief(10 / WIDTH, 0.0, curve))
    torch.testing.assert_close(again.disparity.pixels, along_curve(given, curve).pixels)


def test_a_curve_is_undone() -> None:
    pixels = torch.linspace(2, 9, WIDTH)
    given = Disparity.from_pixels(pixels.expand(1, 1, HEIGHT, WIDTH).contiguous())
    bent = recorded(along_curve(given, (0.0, 0.3, 0.4, 1.0)).pixels)
    live = Rerender(pair=bent.pair, made=relief(bent.made.strength, 0.0, (0.0, 0.3, 0.4, 1.0)))
    torch.testing.assert_close(live.at(relief(live.made.strength, 0.0)).disparity.pixels, given.pixels)
    level = Rerender(pair=bent.pair, made=relief(bent.made.strength, 0.0, (0.0, 0.5, 0.5, 1.0)))
    with pytest.raises(GeometryError, match="level piece cannot be undone"):
        level.at(relief(0.1, 0.0))


def test_in_a_mirror_the_source_on_the_right_is_one_on_the_left_and_back() -> None:
    live = recorded(step(2, 8))
    pair = mirrored(live.pair)
    assert torch.equal(pair.right, live.pair.left.flip(-1))
    assert torch.equal(pair.left, live.pair.right.flip(-1))
    back = mirrored(pair)
    assert torch.equal(back.left, live.pair.left)
    both = back.disparity.known
    assert both.float().mean() > 0.8
    torch.testing.assert_close(back.disparity.pixels[both], live.pair.disparity.pixels[both])
    assert torch.equal(back.occlusion, live.pair.occlusion)


def test_a_flat_pair_cannot_be_made_deeper() -> None:
    with pytest.raises(GeometryError, match="no relief"):
        recorded(torch.zeros(WIDTH)).at(relief(0.1, 0.0))
