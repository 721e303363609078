"""Draws occlusions.jpg of results.md: twelve occlusions at four times their size, in truth and by four methods.

python docs/occlusions.py MIDDLEBURY

Nobody chose them: of each scene it is the square with the most occluded pixels, away from the frame.
"""

import argparse
from pathlib import Path

import torch
from PIL.Image import Resampling

from stereodiffusion.bench.drawing import Cell, grid
from stereodiffusion.bench.methods import METHODS
from stereodiffusion.bench.protocols import Case, CaseKind, Preparation, prepare
from stereodiffusion.bench.tools import Tools
from stereodiffusion.datasets.middlebury import open_middlebury
from stereodiffusion.datasets.procedural import open_scenes
from stereodiffusion.formats import to_pil
from stereodiffusion.types import Image, Map, Region

EDGE, TIMES = 48, 4
DRAWN = 3
SHOWN = {
    "photography-3d": "3D Photography",
    "background-smooth": "continued smoothly\n(best before)",
    "background": "with exemplars",
    "sd-best": "best",
}


def most_hidden(hidden: Region) -> tuple[int, int]:
    """Row and column of the square with the most occluded pixels, none of it closer to the frame than its width."""
    inner = hidden[..., EDGE:-EDGE, EDGE:-EDGE].float()
    counts = torch.nn.functional.avg_pool2d(inner, EDGE, 1)
    row, column = divmod(int(counts.argmax()), counts.shape[-1])
    return row + EDGE, column + EDGE


def close_up(picture: Image, row: int, column: int) -> Cell:
    """A square, enlarged without smoothing."""
    part = to_pil(picture[..., row : row + EDGE, column : column + EDGE])
    return Cell(part.resize((TIMES * EDGE, TIMES * EDGE), Resampling.NEAREST))


def known_map(picture: Image) -> Map:
    """True disparity is used, so that nothing is estimated."""
    raise AssertionError(f"expected true disparity for a picture {tuple(picture.shape)}")


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("middlebury", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "images" / "occlusions.jpg")
    options = parser.parse_args()
    photographs, drawn = open_middlebury(options.middlebury), open_scenes(DRAWN)
    names = photographs.scenes[:: len(photographs) // (12 - DRAWN)][: 12 - DRAWN]
    tools = Tools(dtype="auto")
    methods = [METHODS[name](tools) for name in SHOWN]
    rows, sides = [], []
    for sample in (*map(photographs.read, names), *map(drawn.read, drawn.scenes)):
        case: Case = prepare(sample, CaseKind(protocol="metric", disparity="truth"), Preparation(), known_map)
        at = most_hidden(~case.visible)
        views = [case.right, *(method(case.left, case.disparity) for method in methods)]
        rows.append([close_up(view, *at) for view in views])
        sides.append(sample.name.replace("/", "\n"))
    headings = ["truth", *SHOWN.values()]
    sheet = grid(rows, title="", headings=headings, sides=sides)
    sheet.save(options.output, quality=92)


if __name__ == "__main__":
    main()
