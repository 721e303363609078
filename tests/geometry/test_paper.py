"""The authors' shift, on recorded cases and beside the formulas."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, paper_disparity, splat

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "goldens" / "stereo_shift.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_recorded_shifts(case: dict[str, Any]) -> None:
    view, percent = torch.tensor(case["view"]), case["shift_percent_of_width"]
    height, width = view.shape[-2:]
    disparity = paper_disparity(
        Disparity.from_pixels(torch.tensor(case["disparity"])),
        max_disparity=abs(percent) / 100,
        height=height,
        width=width,
    )
    warped = splat(view, disparity, to="left" if percent < 0 else "right", mode="paper")
    assert torch.equal(warped.view, torch.tensor(case["expected"]))
    assert bool((warped.view[warped.occlusion] == 0).all())


def test_a_visible_zero_is_not_an_occlusion() -> None:
    case = next(case for case in CASES if case["name"] == "real_zero_value")
    disparity = paper_disparity(
        Disparity.from_pixels(torch.tensor(case["disparity"])), max_disparity=0.25, height=1, width=8
    )
    warped = splat(torch.tensor(case["view"]), disparity, mode="paper")
    assert warped.occlusion.flatten().tolist() == [False] * 7 + [True]


def test_equals_the_formulas_of_the_paper() -> None:
    pixels = torch.rand(48, 80, generator=torch.Generator().manual_seed(3)) * 30 + 5
    d = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    d = functional.interpolate(d[None, None], size=(12, 16), mode="bicubic")
    d = (d - d.min()) / (d.max() - d.min())
    prepared = paper_disparity(Disparity.from_pixels(pixels), max_disparity=0.08, height=12, width=16)
    torch.testing.assert_close(prepared.pixels, d * 0.08 * 16)
    assert bool(prepared.known.all())


def test_pictures_are_normalised_one_by_one() -> None:
    pixels = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(3)) * torch.tensor([1.0, 50.0]).reshape(
        2, 1, 1
    )
    both = paper_disparity(Disparity.from_pixels(pixels), max_disparity=0.1, height=6, width=6).pixels
    torch.testing.assert_close(both.amax(dim=(1, 2, 3)), torch.full((2,), 0.6))
    alone = paper_disparity(Disparity.from_pixels(pixels[1]), max_disparity=0.1, height=6, width=6).pixels
    torch.testing.assert_close(both[1:], alone)


def test_a_constant_map_is_flat() -> None:
    prepared = paper_disparity(Disparity.from_pixels(torch.full((8, 8), 3.3)), max_disparity=0.08, height=4, width=4)
    assert not bool(prepared.pixels.any())


def test_sparse_maps_and_impossible_numbers_are_refused() -> None:
    sparse = Disparity.from_pixels(torch.ones(2, 2), known=torch.tensor([[True, False], [True, True]]))
    with pytest.raises(GeometryError, match=r"1 cells are unknown; .*filled\(\)"):
        paper_disparity(sparse, max_disparity=0.08, height=2, width=2)
    for max_disparity, height in [(-0.08, 2), (float("nan"), 2), (0.08, 0)]:
        with pytest.raises(GeometryError, match=r"must be"):
            paper_disparity(sparse.filled(), max_disparity=max_disparity, height=height, width=2)
