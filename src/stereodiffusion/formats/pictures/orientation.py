"""Which way up a picture lies in its file."""

import numpy as np
from jaxtyping import Shaped


def upright(pixels: Shaped[np.ndarray, "h w *c"], orientation: int) -> Shaped[np.ndarray, "h2 w2 *c"]:
    """Undoes the orientation 1 ... 8 of EXIF 2.3 and TIFF 6.0, tag 274."""
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return pixels.swapaxes(0, 1)
        case 6:
            return pixels[::-1].swapaxes(0, 1)
        case 7:
            return pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return pixels[:, ::-1].swapaxes(0, 1)
        case _:
            return pixels
