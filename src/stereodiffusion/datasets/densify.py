"""From sparse disparity to dense, with the edges of the picture: for methods that need a value everywhere.

A laser scanner measures a fifth of KITTI's pixels. Interpolating between the nearest ones, as is common, invents
surfaces that lead from every object to what is behind it. Here two questions are answered one after the other:

1. To which surface does a cell belong? To that of the known cell it reaches by the cheapest path, where crossing an
   edge of the picture costs more than going around it: the geodesic distance that EpicFlow (Revaud et al. 2015)
   interpolates with, measured as by Toivanen (1996) in sweeps over the rows and columns.
2. Where on that surface does it lie? The answers to the first are flat patches, one around each known cell. They are
   pulled together into a membrane that is held by the known cells, and torn where two patches meet at a jump wider
   than `JUMP_PX`. A membrane renders slopes such as streets; jumps stay.

Known cells keep their values, and no value leaves the range of the known. What lies far from all known cells, as
the sky above the scanner's reach, takes the value of the closest surface; scores should count known cells only.
"""

from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Map, Region

Links: TypeAlias = Float[Tensor, "b 1 _ _"]
"""One number for every two neighbours along an axis: one cell fewer there than the map has."""

EDGE_COST = 60.0
"""Crossing from black to white is as far as so many cells without any edge."""

JUMP_PX = 2.0
"""Neighbouring patches that differ by much more belong to two surfaces. A street rises by 1/3 per row, and patches are
a few cells wide; where one object ends before another, disparity jumps by more."""

_ROUNDS = 2  # a sweep follows paths without turns; more than two rounds no longer change the result visibly
_STEPS = 40  # of the membrane: known cells are a few cells apart
_SLIGHTEST = 1e-6  # so that a cell between nothing but jumps still has neighbours


def densify(sparse: Disparity, picture: Image) -> Disparity:
    """A disparity map that is known everywhere, from one that is known in places.

    Args:
        sparse: Of the picture's own grid.
        picture: What the same eye sees.

    Raises:
        GeometryError: If the sizes differ, or nothing is known.
    """
    if (sparse.batch, *sparse.size) != (picture.shape[0], *picture.shape[2:]):
        raise GeometryError(
            f"expected a picture of the map's {sparse.batch} x {sparse.height} x {sparse.width}, "
            f"got {picture.shape[0]} x {picture.shape[2]} x {picture.shape[3]}"
        )
    if not bool(sparse.known.flatten(1).any(dim=1).all()):
        raise GeometryError("nothing to start from: no cell of the map is known")
    patches = _spread(sparse, picture)
    return Disparity(pixels=_stretch(patches, sparse.known), known=torch.ones_like(sparse.known))


def _spread(sparse: Disparity, picture: Image) -> Map:
    """For each cell the value of the known cell that is the closest along the surfaces of the picture."""
    value = sparse.pixels
    cost = torch.where(sparse.known, 0.0, torch.inf)
    for _ in range(_ROUNDS):
        for axis in (2, 3):
            step = 1 + EDGE_COST * picture.diff(dim=axis).abs().mean(dim=1, keepdim=True)
            for back in (False, True):
                cost, value = _sweep(cost, value, step.to(cost.dtype), axis=axis, back=back)
    return value


def _sweep(cost: Map, value: Map, step: Links, *, axis: int, back: bool) -> tuple[Map, Map]:
    """Along one axis, each cell takes over what the one before it has if the path through that is cheaper."""
    cost, value, step = (part.movedim(axis, 0).contiguous() for part in (cost.clone(), value.clone(), step))
    order = range(len(cost) - 2, -1, -1) if back else range(1, len(cost))
    for here in order:
        before = here + 1 if back else here - 1
        through = cost[before] + step[min(here, before)]
        cheaper = through < cost[here]
        cost[here] = torch.where(cheaper, through, cost[here])
        value[here] = torch.where(cheaper, value[before], value[here])
    return cost.movedim(0, axis), value.movedim(0, axis)


def _stretch(patches: Map, known: Region) -> Map:
    """Unknown cells become the mean of their neighbours, weighted by how surely those lie on one surface."""
    links = {axis: torch.exp(-((patches.diff(dim=axis) / JUMP_PX) ** 2)) + _SLIGHTEST for axis in (2, 3)}
    weight = torch.zeros_like(patches)
    for axis, link in links.items():
        _add_to_neighbours(weight, link, link, axis)
    mobility = torch.where(known, 0.0, 1 / weight)
    surface = patches
    for _ in range(_STEPS):
        pull = torch.zeros_like(patches)
        for axis, link in links.items():
            force = link * surface.diff(dim=axis)
            _add_to_neighbours(pull, force, -force, axis)
        surface = surface + mobility * pull
    return surface


def _add_to_neighbours(total: Map, first: Links, second: Links, axis: int) -> None:
    """Adds to the first and to the second of all neighbours along an axis."""
    length = total.shape[axis] - 1
    total.narrow(axis, 0, length).add_(first)
    total.narrow(axis, 1, length).add_(second)
