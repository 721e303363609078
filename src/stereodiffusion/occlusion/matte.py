"""Soft borders: a picture taken apart at its depth edges.

A pixel at an object's border is a mixture, I = α F + (1-α) B: some of it object, the rest background (Porter & Duff
1984). Moved as a whole it carries a rim of the old background to a new one, or leaves a rim of the object behind. So
the cells at a depth edge are taken apart. F and B are the colours of the two surfaces right beside them, α is where
between the two the cell's own colour lies, and each part moves with its own surface.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from stereodiffusion.geometry.disparity import Disparity, check_dense
from stereodiffusion.occlusion.weighted import weighted_mean
from stereodiffusion.types import Image, Map

_JUMP_PX = 1.5  # what differs less is one surface
_STEP_PX = 1.0  # and so is what differs less from cell to cell, however steep: moved, it stays in one piece
_CONTRAST = 0.06  # surfaces whose colours are closer (Euclidean, sRGB in [0, 1]) tell nothing about a mixture
_THIRD_COLOUR = 0.4  # of the distance between both colours; what lies farther off the line between them is a third
_LEAST_THIRD_COLOUR = 0.1
_ONE_BORDER_PX = 3  # neighbours along a border that differ by no more are of one thing, roughly mapped
_CELLS_AT_ONCE = 1 << 14  # of edges


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
    nearer, farther, found = _surfaces_beside(picture, pixels, edge, at, reach=radius + 1)
    at = tuple(index[found] for index in at)
    (near_px, front), (far_px, behind) = (surface[found].split([1, 3], dim=1) for surface in (nearer, farther))

    own = picture.movedim(1, -1)[at]
    alpha = _mixture(own, front, behind, pixels.squeeze(1)[at], near_px, far_px)
    # α F as what is left of the mixture without the background: dividing by α or 1 - α would blow up small errors.
    of_behind = torch.where(alpha > 0, behind, own)
    of_front = own - (1 - alpha) * of_behind

    # The nearer surface beside the edge is in front as well, so that it and the border move as one piece.
    split = torch.zeros_like(edge).index_put((at[0], at[0] * 0, at[1], at[2]), torch.ones_like(at[0], dtype=torch.bool))
    near, far = _largest(pixels, 2 * radius + 1), -_largest(-pixels, 2 * radius + 1)
    in_front = (near - far > _JUMP_PX) & (pixels - far > near - pixels)
    beside = (_largest(split.to(pixels), radius + 1) > 0) & ~split & in_front
    opacity = _put(beside.to(pixels), at, alpha)
    front_px = torch.where(opacity > 0, _put(pixels, at, near_px), 0.0)
    return Layers(
        behind=_put(picture, at, of_behind),
        behind_disparity=Disparity(pixels=_put(pixels, at, far_px), known=everywhere),
        front=_put(picture * beside, at, of_front),
        opacity=opacity,
        front_disparity=_without_tears(Disparity(pixels=front_px, known=opacity > 0)),
    )


def rows_around_borders(radius: int) -> int:
    """How many rows above and below a row its part of the layers of `split_at_borders` depends on."""
    return 3 * radius + 2  # `beside` looks radius + 1 far for cells that look as far for edges, which look radius far


_Cells = tuple[Tensor, ...]
"""Cells of a batch of maps: picture, row, column, n of each."""

_Values: TypeAlias = Float[Tensor, "5 n"]
"""Of n cells: disparity, three colours, and 1 if the cell is no edge, else 0."""

_Weights: TypeAlias = Callable[[_Values], tuple[Float[Tensor, " n"], ...]]
"""How much cells count for each of several surfaces."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Around:
    """What lies around cells: at each step of a square of side 2 reach + 1.

    Attributes:
        planes: Of all cells, `reach` more on each side, which repeat the outermost.
        place: Of the n cells, in a plane.
        width: Of a row of a plane.
        reach: Of the square.
    """

    planes: Float[Tensor, "5 cells"]
    place: Int[Tensor, " n"]
    width: int
    reach: int

    @classmethod
    def of(cls, fields: Float[Tensor, "b 5 h w"], at: _Cells, reach: int) -> "_Around":
        """What lies around cells of a batch of maps."""
        padded = pad(fields, (reach, reach, reach, reach), mode="replicate")
        number, row, column = at
        place = (number * padded.shape[2] + row + reach) * padded.shape[3] + column + reach
        return cls(planes=padded.transpose(0, 1).flatten(1), place=place, width=padded.shape[3], reach=reach)

    def only(self, where: Bool[Tensor, " n"]) -> "_Around":
        """Around some of the cells."""
        return replace(self, place=self.place[where])

    def means(self, weights: _Weights) -> list[tuple[Float[Tensor, "4 n"], Bool[Tensor, " n"]]]:
        """Mean disparity and colour of each surface, those close by counting more, and where there is anything."""
        sums: dict[int, Tensor] = {}
        steps = range(-self.reach, self.reach + 1)
        for dy, dx in product(steps, steps):
            values = self.planes.index_select(1, self.place + (dy * self.width + dx))
            for surface, weight in enumerate(weights(values)):
                share = weight / (1 + dy * dy + dx * dx)
                total = sums.setdefault(surface, torch.zeros_like(values))
                total[0] += share
                total[1:] += share * values[:4]
        found = [weighted_mean(total[1:], total[:1]) for total in sums.values()]
        return [(mean, there.squeeze(0)) for mean, there in found]


