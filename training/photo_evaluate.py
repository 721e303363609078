"""How well photo-depth orders real scenes: correlation of its inverse depth with Middlebury's true disparity.

    STEREO_DATA=../shared/data python -m training.photo_evaluate [--sheet maps.png] [--long 256]

Nothing of these scenes is trained on.  Beside every correlation stands that of the row number, which knows nothing
but that what is lower in a picture is nearer.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stereodiffusion.models.estimators.spread import GLPNWithSpread
from training.photo_depth import averaged

Floats = NDArray[np.floating]
_NAMES = (("view1.png", "disp1.png"), ("im2.png", "disp2.png"), ("im0.png", "disp0.pfm"))


class Truth(NamedTuple):
    """A scene's left picture (h, w, 3) uint8 and its disparity (h, w), 0 where unknown."""

    name: str
    image: NDArray[np.uint8]
    disparity: Floats


def scenes(root: Path) -> list[Truth]:
    """Every Middlebury scene with disparity below ``root``."""
    found = []
    for folder in sorted((root / "middlebury").glob("*/*")):
        for picture, disparity in _NAMES:
            if (folder / picture).exists() and (folder / disparity).exists():
                image = cv2.imread(str(folder / picture), cv2.IMREAD_COLOR)[..., ::-1]
                truth = cv2.imread(str(folder / disparity), cv2.IMREAD_UNCHANGED).astype(np.float64)
                truth = truth if truth.ndim == 2 else truth[..., 0]
                found.append(Truth(folder.name, np.ascontiguousarray(image), np.where(np.isfinite(truth), truth, 0)))
    return found


@torch.no_grad()
def predict(model: GLPNWithSpread, image: NDArray[np.uint8], long_side: int) -> tuple[Floats, Floats]:
    """Inverse depth and the logarithm of its expected error, at the picture's size."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    size = [max(32, round(n * scale / 32) * 32) for n in (width, height)]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    maps = model.predict(torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255)
    inverse, spread = (cv2.resize(m[0].numpy(), (width, height), interpolation=cv2.INTER_LINEAR) for m in maps)
    return inverse, spread


def correlation(guess: Floats, truth: Truth) -> float:
    """Pearson's, where the truth is known."""
    known = truth.disparity > 0
    return float(np.corrcoef(guess[known], truth.disparity[known])[0, 1])


def table(truths: list[Truth], guess: Callable[[NDArray[np.uint8]], Floats]) -> list[tuple[str, float, float]]:
    """Name, correlation of ``guess`` and of the row number, of every scene."""
    return [(t.name, correlation(guess(t.image), t), correlation(np.mgrid[: len(t.image), : t.image.shape[1]][0], t))
            for t in truths]  # fmt: skip


def sheet(model: GLPNWithSpread, root: Path, truths: list[Truth], long_side: int, path: Path) -> None:
    """Pictures, maps, maps faded to their mean where unsure, and (Middlebury) the truth, as one PNG."""
    photos = [(p, None) for p in sorted((root / "photos").glob("*.*g"))]
    cells = []
    for source, truth in [*photos, *((t, t.disparity) for t in truths)]:
        image = source.image if isinstance(source, Truth) else cv2.imread(str(source), cv2.IMREAD_COLOR)[..., ::-1]
        inverse, spread = predict(model, image, long_side)
        shown = [image[..., ::-1], _coloured(inverse), _coloured(-spread)] + (
            [] if truth is None else [_coloured(truth)]
        )
        cells.append(np.hstack([cv2.resize(s, (192, 144), interpolation=cv2.INTER_AREA) for s in shown]))
    wide = max(c.shape[1] for c in cells)
    cells = [np.pad(c, ((0, 4), (0, wide + 6 - c.shape[1]), (0, 0))) for c in cells]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % 2)
    cv2.imwrite(str(path), np.vstack([np.hstack(cells[i : i + 2]) for i in range(0, len(cells), 2)]))


def _coloured(values: Floats) -> NDArray[np.uint8]:
    low, high = np.quantile(values, [0.01, 0.99])
    return cv2.applyColorMap(np.uint8(255 * np.clip((values - low) / (high - low + 1e-9), 0, 1)), cv2.COLORMAP_TURBO)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", type=int, default=256, help="pixels of the long side that the network sees")
    parser.add_argument("--sheet", type=Path, help="also draw maps into this PNG")
    options = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(os.environ.get("STEREO_DATA", Path(__file__).parents[2] / "shared" / "data"))
    model, truths = averaged(), scenes(root)
    rows = table(truths, lambda image: predict(model, image, options.long)[0])
    for name, ours, row in [*rows, ("mean", *np.mean([r[1:] for r in rows], 0))]:
        print(f"{name:12} {ours:6.3f}   row number {row:6.3f}")
    if options.sheet:
        sheet(model, root, truths, options.long, options.sheet)


if __name__ == "__main__":
    main()
