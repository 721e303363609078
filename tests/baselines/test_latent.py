"""Holes filled in latent space: what is kept, and what has no influence."""

from collections.abc import Callable, Iterator

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from stereodiffusion.baselines.latent_blanking import BLANKING, latent_blanking
from stereodiffusion.baselines.latent_inpainting import inpaint, visible_cells
from stereodiffusion.diffusion.denoise import Conditioning, Step
from stereodiffusion.errors import ConfigError, GeometryError
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.settings import Settings
from stereodiffusion.types import Latent, Region

REFUSED = (GeometryError, TypeCheckError)  # the latter where the declared shapes are checked at run time
SHORT = BLANKING.changed({"sampling.steps": 5})


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def block(height: int, width: int, rows: slice, columns: slice) -> Tensor:
    """Everything visible but a block."""
    visible = torch.ones(1, 1, height, width, dtype=torch.bool)
    visible[..., rows, columns] = False
    return visible


def grey(latents: Latent, visible: Region) -> Iterator[Step]:
    """Zeros, the middle of the latent space, whatever is known."""
    yield Step(index=0, timestep=0, latents=torch.zeros_like(latents), evaluations=0)


def seen_by(seen: list[tuple[Latent, Region]]) -> Callable[[Latent, Region], Iterator[Step]]:
    def fill(latents: Latent, visible: Region) -> Iterator[Step]:
        seen.append((latents, visible))
        yield from grey(latents, visible)

    return fill


@pytest.mark.parametrize("size", [(64, 64), (48, 72)])
def test_only_the_holes_come_from_the_model(size: tuple[int, int], backbone: StableDiffusion) -> None:
    picture = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    visible = block(64, 64, slice(10, 30), slice(20, 27))
    filled = inpaint(backbone, picture, visible, size, grey)
    assert torch.equal(filled * visible, picture * visible)
    assert bool((filled != picture)[~visible.expand_as(picture)].all())


def test_a_picture_without_holes_is_not_encoded(backbone: StableDiffusion) -> None:
    seen: list[tuple[Latent, Region]] = []
    picture = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    whole = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    assert torch.equal(inpaint(backbone, picture, whole, (64, 64), seen_by(seen)), picture)
    assert not seen


def test_what_a_hole_contains_does_not_matter(backbone: StableDiffusion) -> None:
    seen: list[tuple[Latent, Region]] = []
    picture = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    visible = block(64, 64, slice(10, 30), slice(20, 27))
    for content in (picture, picture * visible):
        inpaint(backbone, content, visible, (64, 64), seen_by(seen))
    assert torch.equal(seen[0][0], seen[1][0])


def test_a_region_of_another_size_is_refused(backbone: StableDiffusion) -> None:
    with pytest.raises(REFUSED):
        inpaint(backbone, torch.zeros(1, 3, 64, 64), block(32, 64, slice(4), slice(4)), (64, 64), grey)


def test_a_cell_is_visible_if_all_of_its_pixels_are() -> None:
    visible = noise(1, 1, 64, 64) < 3
    expected = torch.empty(1, 1, 8, 8, dtype=torch.bool)
    for row in range(8):
        for column in range(8):
            expected[..., row, column] = visible[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].all()
    assert 0 < int(expected.sum()) < 64
    assert torch.equal(visible_cells(visible, torch.zeros(1, 4, 8, 8)), expected)


def test_a_pixel_on_the_line_between_cells_hides_both() -> None:
    visible = block(64, 64, slice(0, 64), slice(21, 22))  # 64 / 6 = 10.67: column 21 lies in cells 1 and 2
    cells = visible_cells(visible, torch.zeros(1, 4, 6, 6))
    assert cells[0, 0, 0].tolist() == [True, False, False, True, True, True]


def blanked(backbone: StableDiffusion, z_0: Tensor, visible: Tensor, config: Settings) -> list[Step]:
    given = Conditioning(embedding=backbone.embed([""]))
    return list(latent_blanking(backbone, z_0, visible, given, noise(1, 4, 8, 8, seed=9), config))


def test_visible_cells_are_the_photo_when_they_are_put_back_to_the_end(backbone: StableDiffusion) -> None:
    z_0, visible = noise(1, 4, 8, 8), block(8, 8, slice(2, 5), slice(3, 6))
    config = SHORT.changed({"views.resync.every": 0.2, "views.resync.until": 1.0})
    end = blanked(backbone, z_0, visible, config)[-1].latents
    torch.testing.assert_close(end * visible, z_0 * visible, rtol=0, atol=0)
    assert bool((end != z_0)[~visible.expand_as(z_0)].any())


def test_blank_cells_start_empty_or_with_fresh_noise(backbone: StableDiffusion) -> None:
    z_0, visible = noise(1, 4, 8, 8), block(8, 8, slice(2, 5), slice(3, 6))
    inverted = SHORT.sampling.steps
    empty = blanked(backbone, z_0, visible, SHORT)
    born = empty[inverted]
    assert (born.index, born.evaluations) == (SHORT.shift_index, 0)
    assert not bool(born.latents[~visible.expand_as(z_0)].any())
    # The inversion's last but two: level `shift_index + 1`, counted from noise.
    assert torch.equal(born.latents * visible, empty[inverted - 1 - (SHORT.shift_index + 1)].latents * visible)
    noisy = blanked(backbone, z_0, visible, SHORT.changed({"shift.deblur": True}))[inverted].latents
    assert torch.equal(noisy, torch.where(visible, born.latents, noise(1, 4, 8, 8, seed=9)))


def test_one_evaluation_for_each_step_there_and_back(backbone: StableDiffusion) -> None:
    steps = blanked(backbone, noise(1, 4, 8, 8), block(8, 8, slice(2, 5), slice(3, 6)), SHORT)
    # ᾱ of the last level is that of the one before (offset 0): nothing has to be inverted there.
    there = SHORT.sampling.steps - 1
    assert sum(step.evaluations for step in steps) == there + (there - SHORT.shift_index)


def test_both_views_together_are_refused(backbone: StableDiffusion) -> None:
    together = SHORT.changed({"views": "together"})
    with pytest.raises(ConfigError, match="needs views after-source, got together"):
        blanked(backbone, noise(1, 4, 8, 8), block(8, 8, slice(2, 5), slice(3, 6)), together)
