"""Regions that are measured by themselves."""

import torch

from stereodiffusion.bench.regions import further_regions, soft_borders, without_cracks
from stereodiffusion.geometry import Disparity


def runs(row: str) -> torch.Tensor:
    return torch.tensor([[[[cell == "#" for cell in row]]]])


def test_what_is_narrower_than_three_columns_is_no_hole() -> None:
    assert torch.equal(without_cracks(runs("#..##..###..####..#")), runs(".......###..####..."))
    assert torch.equal(without_cracks(runs("##...###...##")), runs("##...###...##"))  # at the frame it goes on outside


def test_soft_borders_are_where_a_disc_is_mixed_with_what_is_behind_it() -> None:
    row, column = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    radius = (row - 32).hypot(column - 48)
    alpha = (16.5 - radius).clamp(0, 1)
    left = (alpha * 0.9 + (1 - alpha) * 0.1).expand(1, 3, 64, 96).contiguous()
    truth = Disparity.from_pixels(torch.where(radius < 16, 6.0, 0.0))
    soft = soft_borders(left, truth)
    moved = (row - 32).hypot(column - 42)  # six columns to the left
    at = moved[soft[0, 0]]
    assert len(at) > 30
    assert float((at - 16).abs().max()) <= 2.1  # a ring around the disc at its new place, no more
    nothing = further_regions(left, None, torch.zeros_like(soft))
    assert not bool(nothing["soft"].any())


def test_a_plane_has_no_soft_borders() -> None:
    left = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert not bool(soft_borders(left, Disparity.from_pixels(torch.full((32, 48), 3.0))).any())