def _surfaces_beside(
    picture: Image, pixels: Map, edge: Bool[Tensor, "b 1 h w"], at: _Cells, *, reach: int
) -> tuple[Float[Tensor, "n 4"], Float[Tensor, "n 4"], Bool[Tensor, " n"]]:
    """Disparity and colour of the nearer and of the farther surface around cells of edges, and where both are found."""
    around = _Around.of(torch.cat([pixels, picture, (~edge).to(pixels)], 1), at, reach)
    middle = ((_largest(pixels, reach) - _largest(-pixels, reach)) / 2).squeeze(1)[at]
    # Some at a time: what all of them see at once would not stay in a processor's cache.
    parts = zip(around.place.split(_CELLS_AT_ONCE), middle.split(_CELLS_AT_ONCE), strict=True)
    found = [_two_surfaces(replace(around, place=place), level) for place, level in parts]
    near, far, both = zip(*found, strict=True)
    return torch.cat(near, 1).mT, torch.cat(far, 1).mT, torch.cat(both)


def _two_surfaces(
    around: _Around, middle: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "4 n"], Float[Tensor, "4 n"], Bool[Tensor, " n"]]:
    """What lies around above the middle, and what does not.

    Means over the cells around that are no edge themselves. Of what is so thin that it is all edges (a hair, a gap)
    over those; the less they look like the other surface, the less of it is mixed in, and the more they count.
    """
    (near, is_near), (far, is_far) = around.means(lambda of: (of[4] * (of[0] > middle), of[4] * (of[0] <= middle)))
    hair, gap = ~is_near & is_far, is_near & ~is_far

    def unlike(of: _Values, other: Float[Tensor, "4 m"]) -> Float[Tensor, " m"]:
        return (of[1:4] - other[1:]).square().sum(0)

    beyond, before, of_hair, of_gap = far[:, hair], near[:, gap], middle[hair], middle[gap]
    ((near[:, hair], is_near[hair]),) = around.only(hair).means(lambda of: ((of[0] > of_hair) * unlike(of, beyond),))
    ((far[:, gap], is_far[gap]),) = around.only(gap).means(lambda of: ((of[0] <= of_gap) * unlike(of, before),))
    return near, far, is_near & is_far


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


def _without_tears(border: Disparity) -> Disparity:
    """Steps along a row made slopes of one column a cell, with which no gap opens, unless they part two things.

    What the nearer surface has beside a cell is a mean of few cells, and where the map is rough it differs from the
    next one's: through the gaps, what is behind would be seen as specks.
    """
    pixels, both = border.pixels.clone(), border.known[..., 1:] & border.known[..., :-1]
    for _ in range(_ONE_BORDER_PX - 1):
        first, second = pixels[..., :-1], pixels[..., 1:]
        small = both & ((first - second).abs() <= _ONE_BORDER_PX)
        raised = torch.where(small, second - 1, -torch.inf), torch.where(small, first - 1, -torch.inf)
        pixels = torch.maximum(pixels, pad(raised[0], (0, 1), value=-torch.inf))
        pixels = torch.maximum(pixels, pad(raised[1], (1, 0), value=-torch.inf))
    return Disparity(pixels=pixels, known=border.known)


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
