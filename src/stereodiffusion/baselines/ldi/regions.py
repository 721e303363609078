"""Where something has to be continued behind a discontinuity, and from what (section 3.2).

The links across a discontinuity are cut. The cells on its far side, the background silhouette, are where the
background goes on behind the foreground: from there a flood fill grows the *synthesis region* over the places that
the foreground hides, and another one, along links, the *context region* over the background that is seen.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from stereodiffusion.baselines.ldi.edges import JUMP_PX, Discontinuities
from stereodiffusion.baselines.ldi.layered import LayeredImage, Surface

CONTEXT_STEPS = 60
"""How far the context reaches, in cells (the paper: 100 steps at 1024 columns)."""

RIM_PX = 2
"""How far the colours of foreground and background mix in a photograph (the paper: 5 at 1024 columns)."""

_SMOOTHING = 10  # rounds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regions:
    """What is continued behind a surface, on its grid.

    Attributes:
        synthesis: places that get a pixel behind the surface.
        disparity: of these pixels, continued from the background silhouettes; 0 elsewhere.
        context: cells of the surface that the synthesis takes its material from.
        rim: background cells so close to a discontinuity that their colour is mixed with the foreground's; they are
            coloured anew together with the synthesis region ("dilate the synthesis region" in the paper).
    """

    synthesis: Bool[np.ndarray, "h w"]
    disparity: Float[np.ndarray, "h w"]
    context: Bool[np.ndarray, "h w"]
    rim: Bool[np.ndarray, "h w"]


class Silhouette(NamedTuple):
    """The far sides of all cuts: one entry per cut.

    Attributes:
        cell: the background cell, as a flat index.
        hidden: the place across the cut, where the foreground is (or nothing, beyond the frame).
        steps: how far the foreground reaches over the background: the jump in disparity, in cells.
    """

    cell: Int[np.ndarray, " n"]
    hidden: Int[np.ndarray, " n"]
    steps: Int[np.ndarray, " n"]


def background_silhouette(
    surface: Surface, edges: Discontinuities, *, frontier: Bool[np.ndarray, "h w"] | None = None
) -> Silhouette:
    """The background cells of all cuts.

    Args:
        surface: what is looked at.
        edges: its discontinuities.
        frontier: only cuts whose foreground cell lies in here count; all by default.
    """
    height, width = surface.disparity.shape
    place = np.arange(height * width).reshape(height, width)
    d = surface.disparity.ravel()
    ends = [
        (edges.right[:, :-1], place[:, :-1], place[:, 1:]),
        (edges.down[:-1], place[:-1], place[1:]),
    ]
    a = np.concatenate([first[number > 0] for number, first, _ in ends])
    b = np.concatenate([second[number > 0] for number, _, second in ends])
    behind = d[a] < d[b]
    cell, hidden = np.where(behind, a, b), np.where(behind, b, a)
    # A cut along a row opens by as many columns as the disparity jumps; beyond the frame there is no end.
    steps = np.ceil(np.minimum(d[hidden] - d[cell], width)).astype(np.intp) + 1
    if frontier is not None:
        counted = frontier.ravel()[hidden]
        cell, hidden, steps = cell[counted], hidden[counted], steps[counted]
    return Silhouette(cell, hidden, steps)


def grow_regions(image: LayeredImage, surface: Surface, silhouette: Silhouette) -> Regions:
    """Flood both regions of all discontinuities at once; a place belongs to the silhouette that reaches it first."""
    synthesis, disparity = _grow_synthesis(surface, silhouette)
    context, rim = _grow_context(image, surface, silhouette)
    return Regions(synthesis=synthesis, disparity=disparity, context=context & ~rim, rim=rim)


def _grow_synthesis(
    surface: Surface, silhouette: Silhouette
) -> tuple[Bool[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Step to all four sides from the silhouettes, as long as the surface there is in front and hides the new pixel."""
    shape = surface.disparity.shape
    front = surface.disparity.ravel()
    disparity = np.zeros(front.size, dtype=np.float32)
    reached = np.zeros(front.size, dtype=bool)
    to, value, steps = silhouette.hidden, front[silhouette.cell], silhouette.steps
    while to.size:
        free = ~reached[to] & (front[to] > value + JUMP_PX) & (steps > 0)
        new, found = np.unique(to[free], return_inverse=True)
        value = (np.bincount(found, value[free]) / np.bincount(found)).astype(np.float32)
        most = np.zeros(new.size, dtype=np.intp)
        np.maximum.at(most, found, steps[free])
        reached[new] = True
        disparity[new] = value
        to, origin = _neighbours(new, shape)
        value, steps = value[origin], most[origin] - 1
    region = reached.reshape(shape)
    return region, _smooth(disparity.reshape(shape), region, surface)


