"""The layered depth image: any number of pixels behind one another at each place, and which of them are connected.

Section 3 of Shih et al. 2020. Layers are grids: layer 0 is the picture, and whatever is synthesised behind layer k lies
in a later layer at the same rows and columns. A pixel has at most one neighbour on each of its four sides; only
the layer in which that neighbour lies has to be stored.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int8

NO_LINK = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayeredImage:
    """Pixels with colour, disparity and connectivity; n layers of h rows and w columns.

    Attributes:
        colour: sRGB in [0, 1]; 0 where no pixel is.
        disparity: in pixels; 0 where no pixel is.
        present: where layers have pixels.
        right: the layer of the pixel in the next column that each pixel is connected with, `NO_LINK` without one.
        down: the same for the next row.
    """

    colour: Float[np.ndarray, "n h w 3"]
    disparity: Float[np.ndarray, "n h w"]
    present: Bool[np.ndarray, "n h w"]
    right: Int8[np.ndarray, "n h w"]
    down: Int8[np.ndarray, "n h w"]

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return self.present.shape[0]

    def deepest(self) -> Int8[np.ndarray, "h w"]:
        """The last layer with a pixel at each place, what is seen when all before it is peeled off; -1 without one."""
        index = np.arange(self.layers, dtype=np.int8)[:, None, None]
        return np.where(self.present, index, np.int8(-1)).max(axis=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """One value per place, picked from the layers of an image: what is seen after peeling.

    Attributes:
        layer: which layer each place shows, -1 where there is none.
        colour: its colour, 0 where there is none.
        disparity: its disparity in pixels; +inf where there is none: beyond the frame everything is hidden.
    """

    layer: Int8[np.ndarray, "h w"]
    colour: Float[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]


def from_picture(
    colour: Float[np.ndarray, "h w 3"],
    disparity: Float[np.ndarray, "h w"],
    *,
    margin: int,
    cut_right: Bool[np.ndarray, "h w2"],
    cut_down: Bool[np.ndarray, "h w2"],
) -> LayeredImage:
    """A single layer, in a frame that has `margin` empty columns more on the right.

    Cells are connected with all their neighbours except across the cuts (see `edges.Discontinuities`).
    """
    present = np.pad(np.ones(disparity.shape, dtype=bool), ((0, 0), (0, margin)))
    right, down = grid_links(present, cut_right, cut_down)
    return LayeredImage(
        colour=np.pad(colour, ((0, 0), (0, margin), (0, 0)))[None],
        disparity=np.pad(disparity, ((0, 0), (0, margin)))[None],
        present=present[None],
        right=np.where(right, np.int8(0), np.int8(NO_LINK))[None],
        down=np.where(down, np.int8(0), np.int8(NO_LINK))[None],
    )


def grid_links(
    present: Bool[np.ndarray, "h w"], cut_right: Bool[np.ndarray, "h w"], cut_down: Bool[np.ndarray, "h w"]
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Which cells of a grid are connected with the next column, and with the next row."""
    right = np.zeros_like(present)
    down = np.zeros_like(present)
    right[:, :-1] = present[:, :-1] & present[:, 1:] & ~cut_right[:, :-1]
    down[:-1] = present[:-1] & present[1:] & ~cut_down[:-1]
    return right, down


def peel(image: LayeredImage) -> Surface:
    """The deepest pixel at each place."""
    layer = image.deepest()
    index = np.maximum(layer, 0).astype(np.intp)[None]
    disparity = np.take_along_axis(image.disparity, index, axis=0)[0]
    colour = np.take_along_axis(image.colour, index[..., None], axis=0)[0]
    return Surface(layer=layer, colour=colour, disparity=np.where(layer < 0, np.float32(np.inf), disparity))


def with_layer(
    image: LayeredImage,
    *,
    behind: Surface,
    colour: Float[np.ndarray, "h w 3"],
    disparity: Float[np.ndarray, "h w"],
    present: Bool[np.ndarray, "h w"],
    cut_right: Bool[np.ndarray, "h w"],
    cut_down: Bool[np.ndarray, "h w"],
) -> LayeredImage:
    """Put a layer of synthesised pixels behind a surface and connect it (section 3.2, "merge back into the LDI").

    The new pixels are connected with one another and with the pixels of `behind` beside them, except across
    the cuts, which are those of the peeled image that the new layer completes. Links of old pixels are kept:
    only free sides get new ones.
    """
    new = np.int8(image.layers)
    layer = np.where(present, new, behind.layer)
    fresh_right, fresh_down = grid_links(layer >= 0, cut_right, cut_down)
    fresh_right[:, :-1] &= present[:, :-1] | present[:, 1:]
    fresh_down[:-1] &= present[:-1] | present[1:]
    empty = np.full((1, *present.shape), NO_LINK, dtype=np.int8)
    right = np.concatenate([image.right, empty])
    down = np.concatenate([image.down, empty])
    _connect(right, layer, fresh_right, axis=1)
    _connect(down, layer, fresh_down, axis=0)
    return LayeredImage(
        colour=np.concatenate([image.colour, np.where(present[..., None], colour, np.float32(0))[None]]),
        disparity=np.concatenate([image.disparity, np.where(present, disparity, np.float32(0))[None]]),
        present=np.concatenate([image.present, present[None]]),
        right=right,
        down=down,
    )


def recoloured(
    image: LayeredImage, surface: Surface, where: Bool[np.ndarray, "h w"], colour: Float[np.ndarray, "h w 3"]
) -> LayeredImage:
    """Give pixels of a peeled surface new colours; `where` they are given, the surface has pixels."""
    y, x = np.nonzero(where)
    colours = image.colour.copy()
    colours[surface.layer[y, x], y, x] = colour[y, x]
    return replace(image, colour=colours)


def _connect(
    links: Int8[np.ndarray, "n h w"], layer: Int8[np.ndarray, "h w"], fresh: Bool[np.ndarray, "h w"], *, axis: int
) -> None:
    """Write links between the pixels of a peeled surface, where both are free on that side."""
    y, x = np.nonzero(fresh)
    step_y, step_x = (1, 0) if axis == 0 else (0, 1)
    near, far = layer[y, x], layer[y + step_y, x + step_x]
    # The far pixel is taken if any layer's pixel at (y, x) links to it already.
    taken = (links[:, y, x] == far).any(axis=0) | (links[near, y, x] != NO_LINK)
    links[near[~taken], y[~taken], x[~taken]] = far[~taken]
