"""Soft borders: a picture taken apart at its depth edges.

A pixel at an object's border is a mixture, I = α F + (1-α) B: some of it object, the rest background (Porter & Duff
1984). Moved as a whole it carries a rim of the old background to a new one, or leaves a rim of the object behind. So
the cells at a depth edge are taken apart. F and B are the colours of the two surfaces right beside them, α is where
between the two the cell's own colour lies, and each part moves with its own surface.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stereodiffusion.geometry.disparity import Disparity, check_dense
from stereodiffusion.occlusion.weighted import weighted_mean
from stereodiffusion.types import Image, Map

_JUMP_PX = 1.5  # what differs less is one surface
_STEP_PX = 1.0  # and so is what differs less from cell to cell, however steep: moved, it stays in one piece
_CONTRAST = 0.06  # surfaces whose colours are closer (Euclidean, sRGB in [0, 1]) tell nothing about a mixture
_THIRD_COLOUR = 0.4  # of the distance between both colours; what lies farther off the line between them is a third
_LEAST_THIRD_COLOUR = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """A picture in two layers that overlap along depth edges; drawn one over the other they are the picture.

    Attributes:
        behind: The picture with nothing of nearer surfaces in the cells of borders, (b, 3, h, w).
        behind_disparity: Its disparity, dense.
        front: Nearer surfaces along borders, colours times `opacity`, (b, 3, h, w); drawn over `behind` it gives the
            picture exactly.
        opacity: α in [0, 1]; 0 where there is nothing in front, (b, 1, h, w).
        front_disparity: Of what is in front, known where there is something.
    """

    behind: Image
    behind_disparity: Disparity
    front: Image
    opacity: Map
    front_disparity: Disparity


def split_at_borders(picture: Image, disparity: Disparity, *, radius: int = 1) -> Layers:
    """Take a picture apart at its depth edges.

    Args:
        picture: (b, 3, h, w), sRGB in [0, 1].
        disparity: of the picture, on its grid, dense.
        radius: how far from a depth edge cells are mixed of both surfaces, in cells, at least 1.

    Raises:
        GeometryError: if the map is of another size or batch, or has unknown cells.
    """
    check_dense(disparity, picture)
    pixels, everywhere = disparity.pixels, disparity.known
    near, far = _largest(pixels, radius), -_largest(-pixels, radius)
    edge = (near - far > _JUMP_PX) & (_largest(_steps(pixels), radius) > _STEP_PX)
    at = edge.squeeze(1).nonzero(as_tuple=True)
    near_px, front, far_px, behind, found = _surfaces_beside(picture, pixels, edge, at, reach=radius + 1)
    at = tuple(index[found] for index in at)
    near_px, front, far_px, behind = near_px[found], front[found], far_px[found], behind[found]

    own = picture.movedim(1, -1)[at]
    alpha = _mixture(own, front, behind, pixels.squeeze(1)[at], near_px, far_px)
    # α F as what is left of the mixture without the background: dividing by α or 1 - α would blow up small errors.
    of_behind = torch.where(alpha > 0, behind, own)
    of_front = own - (1 - alpha) * of_behind

    # The nearer surface beside the edge is in front as well, so that it and the border move as one piece.
    split = torch.zeros_like(edge).index_put((at[0], at[0] * 0, at[1], at[2]), torch.ones_like(at[0], dtype=torch.bool))
    near, far = _largest(pixels, 2 * radius + 1), -_largest(-pixels, 2 * radius + 1)
    nearer = (near - far > _JUMP_PX) & (pixels - far > near - pixels)
    beside = (_largest(split.to(pixels), radius + 1) > 0) & ~split & nearer
    opacity = _put(beside.to(pixels), at, alpha)
    return Layers(
        behind=_put(picture, at, of_behind),
        behind_disparity=Disparity(pixels=_put(pixels, at, far_px), known=everywhere),
        front=_put(picture * beside, at, of_front),
        opacity=opacity,
        front_disparity=Disparity(pixels=torch.where(opacity > 0, _put(pixels, at, near_px), 0.0), known=opacity > 0),
    )


def rows_around_borders(radius: int) -> int:
    """How many rows above and below a row its part of the layers of `split_at_borders` depends on."""
    return 3 * radius + 2  # `beside` looks radius + 1 far for cells that look as far for edges, which look radius far


_Cells = tuple[Tensor, ...]
"""Cells of a batch of maps: picture, row, column, n of each."""


def _surfaces_beside(
    picture: Image, pixels: Map, edge: Bool[Tensor, "b 1 h w"], at: _Cells, *, reach: int
) -> tuple[Float[Tensor, "n 1"], Float[Tensor, "n 3"], Float[Tensor, "n 1"], Float[Tensor, "n 3"], Bool[Tensor, " n"]]:
    """Disparity and colour of the nearer and of the farther surface around cells of edges, and where both are found.

    Means over the cells around that are no edge themselves. Of what is so thin that it is all edges (a hair, a gap)
    over those; the less they look like the other surface, the less of it is mixed in, and the more they count.
    """
    field = torch.cat([pixels, picture, (~edge).to(pixels)], 1).movedim(1, -1)
    highest = lowest = pixels.squeeze(1)[at]
    for _, cells in _around(at, field, reach):
        disparity = pixels.squeeze(1)[cells]
        highest, lowest = torch.maximum(highest, disparity), torch.minimum(lowest, disparity)
    middle = (highest + lowest) / 2

    near, is_near = _mean(field, at, reach, lambda cells: cells[:, 4] * (cells[:, 0] > middle))
    far, is_far = _mean(field, at, reach, lambda cells: cells[:, 4] * (cells[:, 0] <= middle))
    hair, gap = ~is_near & is_far, is_near & ~is_far
    near[hair], is_near[hair] = _thin(field, at, hair, reach, far, lambda px: px > middle[hair])
    far[gap], is_far[gap] = _thin(field, at, gap, reach, near, lambda px: px <= middle[gap])
    return near[:, :1], near[:, 1:4], far[:, :1], far[:, 1:4], is_near & is_far


def _thin(
    field: Float[Tensor, "b h w c"],
    at: _Cells,
    where: Bool[Tensor, " n"],
    reach: int,
    other: Float[Tensor, "n c"],
    belongs: Callable[[Float[Tensor, " m"]], Bool[Tensor, " m"]],
) -> tuple[Float[Tensor, "m c"], Bool[Tensor, " m"]]:
    """A surface that is all edges, around the m of the cells `where` it is: what belongs to it by its disparity.

    Weighted by how far it is from the colour of the `other` surface.
    """
    beyond = other[where, 1:4]

    def weight(cells: Float[Tensor, "m c"]) -> Float[Tensor, " m"]:
        return belongs(cells[:, 0]) * (cells[:, 1:4] - beyond).square().sum(1)

    return _mean(field, tuple(index[where] for index in at), reach, weight)


def _mean(
    field: Float[Tensor, "b h w c"],
    at: _Cells,
    reach: int,
    weight: Callable[[Float[Tensor, "n c"]], Float[Tensor, " n"]],
) -> tuple[Float[Tensor, "n c"], Bool[Tensor, " n"]]:
    """Weighted mean of what lies around cells, those close by counting more, and where there is anything."""
    total = field.new_zeros((len(at[0]), 1 + field.shape[-1]))
    # One step at a time: what all steps see at once would be most of the memory of a large picture.
    for squared, cells in _around(at, field, reach):
        values = field[cells]
        share = (weight(values) / (1 + squared))[:, None]
        total += torch.cat([share, share * values], 1)
    mean, found = weighted_mean(total[:, 1:], total[:, :1])
    return mean, found.squeeze(1)


def _around(at: _Cells, field: Float[Tensor, "b h w c"], reach: int) -> Iterator[tuple[int, _Cells]]:
    """The cells at each place of a square around the given ones, and how far, squared, that place is away."""
    number, row, column = at
    height, width = field.shape[1:3]
    steps = range(-reach, reach + 1)
    for dy, dx in product(steps, steps):
        yield dy * dy + dx * dx, (number, (row + dy).clamp(0, height - 1), (column + dx).clamp(0, width - 1))


def _mixture(
    own: Float[Tensor, "n 3"],
    front: Float[Tensor, "n 3"],
    behind: Float[Tensor, "n 3"],
    pixels: Float[Tensor, " n"],
    near_px: Float[Tensor, "n 1"],
    far_px: Float[Tensor, "n 1"],
) -> Float[Tensor, "n 1"]:
    """α by colour; by the map itself where both surfaces have one colour, or the cell has a third.

    What the map puts behind and what has a colour of neither surface still shows as little of a nearer one as can
    explain it: the least α for which F is a colour.
    """
    difference = front - behind
    contrast = difference.norm(dim=1, keepdim=True)
    alpha = (((own - behind) * difference).sum(1, keepdim=True) / contrast.square().clamp(min=1e-6)).clamp(0, 1)
    by_map = (pixels[:, None] - far_px > near_px - pixels[:, None]).to(own)
    unexplained = (own - torch.lerp(behind, front, alpha)).norm(dim=1, keepdim=True)
    third = unexplained > (_THIRD_COLOUR * contrast).clamp(min=_LEAST_THIRD_COLOUR)
    darker, lighter = (behind - own) / behind.clamp(min=1e-3), (own - behind) / (1 - behind).clamp(min=1e-3)
    least = torch.maximum(darker, lighter).amax(1, keepdim=True).clamp(0, 1)
    alpha = torch.where(contrast > _CONTRAST, alpha, by_map)
    return torch.where(third, torch.maximum(by_map, least), alpha)


def _put(field: Float[Tensor, "b c h w"], at: _Cells, values: Float[Tensor, "n c"]) -> Float[Tensor, "b c h w"]:
    changed = field.movedim(1, -1).clone()
    changed[at] = values
    return changed.movedim(-1, 1).contiguous()


def _steps(pixels: Map) -> Map:
    """How much cells differ from the next one in their row or column, whichever is more, at both of the two."""
    steps = torch.zeros_like(pixels)
    for dim in (-1, -2):
        step = pixels.diff(dim=dim).abs()
        for start in (0, 1):
            part = steps.narrow(dim, start, step.shape[dim])
            torch.maximum(part, step, out=part)
    return steps


def _largest(field: Map, radius: int) -> Map:
    """The largest within a square around each cell: along columns, then along rows, step by step.

    Torch's own pooling compares all cells of the square, which at twelve megapixels took most of the time of borders.
    """
    for dim in (-2, -1):
        found, length = field.clone(), field.shape[dim]
        for step in range(1, min(radius, length - 1) + 1):
            for start, other in ((0, step), (step, 0)):
                part = found.narrow(dim, start, length - step)
                torch.maximum(part, field.narrow(dim, other, length - step), out=part)
        field = found
    return field
