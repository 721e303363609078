"""Dense disparity from sparse: exact where it can be, and better than interpolation where the truth is known."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import griddata
from torch import Tensor
from torch.nn.functional import max_pool2d

from stereodiffusion.datasets import StereoSample, densify, open_kitti, open_scenes
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Map, Region

pytestmark = pytest.mark.long

KITTI = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "kitti"


def draw(size: tuple[int, int], share: float, *, seed: int = 0) -> Region:
    return torch.rand((1, 1, *size), generator=torch.Generator().manual_seed(seed)) < share


def keep(pixels: Map, known: Region) -> Disparity:
    return Disparity(pixels=torch.where(known, pixels, 0.0), known=known)


def noise(size: tuple[int, int], strength: float) -> Image:
    return 0.4 + strength * torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(1))


def interpolate(sparse: Disparity, method: str) -> Map:
    """What everybody does: Delaunay triangles, the nearest outside them."""
    rows, columns = sparse.known[0, 0].numpy().nonzero()
    values = sparse.pixels[0, 0].numpy()[rows, columns]
    grid = np.indices(sparse.size).reshape(2, -1).T
    points = np.stack([rows, columns], axis=1)
    nearest, found = (griddata(points, values, grid, kind).reshape(sparse.size) for kind in ("nearest", method))
    return torch.from_numpy(np.where(np.isnan(found), nearest, found)).float()[None, None]


def beside_edges(pixels: Map) -> Region:
    """Cells within three of a jump of more than two pixels."""
    return max_pool2d(pixels, 7, 1, 3) + max_pool2d(-pixels, 7, 1, 3) > 2


def error(found: Map, truth: Map, where: Region) -> float:
    return float((found - truth).abs()[where].mean())


def test_known_cells_are_kept_and_nothing_is_invented() -> None:
    pixels = 40 * torch.rand((1, 1, 30, 50), generator=torch.Generator().manual_seed(2))
    sparse = keep(pixels, draw((30, 50), 0.2))
    dense = densify(sparse, noise((30, 50), 0.5))
    assert bool(dense.known.all())
    assert torch.equal(dense.pixels[sparse.known], sparse.pixels[sparse.known])
    seen = sparse.pixels[sparse.known]
    assert float(seen.min()) - 1e-4 <= float(dense.pixels.min())
    assert float(dense.pixels.max()) <= float(seen.max()) + 1e-4


def test_a_map_that_is_known_everywhere_stays_as_it_is() -> None:
    whole = Disparity.from_pixels(40 * torch.rand((1, 1, 20, 30), generator=torch.Generator().manual_seed(2)))
    assert torch.equal(densify(whole, noise((20, 30), 0.5)).pixels, whole.pixels)


def test_a_single_known_cell_is_all_there_is() -> None:
    known = torch.zeros(1, 1, 17, 23, dtype=torch.bool)
    known[0, 0, 11, 4] = True
    dense = densify(keep(torch.full((1, 1, 17, 23), 7.5), known), noise((17, 23), 0.5))
    torch.testing.assert_close(dense.pixels, torch.full((1, 1, 17, 23), 7.5))


def test_objects_end_where_their_colour_does() -> None:
    row, column = torch.meshgrid(torch.arange(64), torch.arange(80), indexing="ij")
    disc = ((row - 30) ** 2 + (column - 45) ** 2 < 20**2)[None, None]
    truth = torch.where(disc, 31.0, 4.0)
    picture = noise((64, 80), 0.05) + torch.where(disc, 0.3, -0.3)
    dense = densify(keep(truth, draw((64, 80), 0.06)), picture)
    torch.testing.assert_close(dense.pixels, truth, atol=1e-3, rtol=0)


def test_a_street_is_a_plane() -> None:
    row, column = torch.meshgrid(torch.arange(60.0), torch.arange(90.0), indexing="ij")
    truth = (5 + row / 3 + column / 50)[None, None]
    sparse = keep(truth, draw((60, 90), 0.15))
    dense = densify(sparse, noise((60, 90), 0.1))
    inside = torch.zeros_like(sparse.known)
    inside[..., 6:-6, 6:-6] = True
    assert float((dense.pixels - truth).abs()[inside].max()) < 0.5
    assert error(dense.pixels, truth, inside) < 0.05
    assert error(dense.pixels, truth, inside) < 0.25 * error(interpolate(sparse, "nearest"), truth, inside)


@pytest.mark.parametrize("scanner", [False, True])
def test_scenes_come_back_better_than_by_interpolation(scanner: bool) -> None:
    data = open_scenes(2, seed=100, size=(320, 320))
    errors: list[list[float]] = []
    for sample in map(data.read, data.scenes):
        assert sample.disparity is not None
        known = draw(sample.disparity.size, 0.6 if scanner else 0.15)
        if scanner:
            known &= (torch.arange(320) % 4 == 0)[:, None]
        sparse = keep(sample.disparity.pixels, known)
        unknown = ~known
        edge = unknown & beside_edges(sample.disparity.pixels)
        tries = [densify(sparse, sample.left).pixels, interpolate(sparse, "nearest"), interpolate(sparse, "linear")]
        errors.append([error(found, sample.disparity.pixels, where) for where in (unknown, edge) for found in tries])
    ours, nearest, linear, ours_at_edges, *others_at_edges = torch.tensor(errors).mean(dim=0).tolist()
    assert ours < 0.75 * min(nearest, linear)
    assert ours_at_edges < 0.6 * min(others_at_edges)


@pytest.mark.skipif(not KITTI.is_dir(), reason=f"left out: no KITTI at {KITTI} (set STEREO_DATA to where data are)")
def test_half_of_what_the_scanner_saw_tells_the_other_half() -> None:
    data = open_kitti(KITTI)
    ours, nearest, linear = (0.0, 0.0, 0.0)
    for sample in map(data.read, data.scenes[::2]):
        assert sample.disparity is not None
        truth, left = lower_middle(sample)
        known = truth.known & draw(truth.size, 0.5)
        sparse, held_out = keep(truth.pixels, known), truth.known & ~known
        ours += error(densify(sparse, left).pixels, truth.pixels, held_out)
        nearest += error(interpolate(sparse, "nearest"), truth.pixels, held_out)
        linear += error(interpolate(sparse, "linear"), truth.pixels, held_out)
    assert ours < 0.85 * min(nearest, linear)


def lower_middle(sample: StereoSample) -> tuple[Disparity, Image]:
    assert sample.disparity is not None
    return sample.disparity.crop(120, 400, 240, 480), sample.left[..., 120:360, 400:880]


def test_pictures_of_a_batch_do_not_mix() -> None:
    pixels = 40 * torch.rand((2, 1, 20, 30), generator=torch.Generator().manual_seed(2))
    known = torch.cat([draw((20, 30), 0.2, seed=seed) for seed in range(2)])
    pictures = torch.cat([noise((20, 30), 0.5), noise((20, 30), 0.3).flip(-1)])
    together = densify(keep(pixels, known), pictures)
    for i in range(2):
        one = slice(i, i + 1)
        assert torch.equal(densify(keep(pixels[one], known[one]), pictures[one]).pixels, together.pixels[one])


def test_what_was_given_is_not_written_to() -> None:
    sparse, picture = keep(torch.full((1, 1, 20, 30), 3.0), draw((20, 30), 0.2)), noise((20, 30), 0.5)
    before: tuple[Tensor, Tensor] = sparse.pixels.clone(), picture.clone()
    densify(sparse, picture)
    assert torch.equal(sparse.pixels, before[0])
    assert torch.equal(picture, before[1])


def test_refusals() -> None:
    sparse = keep(torch.full((1, 1, 20, 30), 3.0), draw((20, 30), 0.2))
    with pytest.raises(GeometryError, match="picture of the map's 1 x 20 x 30, got 1 x 20 x 31"):
        densify(sparse, noise((20, 31), 0.5))
    with pytest.raises(GeometryError, match="no cell of the map is known"):
        densify(keep(torch.ones(1, 1, 20, 30), torch.zeros(1, 1, 20, 30, dtype=torch.bool)), noise((20, 30), 0.5))
