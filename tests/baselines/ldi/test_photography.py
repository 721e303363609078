"""3D Photography as a whole."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from tests.baselines.ldi.making import BOX_PX, WALL_PX, box_before_wall
from torch import Tensor

from stereodiffusion.baselines.blank import warp
from stereodiffusion.baselines.ldi import photography_3d, smooth_fill
from stereodiffusion.baselines.ldi.photography import complete
from stereodiffusion.baselines.ldi.render import look
from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Map, Region

REFUSED = (GeometryError, TypeCheckError)  # the latter where the declared shapes are checked at run time


@pytest.fixture
def left() -> Tensor:
    return torch.from_numpy(box_before_wall().colour).permute(2, 0, 1)[None].contiguous()


@pytest.fixture
def disparity() -> Disparity:
    return Disparity.from_pixels(torch.from_numpy(box_before_wall().disparity))


class Asked:
    """A fill that paints white and remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Image, Map, Region, Region]] = []

    def __call__(self, picture: Image, disparity: Map, context: Region, synthesis: Region) -> Image:
        self.calls.append((picture, disparity, context, synthesis))
        return torch.ones_like(picture)


def test_the_hole_is_filled_with_background_alone(left: Tensor, disparity: Disparity) -> None:
    right = photography_3d(left, disparity)
    moved = int(BOX_PX)
    box = torch.zeros(40, 64, dtype=torch.bool)
    box[10:30, 24 - moved : 44 - moved] = True
    torch.testing.assert_close(right[0, :, box], left[0, :, 12:13, 30].expand(3, int(box.sum())))
    wall = right[0, :, ~box]
    assert float(wall[1].max()) < 0.25  # red, blue, and what lies between: no green
    assert bool((wall[0] + wall[2] > 0.85).all())
    # Away from the border of its halves the wall behind the box goes on as it is beside it.
    for rows in (slice(10, 16), slice(24, 30)):
        beside = left[0, :, rows, 50:51].expand(3, 6, 32)
        torch.testing.assert_close(right[0, :, rows, 44 - moved :], beside, atol=0.05, rtol=0)


def test_what_the_left_eye_sees_stays_but_for_the_rim(left: Tensor, disparity: Disparity) -> None:
    noise = torch.rand(left.shape, generator=torch.Generator().manual_seed(0))
    right = photography_3d(noise, disparity)
    warped = warp(noise, disparity)
    changed = ((right != warped.view) & warped.visible).any(dim=1)[0]
    hole = torch.zeros(40, 64, dtype=torch.bool)
    hole[10:30, 32:42] = True
    near = torch.nn.functional.max_pool2d(hole[None].float(), 7, stride=1, padding=3)[0] > 0
    assert not bool((changed & ~near).any())


def test_any_fill_will_do(left: Tensor, disparity: Disparity) -> None:
    fill = Asked()
    right = photography_3d(left, disparity, fill=fill)
    assert len(fill.calls) == 1
    picture, depth, context, synthesis = fill.calls[0]
    assert picture.shape[2:] == depth.shape[2:] == context.shape[2:] == synthesis.shape[2:]
    assert not bool((context & synthesis).any())
    assert bool(synthesis.any())
    green = picture[:, 1:2] == 1
    assert not bool((context & green).any())
    new = synthesis & (green | (torch.arange(picture.shape[3]) >= 64))
    torch.testing.assert_close(depth[new], torch.full_like(depth[new], WALL_PX))
    white = (right == 1).all(dim=1)[0]
    assert bool(white[10:30, 32:42].all())
    assert bool(white[:, 62:].all())
    assert not bool(white[:, :28].any())


def test_everything_that_the_right_eye_sees_is_there() -> None:
    scene = box_before_wall()
    image = complete(scene.colour, scene.disparity, smooth_fill)
    assert image.layers == 2
    assert not look(image, 64).hole.any()


def test_three_depths_behind_one_another() -> None:
    colour = np.full((40, 64, 3), 0.2, dtype=np.float32)
    disparity = np.zeros((40, 64), dtype=np.float32)
    disparity[8:36, 20:44], colour[8:36, 20:44] = 6, (0.9, 0.0, 0.0)
    disparity[14:30, 30:44], colour[14:30, 30:44] = 12, (0.0, 0.0, 0.9)
    right = photography_3d(
        torch.from_numpy(colour).permute(2, 0, 1)[None], Disparity.from_pixels(torch.from_numpy(disparity))
    )
    assert bool(right.isfinite().all())
    front = torch.tensor([0.0, 0.0, 0.9])[:, None, None].expand(3, 12, 14)
    torch.testing.assert_close(right[0, :, 16:28, 18:32], front)  # its corners are rounded off
    torch.testing.assert_close(right[0, :, 9:35, 45:], torch.full((3, 26, 19), 0.2))


@pytest.mark.parametrize("d", [64, 300])
def test_what_leaves_the_frame_is_made_up(d: int, left: Tensor) -> None:
    right = photography_3d(left, Disparity.from_pixels(torch.full((40, 64), float(d))))
    assert bool(right.isfinite().all())


def test_unknown_cells_lie_behind(left: Tensor, disparity: Disparity) -> None:
    known = torch.ones_like(disparity.known)
    known[..., 10:30, 40:44] = False
    partly = Disparity(pixels=torch.where(known, disparity.pixels, 0.0), known=known)
    assert torch.equal(photography_3d(left, partly), photography_3d(left, partly.filled()))


def test_the_same_again(left: Tensor, disparity: Disparity) -> None:
    noise = torch.rand(left.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(photography_3d(noise, disparity), photography_3d(noise, disparity))


def test_what_is_refused(left: Tensor, disparity: Disparity) -> None:
    with pytest.raises(REFUSED):
        photography_3d(left.expand(2, -1, -1, -1), disparity)
    with pytest.raises(GeometryError, match="disparities >= 0, got -3"):
        photography_3d(left, disparity.converged_at(5.0))
    with pytest.raises(GeometryError, match="nothing to fill from"):
        photography_3d(left, Disparity.from_pixels(disparity.pixels, torch.zeros_like(disparity.known)))
