"""The quilt: many views in one picture, for light-field displays.

Rows go from the bottom to the top, views from the left to the right: the leftmost view is the lower left tile. The
name of the file says how to cut it, `_qs8x6a0.75` for 8 columns, 6 rows and views of 3 : 4 (width : height), as
Looking Glass software reads it (https://lookingglassfactory.com/tutorial/what-is-a-quilt).
"""

import re
from collections.abc import Mapping
from glob import escape
from math import log
from pathlib import Path

import PIL.Image
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.pictures.image import NO_SETTINGS, encode_pil, to_pil

_CUT = re.compile(r"_qs(\d{1,3})x(\d{1,3})a[\d.]+")


def quilt_grid(count: int, height: int, width: int) -> tuple[int, int]:
    """(columns, rows) of a quilt without empty tiles, as close to a square as it can be.

    Args:
        count: Number of views.
        height: Of a view in pixels.
        width: Of a view in pixels.
    """
    if count < 1:
        raise FormatError(f"expected at least one view, got {count}")
    columns = [number for number in range(1, count + 1) if count % number == 0]

    def oblong(columns: int) -> float:
        return abs(log(columns * width / (count // columns * height)))

    best = min(columns, key=oblong)
    return best, count // best


def quilts_of(path: Path) -> list[Path]:
    """The quilts that are there already under the name that `path` gives them."""
    return sorted(path.parent.glob(f"{escape(path.stem)}_qs*x*a*{escape(path.suffix)}"))


def outermost(
    quilt: Float[Tensor, "1 channels h w"], stem: str
) -> tuple[Float[Tensor, "1 channels h2 w2"], Float[Tensor, "1 channels h2 w2"], int]:
    """The leftmost and the rightmost view of a quilt, and how many there are; its name says how to cut it.

    Raises:
        FormatError: If the name does not say so, or says what does not fit the picture.
    """
    said = _CUT.search(stem)
    if said is None:
        raise FormatError("expected a quilt whose name says how to cut it, such as _qs8x6a0.75")
    columns, rows = int(said[1]), int(said[2])
    height, width = quilt.shape[2:]
    if columns < 1 or rows < 1 or columns * rows < 2 or width % columns or height % rows:
        raise FormatError(f"expected two views or more of whole pixels, got {columns} x {rows} in {width} x {height}")
    tall, wide = height // rows, width // columns
    first, last = quilt[..., -tall:, :wide], quilt[..., :tall, -wide:]
    return first.contiguous(), last.contiguous(), columns * rows


class Quilt:
    """A picture that is put together view by view; it holds 8 bits per channel and no view for long.

    Args:
        count: Number of views that it will have.
        height: Of a view in pixels.
        width: Of a view in pixels.
    """

    def __init__(self, count: int, height: int, width: int) -> None:
        self._size = width, height
        self._columns, self._rows = quilt_grid(count, height, width)
        self._canvas = PIL.Image.new("RGB", (self._columns * width, self._rows * height))

    def put(self, number: int, view: Float[Tensor, "1 3 h w"]) -> None:
        """Lay a view in its place; number 0 is the leftmost.

        Raises:
            FormatError: If there is no such place, or the view is of another size.
        """
        tile = to_pil(view)
        row, column = divmod(number, self._columns)
        if not 0 <= row < self._rows:
            raise FormatError(f"expected a view below {self._columns * self._rows}, got number {number}")
        if tile.size != self._size:
            raise FormatError(f"expected views of {self._size[0]} x {self._size[1]}, got {tile.width} x {tile.height}")
        self._canvas.paste(tile, (column * self._size[0], (self._rows - 1 - row) * self._size[1]))

    def named(self, path: Path) -> Path:
        """The path with what tells a display how to cut the quilt, at the end of its stem."""
        aspect = self._size[0] / self._size[1]
        return path.with_name(f"{path.stem}_qs{self._columns}x{self._rows}a{aspect:.4g}{path.suffix}")

    def encode(self, suffix: str, settings: Mapping[str, object] = NO_SETTINGS) -> bytes:
        """The bytes of a still picture file."""
        return encode_pil(self._canvas, suffix, settings)
