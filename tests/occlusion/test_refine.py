"""Borders of disparity maps go where the picture's are; what is right stays right."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from stereodiffusion.datasets.scenes import render_disparity, render_image, sample_scene
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.occlusion import snap_to_edges


def scene(seed: int, size: int = 128) -> tuple[Tensor, Tensor]:
    drawn = sample_scene(seed)
    picture = torch.from_numpy(render_image(drawn, (size, size))).permute(2, 0, 1)[None].float()
    return picture, torch.from_numpy(render_disparity(drawn, (size, size)))[None, None].float()


def blurred(pixels: Tensor, reach: int) -> Tensor:
    return avg_pool2d(pixels, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)


def snapped(pixels: Tensor, picture: Tensor, radius: int = 6) -> Tensor:
    return snap_to_edges(Disparity.from_pixels(pixels[0, 0]), picture, radius=radius).pixels


def test_the_ramp_of_a_blurred_border_becomes_the_step_that_it_was() -> None:
    truth = torch.full((1, 1, 40, 60), 2.0)
    truth[..., 10:30, 20:40] = 9.0
    picture = torch.where(truth > 5, 0.8, 0.2).expand(1, 3, 40, 60)
    ramp = blurred(truth, 2)
    assert float((ramp - truth).abs().max()) > 2
    sides = (..., slice(14, 26), slice(None))  # corners are rounded by the blur
    sharp = snapped(ramp, picture)
    assert torch.equal(sharp[sides] > 5.5, truth[sides] > 5.5)
    middle = (..., slice(14, 26), [19, 20, 39, 40])  # the cells at the border, which the ramp had half-way
    assert float((sharp - truth)[middle].abs().max()) < 0.5
    assert float((sharp - truth)[sides].abs().mean()) < 0.6 * float((ramp - truth)[sides].abs().mean())


def test_blurred_maps_of_scenes_come_closer_to_the_truth() -> None:
    before, after = [], []
    for seed in range(4):
        picture, truth = scene(seed, 256)
        ramp = blurred(truth, 4)
        before.append(float((ramp - truth).abs().mean()))
        after.append(float((snapped(ramp, picture) - truth).abs().mean()))
    assert sum(after) < 0.75 * sum(before)


def grain(height: int, width: int) -> Tensor:
    return 0.1 * torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))


def test_a_step_on_an_edge_stays_where_it_is() -> None:
    truth = torch.full((1, 1, 32, 48), 1.0)
    truth[..., 16:] = 7.0
    picture = torch.where(truth > 5, 0.7, 0.2) + grain(32, 48)
    assert torch.equal(snapped(truth, picture), truth)


def test_a_step_beside_an_edge_goes_to_it() -> None:
    truth = torch.full((1, 1, 32, 48), 1.0)
    truth[..., 16:] = 7.0
    picture = torch.where(truth > 5, 0.7, 0.2) + grain(32, 48)
    assert torch.equal(snapped(truth.roll(3, -1).where(torch.arange(48) > 8, 1.0), picture), truth)


def test_a_slope_stays_a_slope() -> None:
    slope = torch.linspace(0, 12, 96).expand(1, 1, 32, 96).contiguous()
    assert float((snapped(slope, 0.4 + grain(32, 96)) - slope)[..., 8:-8].abs().max()) < 0.05


@pytest.mark.parametrize("column", [250, 256, 259])
def test_tiles_leave_no_trace(column: int) -> None:
    """A disc and a step that lie across tiles, three columns beside their edges; two levels, so medians are exact."""
    row, at = torch.meshgrid(torch.arange(300), torch.arange(320), indexing="ij")
    near = (at >= column) | ((row - 250) ** 2 + (at - 150) ** 2 < 60**2)
    truth = torch.where(near, 7.0, 1.0)[None, None]
    picture = torch.where(truth > 5, 0.7, 0.2) + grain(300, 320)
    off = torch.where(at >= column + 3, 7.0, torch.where(at < column - 20, truth, 1.0))
    assert torch.equal(snapped(off, picture), truth)
    both = snap_to_edges(Disparity.from_pixels(torch.cat([off, truth])), torch.cat([picture, picture]))
    assert torch.equal(both.pixels, torch.cat([truth, truth]))


def test_sparse_maps_and_other_sizes_are_refused() -> None:
    picture, truth = scene(0, 32)
    sparse = Disparity.from_pixels(truth[0, 0], known=truth[0, 0] > truth.mean())
    with pytest.raises(GeometryError, match="dense"):
        snap_to_edges(sparse, picture)
    with pytest.raises(GeometryError, match="its disparity"):
        snap_to_edges(Disparity.from_pixels(truth[0, 0, :-1]), picture)


def test_the_same_map_gives_the_same_whatever_came_before() -> None:
    picture, truth = scene(1, 160)
    ramp = blurred(truth, 4)
    first = snapped(ramp, picture)
    picture_between, truth_between = scene(2, 160)
    snapped(blurred(truth_between, 4), picture_between)
    assert torch.equal(snapped(ramp, picture), first)


def test_no_cell_is_left_half_way_between_two_surfaces() -> None:
    """Those on the border are of neither colour, so nothing around them tells which surface they are of."""
    truth = torch.full((1, 1, 40, 60), 2.0)
    truth[..., 30:] = 12.0
    picture = blurred(torch.where(truth > 5, 0.8, 0.2).expand(1, 3, 40, 60).contiguous(), 1)
    sharp = snapped(blurred(truth, 3), picture)
    assert not bool(((sharp > 4) & (sharp < 10)).any())
    assert int((sharp - truth).abs().gt(5).sum(-1).max()) <= 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cells_that_stand_alone_are_rare_where_ramps_cross_many_colours(seed: int) -> None:
    """Moved by such a map they are specks: nearer or farther than all that is around them. They were 1 in 450."""
    generator = torch.Generator().manual_seed(seed)
    picture = blurred(blurred(torch.rand((1, 3, 128, 128), generator=generator), 2), 2)
    ramps = 80 * blurred(torch.rand((1, 1, 128, 128), generator=generator), 6)
    sharp = snapped(ramps, 6 * (picture - picture.mean()) + 0.5)
    assert int((sharp - ramps).abs().gt(1).sum()) > 1000  # steps are made of them
    others = [sharp.roll((dy, dx), (-2, -1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    alone = torch.stack([(sharp - other).abs() > 1 for other in others]).all(0)[..., 1:-1, 1:-1]
    assert int(alone.sum()) < alone.numel() / 1500


def test_threads_snap_as_if_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand((4, 1, 3, 9, 12), generator=generator).repeat_interleave(8, 3).repeat_interleave(8, 4)
    maps = [Disparity.from_pixels(9 * picture[0, 0].roll(3, -1)) for picture in pictures]
    alone = [snap_to_edges(disparity, picture).pixels for disparity, picture in zip(maps, pictures, strict=True)]

    def again(number: int) -> bool:
        return all(torch.equal(snap_to_edges(maps[number], pictures[number]).pixels, alone[number]) for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(again, range(4)))
