"""A box before a wall, as arrays."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

HEIGHT, WIDTH = 40, 64
WALL_PX, BOX_PX = 2.0, 12.0
RED, BLUE, GREEN = (0.9, 0.1, 0.0), (0.1, 0.2, 0.9), (0.0, 1.0, 0.0)


class Scene(NamedTuple):
    """A picture, its disparity in pixels, and where the box is."""

    colour: Float[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    box: Bool[np.ndarray, "h w"]


def box_before_wall() -> Scene:
    """A green box before a wall that is red in its upper half and blue below."""
    colour = np.empty((HEIGHT, WIDTH, 3), dtype=np.float32)
    colour[: HEIGHT // 2], colour[HEIGHT // 2 :] = RED, BLUE
    disparity = np.full((HEIGHT, WIDTH), WALL_PX, dtype=np.float32)
    box = np.zeros((HEIGHT, WIDTH), dtype=bool)
    box[10:30, 24:44] = True
    colour[box], disparity[box] = GREEN, BOX_PX
    return Scene(colour, disparity, box)
