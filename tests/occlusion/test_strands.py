"""Hair moves with the head that it grows on; the texture of a wall stays on the wall."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity, splat
from stereodiffusion.metrics.image import psnr
from stereodiffusion.occlusion import split_at_borders
from stereodiffusion.occlusion.strands import attach_strands

SIZE, FINE, NEAR, FAR = 160, 4, 12.0, 2.0
HEAD = torch.tensor([0.25, 0.1, 0.3]).view(1, 3, 1, 1)
Line = tuple[tuple[float, float], tuple[float, float]]
"""From one point (x, y) to another, in cells."""


@dataclass(frozen=True)
class Scene:
    """A head before a wall: what both eyes see, and the map without the hair."""

    left: Tensor
    right: Tensor
    share: Tensor  # of head and hair in each cell of the left view
    outside: Tensor  # the cells with nothing of the head itself
    outline: Disparity


def coverage(lines: list[Line], width: float, *, head: bool) -> Tensor:
    """How much of each cell a round head and lines cover, (1, 1, h, w)."""
    drawn = np.zeros((SIZE * FINE, SIZE * FINE), np.uint8)
    if head:
        cv2.circle(drawn, (SIZE * FINE // 2, SIZE * FINE // 2), 30 * FINE, 255, -1)
    for (x0, y0), (x1, y1) in lines:
        ends = [(round(FINE * x), round(FINE * y)) for x, y in ((x0, y0), (x1, y1))]
        cv2.line(drawn, ends[0], ends[1], 255, round(FINE * width), cv2.LINE_AA)
    share = cv2.resize(drawn, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return torch.from_numpy(share)[None, None]


def radial(count: int, length: float = 24) -> list[Line]:
    """Hairs that start inside the head and lead away from it."""
    middle, lines = SIZE / 2, []
    for angle in np.linspace(0.2, 2 * np.pi, count, endpoint=False):
        dx, dy = np.cos(angle), np.sin(angle)
        lines.append(((middle + 26 * dx, middle + 26 * dy), (middle + (30 + length) * dx, middle + (30 + length) * dy)))
    return lines


def scene(hair: list[Line], width: float = 1.5, paint: list[Line] | None = None) -> Scene:
    """With hair on the head, and with lines of its colour painted on the wall."""
    row = torch.linspace(0, 1, SIZE)
    wall = torch.stack([0.9 - 0.2 * row, 0.7 + 0.1 * row, 0.5 + 0.1 * row]).view(1, 3, 1, SIZE).repeat(1, 1, SIZE, 1)
    wall = torch.lerp(wall, HEAD.expand_as(wall), coverage(paint or [], width, head=False))
    whole, head = coverage(hair, width, head=True), coverage([], width, head=True)

    def shifted(field: Tensor, columns: float) -> Tensor:
        return field.roll(-round(columns), -1)

    views = [
        torch.lerp(shifted(wall, far), HEAD.expand_as(wall), shifted(whole, near))
        for far, near in ((0, 0), (FAR, NEAR))
    ]
    outline = torch.where(head > 0.5, NEAR, FAR)
    return Scene(views[0], views[1], whole, head == 0, Disparity.from_pixels(outline[0, 0]))


def right_view(picture: Tensor, disparity: Disparity) -> tuple[Tensor, Tensor]:
    """Both layers in the right eye, and where something is seen of them."""
    layers = split_at_borders(picture, disparity)
    behind = splat(layers.behind, layers.behind_disparity)
    front = splat(torch.cat([layers.front, layers.opacity], 1), layers.front_disparity).view
    return front[:, :3] + (1 - front[:, 3:]) * behind.view, behind.visible


@pytest.mark.parametrize("width", [1.0, 1.5, 3.0])
def test_hair_gets_the_disparity_of_the_head(width: float) -> None:
    drawn = scene(radial(16), width)
    attached = attach_strands(drawn.outline, drawn.left)
    moved = attached.pixels != drawn.outline.pixels
    assert torch.equal(attached.pixels[moved], torch.full_like(attached.pixels[moved], NEAR))
    assert float(moved[drawn.outside & (drawn.share > 0.5)].float().mean()) > 0.85
    assert not bool(moved[drawn.share < 0.05].any())


def test_the_right_eye_sees_the_hair_on_the_head_and_none_on_the_wall() -> None:
    drawn = scene(radial(24))
    errors = {}
    around = (
        torch.nn.functional.max_pool2d((drawn.outside * drawn.share).roll(-round(NEAR), -1), 15, stride=1, padding=7)
        > 0
    )
    for name, disparity in (("left", drawn.outline), ("attached", attach_strands(drawn.outline, drawn.left))):
        view, visible = right_view(drawn.left, disparity)
        errors[name] = float(psnr(view, drawn.right, around & visible))
    assert errors["attached"] > errors["left"] + 8


ON_THE_WALL = {
    "lines that go on beyond the band": [((0.0, y), (float(SIZE), y)) for y in range(20, SIZE, 12)],
    "texture everywhere": [((x, y), (x + 6.0, y + 4.0)) for x in range(4, SIZE, 12) for y in range(4, SIZE, 9)],
    "a frame around the head": [
        ((44.0, 44.0), (116.0, 44.0)),
        ((44.0, 44.0), (44.0, 116.0)),
        ((116.0, 44.0), (116.0, 116.0)),
    ],
}


@pytest.mark.parametrize("paint", ON_THE_WALL.values(), ids=list(ON_THE_WALL))
def test_what_is_painted_on_the_wall_stays_there(paint: list[Line]) -> None:
    drawn = scene([], paint=paint)
    assert torch.equal(attach_strands(drawn.outline, drawn.left).pixels, drawn.outline.pixels)


def test_one_hair_alone_is_none() -> None:
    """It may as well be a crack in the wall."""
    drawn = scene(radial(1))
    assert torch.equal(attach_strands(drawn.outline, drawn.left).pixels, drawn.outline.pixels)


def test_an_edge_of_the_wall_is_no_hair() -> None:
    drawn = scene([])
    painted = drawn.left.clone()
    dark = (torch.arange(SIZE) > 60) & (torch.arange(SIZE) < 100)
    painted[..., :45, dark] = HEAD
    assert torch.equal(attach_strands(drawn.outline, painted).pixels, drawn.outline.pixels)


def test_without_a_border_nothing_changes() -> None:
    drawn = scene(radial(24))
    slope = Disparity.from_pixels(torch.linspace(0, 20, SIZE).expand(SIZE, SIZE).contiguous())
    assert torch.equal(attach_strands(slope, drawn.left).pixels, slope.pixels)


def test_pictures_of_a_batch_are_alone() -> None:
    hairy, bald = scene(radial(24)), scene([])
    pixels = torch.cat([hairy.outline.pixels, bald.outline.pixels])
    both = attach_strands(Disparity.from_pixels(pixels), torch.cat([hairy.left, bald.left])).pixels
    assert torch.equal(both[:1], attach_strands(hairy.outline, hairy.left).pixels)
    assert torch.equal(both[1:], bald.outline.pixels)


def test_a_map_of_another_size_or_with_gaps_is_refused() -> None:
    drawn = scene([])
    with pytest.raises(GeometryError, match="its disparity"):
        attach_strands(Disparity.from_pixels(drawn.outline.pixels[0, 0, :-1]), drawn.left)
    gaps = Disparity.from_pixels(drawn.outline.pixels, known=drawn.outline.pixels > 5)
    with pytest.raises(GeometryError, match="dense"):
        attach_strands(gaps, drawn.left)
