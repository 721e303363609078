"""What both eyes see, on maps small enough to be read."""

import pytest
import torch
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.metrics import shared_view


def row(text: str) -> Tensor:
    return torch.tensor([[[[mark == "x" for mark in text]]]])


def disparity(values: list[float], known: str | None = None) -> Disparity:
    return Disparity.from_pixels(
        torch.tensor([values], dtype=torch.float32), None if known is None else row(known)[0, 0]
    )


def test_a_constant_shift_leaves_the_border_unshared() -> None:
    shared = shared_view(disparity([2] * 8))
    assert torch.equal(shared.left, row("..xxxxxx"))
    assert torch.equal(shared.right, row("xxxxxx.."))


def test_what_a_nearer_thing_lands_on_or_beside_is_not_shared() -> None:
    # The two near cells land on 3 and 4: what lies there on the left is hidden, and 2 and 5 are too close to tell.
    shared = shared_view(disparity([0, 0, 0, 0, 0, 0, 3, 3, 0, 0]))
    assert torch.equal(shared.left, row("xx....xxxx"))
    assert torch.equal(shared.right, row("xx.xx...xx"))


def test_a_slanted_surface_hides_nothing_of_itself() -> None:
    shared = shared_view(disparity([0.25 * column for column in range(12)]))
    assert torch.equal(shared.left, row("x" * 12))


def test_unknown_cells_are_not_shared() -> None:
    shared = shared_view(disparity([1] * 6, known="xx.x.x"))
    assert torch.equal(shared.left, row(".x.x.x"))
    assert torch.equal(shared.right, row("x.x.x."))


def test_what_the_caller_knows_to_be_occluded_is_not_shared() -> None:
    shared = shared_view(disparity([1] * 6), occlusion=row(".xx..."))
    assert torch.equal(shared.left, row(".x..xx"))
    assert torch.equal(shared.right, row("x..xx."))


def test_nothing_shared_lands_where_the_splat_leaves_a_hole() -> None:
    generator = torch.Generator().manual_seed(2)
    steps = torch.randint(0, 20, (1, 1, 6, 8), generator=generator).repeat_interleave(8, dim=-1).float()
    requested = Disparity.from_pixels(steps)
    visible = splat(steps, requested, mode="paper").visible
    shared = shared_view(requested)
    assert not bool((shared.right & ~visible).any())
    assert float(shared.right.sum()) > 0.7 * float(visible.sum())


def test_a_batch_is_its_pictures() -> None:
    generator = torch.Generator().manual_seed(3)
    requested = Disparity.from_pixels(torch.rand(3, 1, 5, 40, generator=generator) * 10)
    together = shared_view(requested)
    for i in range(3):
        alone = shared_view(Disparity.from_pixels(requested.pixels[i : i + 1]))
        assert torch.equal(together.left[i : i + 1], alone.left)
        assert torch.equal(together.right[i : i + 1], alone.right)


def test_the_occlusion_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)  # as outside of the tests
    with pytest.raises(GeometryError, match="the occlusion is"):
        shared_view(disparity([1] * 6), occlusion=row("xxxxx"))
