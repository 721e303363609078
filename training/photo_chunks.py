"""Procedural photographs on disk, for training.photo_depth.

    python -m training.photo_chunks --rest 1     # goes on; the oldest chunks make room
    python -m training.photo_chunks --show sheet.png

A chunk holds ``images`` (n, h, w, 3) uint8 and ``inverse`` (n, h, w) uint16, inverse depth over the nearest one's;
its shape is one of ``SIZES``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np

from training.photo_scenes import SCENES, draw
from training.photo_studio import Studio
from training.pictures import WORK

FOLDER = WORK / "photo_scenes"
CHUNK = 200
SIZES = ((192, 256), (192, 256), (192, 256), (224, 224), (256, 192), (128, 320))
_KEPT = 120  # chunks on disk


def write_chunk(index: int) -> Path:
    """Draw and store a chunk; its seed is its index."""
    studio = Studio(index)
    size = SIZES[index % len(SIZES)]
    images = np.empty((CHUNK, *size, 3), np.uint8)
    inverse = np.empty((CHUNK, *size), np.uint16)
    for i in range(CHUNK):
        scene = draw(studio, size)
        images[i], inverse[i] = scene.image, np.round(65535 * scene.inverse)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, array in (("inverse", inverse), ("images", images)):
        path = FOLDER / f"{index:06d}_{name}.npy"
        np.save(path.with_suffix(".new.npy"), array)
        path.with_suffix(".new.npy").replace(path)
    return FOLDER / f"{index:06d}_images.npy"


def _show(path: Path, seed: int) -> None:
    """A sheet of every kind, pictures beside inverse depth."""
    studio, rows = Studio(seed), []
    for maker, _ in SCENES:
        row = []
        for _ in range(3):
            scene = maker(studio, (192, 256))
            row += [scene.image[..., ::-1], cv2.applyColorMap(np.uint8(255 * scene.inverse), cv2.COLORMAP_TURBO)]
        rows.append(np.hstack(row))
    cv2.imwrite(str(path), np.vstack(rows))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000, help="to add")
    parser.add_argument("--rest", type=float, default=0.0, help="times what a chunk took, after it")
    parser.add_argument("--show", type=Path, help="write a sheet of pictures instead")
    parser.add_argument("--seed", type=int, default=10_000_000)
    options = parser.parse_args()
    os.nice(19 - os.nice(0))
    cv2.setNumThreads(1)
    if options.show:
        _show(options.show, options.seed)
        return
    stored = sorted(FOLDER.glob("*_images.npy"))
    first = int(stored[-1].name[:6]) + 1 if stored else 0
    for index in range(first, first + options.chunks):
        begun = time.time()
        print(f"{write_chunk(index)} written", flush=True)
        time.sleep(options.rest * (time.time() - begun))
        for old in sorted(FOLDER.glob("*_images.npy"))[:-_KEPT]:
            old.with_name(old.name.replace("images", "inverse")).unlink(missing_ok=True)
            old.unlink()


if __name__ == "__main__":
    main()
