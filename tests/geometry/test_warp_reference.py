"""The splat beside a pixel-by-pixel implementation that shares nothing with it.

It works on exact fractions, looks at every surface for every target cell, and orders by disparity.
"""

from fractions import Fraction
from typing import Literal

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereodiffusion.geometry import Disparity, SplatMode, splat

Direction = Literal["left", "right"]
HALF = Fraction(1, 2)


Cell = tuple[float, Fraction | None]
"""Colour and disparity; None where the disparity is unknown."""


def whole_cells(row: list[Cell], to: Direction) -> list[float | None]:
    """Each cell in turn, from the farthest to the nearest, painted over what is there."""
    out: list[float | None] = [None] * len(row)
    drawn = [(d, i, colour) for i, (colour, d) in enumerate(row) if d is not None]
    for d, i, colour in sorted(drawn):
        target = i + int(d) if to == "left" else i - int(d)
        if 0 <= target < len(row):
            out[target] = colour
    return out


def polyline(row: list[Cell], to: Direction) -> list[float | None]:
    """For each target cell, the nearest of all the surfaces that pass over its centre."""
    return [_seen_at(t, row, to) for t in range(len(row))]


def _seen_at(t: int, row: list[Cell], to: Direction) -> float | None:
    hits: list[tuple[Fraction, float]] = []
    for i, (colour, d) in enumerate(row):
        if d is None:
            continue
        u = i + d if to == "left" else i - d
        # Free ends reach half a cell further. At a tie, seen from the target eye, the cell on its own side gives way.
        after, before = (t - u, u - t) if to == "right" else (u - t, t - u)
        neighbour_after, neighbour_before = (i + 1, i - 1) if to == "right" else (i - 1, i + 1)
        if (
            t == u
            or (0 < after < HALF and not _joined(row, i, neighbour_after))
            or (0 < before <= HALF and not _joined(row, i, neighbour_before))
        ):
            hits.append((d, colour))
        if _joined(row, i, i + 1):
            next_colour, next_d = row[i + 1]
            assert next_d is not None
            next_u = i + 1 + next_d if to == "left" else i + 1 - next_d
            if u < t < next_u:
                w = (t - u) / (next_u - u)
                hits.append(((1 - w) * d + w * next_d, float(1 - w) * colour + float(w) * next_colour))
    return max(hits)[1] if hits else None


def _joined(row: list[Cell], i: int, j: int) -> bool:
    if not (0 <= i < len(row) and 0 <= j < len(row)):
        return False
    d, e = row[i][1], row[j][1]
    return d is not None and e is not None and abs(d - e) <= 1


def rows_of(width: int) -> st.SearchStrategy[list[Cell]]:
    def row(values: st.SearchStrategy[int]) -> st.SearchStrategy[list[int]]:
        return st.lists(values, min_size=width, max_size=width)

    def walk(steps: list[int]) -> list[int]:
        return [abs(sum(steps[: i + 1])) for i in range(len(steps))]

    def cells(values: tuple[list[int], list[int], list[int]]) -> list[Cell]:
        colours, eighths, unknown = values
        return [
            (colour / 4, None if blank == 0 else Fraction(d, 8))
            for colour, d, blank in zip(colours, eighths, unknown, strict=True)
        ]

    wild = row(st.integers(0, 64))
    whole = row(st.integers(0, 8).map(lambda k: 8 * k))
    smooth = row(st.integers(-8, 8)).map(walk)
    known = st.one_of(st.just([1] * width), row(st.integers(0, 6)))
    return st.tuples(row(st.integers(-40, 40)), st.one_of(wild, whole, smooth), known).map(cells)


pictures = st.integers(1, 14).flatmap(lambda width: st.lists(rows_of(width), min_size=4, max_size=4))


@given(pictures, st.sampled_from(["left", "right"]), st.sampled_from(["paper", "subpixel"]))
@settings(deadline=None, max_examples=60)
def test_agrees_with_the_reference(picture: list[list[Cell]], to: Direction, mode: SplatMode) -> None:
    reference = whole_cells if mode == "paper" else polyline
    expected = [reference(row, to) for row in picture]
    view = torch.tensor([[colour for colour, _ in row] for row in picture])[None, None]
    pixels = torch.tensor([[float(d or 0) for _, d in row] for row in picture])
    known = torch.tensor([[d is not None for _, d in row] for row in picture])
    warped = splat(view, Disparity.from_pixels(pixels, known=known), to=to, mode=mode)
    assert warped.occlusion[0, 0].tolist() == [[value is None for value in row] for row in expected]
    drawn = torch.tensor([[0.0 if value is None else value for value in row] for row in expected])
    torch.testing.assert_close(warped.view[0, 0], drawn, atol=2e-3, rtol=0)
