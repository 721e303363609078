"""The right view of a picture of any size, in bands of rows: what `compose` makes of a whole picture, bit for bit."""

from collections.abc import Iterator

import torch

from stereodiffusion.config import StereoConfig
from stereodiffusion.geometry import EXTENDED_BLOCK, Band, Disparity, bands, rows_around_borders
from stereodiffusion.synthesis.compose import KnownView, border_radius, compose, known_view
from stereodiffusion.types import Image, Region

_CELLS_AT_ONCE = 1 << 20  # some 200 MB of working memory


def draw_right(left: Image, disparity: Disparity, onto: Image, config: StereoConfig) -> Region:
    """Draw the right view of a left picture.

    Args:
        left: (b, 3, h, w), sRGB in [0, 1].
        disparity: Of the left picture on its grid, dense and final.
        onto: What the model changed in the right view, as `compose` takes it; becomes the right view.
        config: `borders` and `frame`.

    Returns:
        The occlusion of the right view.
    """
    occlusion = torch.empty_like(disparity.known)
    for band, known in known_in_bands(left, disparity, config):
        rows = slice(None), slice(None), band.rows
        onto[rows] = compose(known, onto[rows])
        occlusion[rows] = ~known.visible
    return occlusion


def known_in_bands(
    left: Image, disparity: Disparity, config: StereoConfig, *, cells: int = _CELLS_AT_ONCE
) -> Iterator[tuple[Band, KnownView]]:
    """The `known_view` of a left picture, some rows at a time.

    A row that shows nothing is continued from rows that may lie anywhere. If there is one, parallax being wider than
    the picture, the rest comes as a whole.

    Args:
        left: (b, 3, h, w), sRGB in [0, 1].
        disparity: Of the left picture on its grid, dense and final.
        config: `borders` and `frame`.
        cells: How many pixels to compute at once, about.
    """
    batch, _, height, width = left.shape
    radius = border_radius(height)
    around = rows_around_borders(radius)
    for band in bands(height, batch * width, halo=EXTENDED_BLOCK, align=EXTENDED_BLOCK, cells=cells):
        first, last = max(0, band.seen.start - around), min(height, band.seen.stop + around)
        wanted = slice(band.seen.start - first, band.seen.stop - first)
        around_it = disparity.crop(first, 0, last - first, width)
        known = known_view(left[:, :, first:last], around_it, config, radius=radius, rows=wanted)
        if wanted != slice(0, height) and not bool(known.seen.known.any(dim=-1).all()):
            rest = slice(band.rows.start, height)
            yield Band(rows=rest, seen=slice(0, height)), known_view(left, disparity, config).rows(rest)
            return
        yield band, known.rows(band.within)
