"""Large pictures in bands of rows, so that working memory does not grow with the picture.

What a row becomes depends on that row, or on that row and a few beside it. So a band, computed from itself and a halo
of the rows beside it, is what the whole picture would have given there, bit for bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from stereodiffusion.errors import GeometryError
from stereodiffusion.geometry.threads import side_by_side, threads_for

CELLS_AT_ONCE = 1 << 20
"""Cells that a band is to have: a band of one channel takes 4 MB."""

Fields: TypeAlias = tuple[Tensor, ...]
"""Pictures or maps, (b, c, h, w), whose rows belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Some rows of a picture.

    Attributes:
        rows: Those that the band gives.
        seen: Those that it is computed from.
    """

    rows: slice
    seen: slice

    @property
    def within(self) -> slice:
        """`rows`, counted from the first that is seen."""
        return slice(self.rows.start - self.seen.start, self.rows.stop - self.seen.start)


def bands(height: int, width: int, *, halo: int = 0, align: int = 1, cells: int = CELLS_AT_ONCE) -> Iterator[Band]:
    """Cut a picture into bands, each row in one of them.

    Args:
        height: Rows of the picture.
        width: Columns of it.
        halo: Rows on either side that a row depends on.
        align: Where bands may begin, also with their halo: at multiples of this many rows.
        cells: How many a band is to have, with its halo. It has more where it would give fewer rows than lie beside it.

    Raises:
        GeometryError: If a number is out of range.
    """
    if min(height, width, align, cells) < 1 or halo < 0:
        raise GeometryError(
            "height, width, align and cells must be at least 1 and halo at least 0, "
            f"got {height}, {width}, {align}, {cells} and {halo}"
        )
    halo = -(-halo // align) * align
    step = max((cells // width - 2 * halo) // align * align, 2 * halo, align)
    if height * width <= cells:
        step = height
    for start in range(0, height, step):
        stop = min(start + step, height)
        yield Band(rows=slice(start, stop), seen=slice(max(0, start - halo), min(height, stop + halo)))


def in_parts(
    height: int, width: int, device: torch.device, *, halo: int = 0, align: int = 1, cells: int = CELLS_AT_ONCE
) -> tuple[list[Band], int]:
    """Bands for `side_by_side`, and the threads to compute them on: one for a picture that is a band of its own."""
    threads = threads_for(device) if height * width > cells else 1
    return [*bands(height, width, halo=halo, align=align, cells=-(-cells // threads))], threads


def in_bands(function: Callable[..., Fields], *fields: Tensor, halo: int = 0, cells: int = CELLS_AT_ONCE) -> Fields:
    """What a function makes of fields, computed band by band, on all threads that torch may use.

    Args:
        function: From fields to fields; keeps the number of rows.
        fields: All of one height.
        halo: Rows on either side that a row of the result depends on.
        cells: How many all bands that are computed at a time are to have.
    """
    batch, _, height, width = fields[0].shape
    results: Fields = ()
    cut, threads = in_parts(height, batch * width, fields[0].device, halo=halo, cells=cells)

    def computed(band: Band) -> Fields:
        return function(*(field[..., band.seen, :] for field in fields))

    for band, parts in zip(cut, side_by_side(computed, cut, threads=threads), strict=True):
        if band.rows == slice(0, height):
            return parts
        if not results:
            results = tuple(part.new_empty((*part.shape[:-2], height, part.shape[-1])) for part in parts)
        for result, part in zip(results, parts, strict=True):
            result[..., band.rows, :] = part[..., band.within, :]
    return results
