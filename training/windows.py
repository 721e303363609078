"""Stage 2b: windows of large views with holes, what another eye cannot see, for the inpainting UNet.

    python -m training.windows --chunks 8      # 8 x 1000 windows of 256 x 256 pixels in views of 512 x 512

An occlusion is a few pixels wide. In a window at the photo's own scale that is a cell of the latents or more, and what
lies in it can be told; in the whole picture at the model's size it is less than one. The UNet is shown the window with
its holes filled as they are before a model sees them, by the background continued.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stereodiffusion.datasets.scenes import Scene, caption, render_disparity, render_image
from stereodiffusion.datasets.scenes.rendering import render_hidden
from stereodiffusion.geometry import Disparity
from stereodiffusion.occlusion import extend_background
from training.autoencoder import components
from training.pictures import WORK
from training.views import sample_view, seen_from
from training.words import LENGTH, build_tokenizer

CHUNK, SIDE, LARGE = 1000, 256, 512
CAPTIONS = 2
_PER_SCENE = 2
_FIRST_SEED = 40_000_000
_EYES_APART = 0.5, 3.0  # baselines, between a view and the one that is moved to its place
_WIDEST_RIM = 2  # pixels


def windows_path(chunk: int) -> Path:
    """Where a chunk of windows lies."""
    return WORK / "latents" / f"windows_{chunk:04d}.npz"


def view_with_holes(scene: Scene) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """The scene's left view, the same with its holes filled, both (h, w, 3), and where these are, (h, w).

    Hidden is what an eye half a baseline to three to the left does not see; holes are up to two pixels wider.
    """
    rng = np.random.default_rng([scene.seed, 5])
    apart = float(rng.uniform(*_EYES_APART)) * scene.rig.baseline_m
    beside = seen_from(scene, -apart)
    hidden = render_hidden(replace(beside, rig=replace(beside.rig, baseline_m=apart)), (LARGE, LARGE), eye="right")
    wider = 1 + 2 * int(rng.integers(_WIDEST_RIM + 1))
    holes = cv2.dilate(hidden.astype(np.uint8), np.ones((wider, wider), np.uint8)) > 0
    view, disparity = render_image(scene, (LARGE, LARGE)), render_disparity(scene, (LARGE, LARGE))
    known = torch.from_numpy(~holes)[None, None]
    seen = Disparity(pixels=torch.from_numpy(disparity)[None, None] * known, known=known)
    filled = extend_background(torch.from_numpy(view).movedim(-1, 0)[None] * known, seen)
    return view, filled[0].movedim(0, -1).numpy(), holes


def _corner(holes: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a window that shows some hole, on whole cells."""
    rows, columns = np.nonzero(holes)
    at = rng.integers(len(rows))
    corner = (int(np.clip(place[at] - rng.integers(SIDE), 0, LARGE - SIDE)) // 8 * 8 for place in (rows, columns))
    return next(corner), next(corner)


def make_chunk(chunk: int) -> None:
    """Render, encode and store one chunk."""
    tokenizer, linear = build_tokenizer(WORK / f"tokenizer_{os.getpid()}"), components()
    cells = SIDE // 8

    def encode(picture: NDArray[np.float32]) -> Tensor:
        both = np.stack([picture, picture[:, ::-1]])
        return linear.encode(2 * torch.from_numpy(both).permute(0, 3, 1, 2) - 1)

    latents = np.empty((CHUNK, 2, 8, cells, cells), np.float16)
    known, words = np.empty_like(latents), np.empty((CHUNK, 2, CAPTIONS, LENGTH), np.int16)
    hole_cells = np.empty((CHUNK, cells, cells), np.bool_)
    count, seed = 0, _FIRST_SEED + chunk * CHUNK
    while count < CHUNK:
        scene = sample_view(seed)
        seed += 1
        view, filled, holes = view_with_holes(scene)
        rng = np.random.default_rng([scene.seed, 6])
        for _ in range(_PER_SCENE if holes.any() else 0):
            top, left = _corner(holes, rng)
            window = np.s_[top : top + SIDE, left : left + SIDE]
            latents[count], known[count] = encode(view[window]).numpy(), encode(filled[window]).numpy()
            hole_cells[count] = holes[window].reshape(cells, 8, cells, 8).any((1, 3))
            for side, seen in enumerate((scene, scene.mirrored())):
                said = [caption(seen, rng) for _ in range(CAPTIONS)]
                words[count, side] = tokenizer(said, padding="max_length", max_length=LENGTH, truncation=True).input_ids
            count += 1
    path = windows_path(chunk)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path.with_suffix(".new.npz"), latents=latents, words=words, known=known, holes=hole_cells)
    path.with_suffix(".new.npz").replace(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=8)
    options = parser.parse_args()
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    for chunk in range(options.first, options.first + options.chunks):
        if not windows_path(chunk).exists():
            make_chunk(chunk)
        print(f"chunk {chunk} of windows done", flush=True)


if __name__ == "__main__":
    main()