def _grow_context(
    image: LayeredImage, surface: Surface, silhouette: Silhouette
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Step along links from the silhouettes.

    Links lead round the ends of a discontinuity onto its foreground, so nothing counts that is nearer than half way
    between the silhouette it is reached from and the foreground there.
    """
    shape = surface.disparity.shape
    d = surface.disparity.ravel()
    links = _surface_links(image, surface)
    reached = np.zeros(d.size, dtype=bool)
    limit = (d[silhouette.cell] + np.minimum(d[silhouette.hidden], d[silhouette.cell] + shape[1])) / 2
    mixed = np.isfinite(d[silhouette.hidden])  # beyond the frame is nothing to mix with
    rim = np.zeros(d.size, dtype=bool)
    to = silhouette.cell
    for step in range(CONTEXT_STEPS):
        free = ~reached[to] & (d[to] <= limit)
        cell, found = np.unique(to[free], return_inverse=True)
        if not cell.size:
            break
        highest = np.full(cell.size, -np.inf, dtype=np.float32)
        np.maximum.at(highest, found, limit[free])
        reached[cell] = True
        near = np.zeros(cell.size, dtype=bool)
        np.logical_or.at(near, found, mixed[free])
        if step < RIM_PX:
            rim[cell] = near
        to, origin = _neighbours(cell, shape, links)
        limit, mixed = highest[origin], near[origin]
    return reached.reshape(shape), _anchored(rim, reached, links, shape).reshape(shape)


def _anchored(
    rim: Bool[np.ndarray, " n"],
    context: Bool[np.ndarray, " n"],
    links: tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]],
    shape: tuple[int, int],
) -> Bool[np.ndarray, " n"]:
    """The rim cells that have clean context right beside them; what is thin is all rim, and must stay as it is."""
    clean = np.flatnonzero(context & ~rim)
    anchored = np.zeros_like(rim)
    for _ in range(RIM_PX):
        to, _ = _neighbours(clean, shape, links)
        clean = np.unique(to[rim[to] & ~anchored[to]])
        anchored[clean] = True
    return anchored


def _neighbours(
    cell: Int[np.ndarray, " n"],
    shape: tuple[int, int],
    links: tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]] | None = None,
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """The cells beside each cell, only the linked ones if links are given, and whose neighbour each is."""
    y, x = np.divmod(cell, shape[1])
    which = np.arange(cell.size)
    across, along = (None, None) if links is None else links
    found: list[tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]] = []
    for step_y, step_x, link in ((0, 1, across), (0, -1, across), (1, 0, along), (-1, 0, along)):
        inside = (y + step_y >= 0) & (y + step_y < shape[0]) & (x + step_x >= 0) & (x + step_x < shape[1])
        if link is not None:
            # A link belongs to the upper or left one of its two cells.
            inside[inside] = link[y[inside] + min(step_y, 0), x[inside] + min(step_x, 0)]
        found.append(((cell + step_y * shape[1] + step_x)[inside], which[inside]))
    return np.concatenate([to for to, _ in found]), np.concatenate([origin for _, origin in found])


def _surface_links(image: LayeredImage, surface: Surface) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Which cells of a peeled surface are connected with the next column, and with the next row."""
    layer = surface.layer
    index = np.maximum(layer, 0).astype(np.intp)[None]
    right = np.take_along_axis(image.right, index, axis=0)[0]
    down = np.take_along_axis(image.down, index, axis=0)[0]
    across = np.zeros(layer.shape, dtype=bool)
    along = np.zeros(layer.shape, dtype=bool)
    across[:, :-1] = (right[:, :-1] == layer[:, 1:]) & (layer[:, :-1] >= 0) & (layer[:, 1:] >= 0)
    along[:-1] = (down[:-1] == layer[1:]) & (layer[:-1] >= 0) & (layer[1:] >= 0)
    return across, along


def _smooth(
    disparity: Float[np.ndarray, "h w"], region: Bool[np.ndarray, "h w"], surface: Surface
) -> Float[np.ndarray, "h w"]:
    """Even out the noise that each row brings from its own silhouette cell, between cells of one surface."""
    stride = region.shape[1] + 2
    usable = np.pad(region | np.isfinite(surface.disparity), 1).ravel()
    values = np.pad(np.where(region | np.isinf(surface.disparity), disparity, surface.disparity), 1).ravel()
    y, x = np.nonzero(region)
    own = (y + 1) * stride + x + 1
    sides = [own + step for step in (1, -1, stride, -stride)]
    joined = [usable[side] & (np.abs(values[side] - values[own]) <= JUMP_PX) for side in sides]
    weight = 1 + np.sum(joined, axis=0, dtype=np.float32)
    for _ in range(_SMOOTHING):
        total = values[own]
        for side, counts in zip(sides, joined, strict=True):
            total += np.where(counts, values[side], np.float32(0))
        values[own] = total / weight
    smooth = values.reshape(-1, stride)[1:-1, 1:-1]
    # A pixel that came to lie before what hides it would be seen.
    return np.where(region, np.minimum(smooth, surface.disparity - JUMP_PX), np.float32(0))
