"""Stage 2: renders scenes once, encodes them, and stores latents, captions and inverse depth for the UNets.

    python -m training.latents --size 128 --chunks 40      # 40 x 1000 scenes, each also mirrored
    python -m training.latents --size 256 --chunks 20

The judge and the depth estimator learn from the pictures themselves: ``--keep-renders`` for some chunks.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stereodiffusion.datasets.scenes import Scene, caption, render_disparity, render_image, sample_scene
from stereodiffusion.datasets.scenes.raycast import first_hit
from stereodiffusion.datasets.scenes.rendering import rays
from training.autoencoder import components
from training.pictures import WORK
from training.views import sample_view
from training.words import LENGTH, build_tokenizer

CHUNK = 1000
CAPTIONS = 10  # wordings stored per scene and orientation
_FIRST_SEED = {128: 10_000_000, 256: 20_000_000}


def chunk_path(size: int, chunk: int) -> Path:
    """Where a chunk of latents lies."""
    return WORK / "latents" / f"{size}_{chunk:04d}.npz"


def renders_path(size: int, chunk: int) -> Path:
    """Where a chunk's pictures lie, if they were kept."""
    return WORK / "renders" / f"{size}_{chunk:04d}.npy"


def render_seed(size: int, chunk: int) -> int:
    """Seed of a chunk's first scene."""
    return _FIRST_SEED[size] + chunk * CHUNK


def stored_scene(size: int, chunk: int, index: int) -> Scene:
    """The scene of one picture; at 128 px, where shapes are learnt and judged, all toys are whole."""
    seed = render_seed(size, chunk) + index
    return sample_view(seed) if size == 256 else sample_scene(seed)


def _render(size: int, chunk: int) -> NDArray[np.uint8]:
    path = renders_path(size, chunk)
    if path.exists():
        return np.load(path)
    pictures = np.empty((CHUNK, size, size, 3), np.uint8)
    for i in range(CHUNK):
        pictures[i] = np.round(255 * render_image(stored_scene(size, chunk, i), (size, size)))
    return pictures


def object_cells(scene: Scene, cells: int) -> NDArray[np.float16]:
    """Fraction of every latent cell that shows a toy, (cells, cells)."""
    fine = 4 * cells
    slope_x, slope_y = rays(scene.rig, (fine, fine), np.float32)
    _, toy = first_hit(scene, 0.0, slope_x, slope_y)
    return (toy >= 0).reshape(cells, 4, cells, 4).mean((1, 3)).astype(np.float16)


def cell_disparity(scene: Scene, cells: int) -> NDArray[np.float32]:
    """Mean disparity of every latent cell as a fraction of the width, (cells, cells)."""
    fine = render_disparity(scene, (2 * cells, 2 * cells)) / (2 * cells)
    return fine.reshape(cells, 2, cells, 2).mean((1, 3))


@torch.no_grad()
def make_chunk(size: int, chunk: int) -> None:
    """Render (unless done), encode and store one chunk."""
    pictures = _render(size, chunk)
    tokenizer = build_tokenizer(WORK / f"tokenizer_{os.getpid()}")
    linear = components()  # what the encoder computes, as one convolution
    cells = size // 8
    latents = np.empty((CHUNK, 2, 8, cells, cells), np.float16)
    for start in range(0, CHUNK, 20):
        batch = torch.from_numpy(pictures[start : start + 20]).permute(0, 3, 1, 2).float() / 127.5 - 1
        for side, x in enumerate((batch, batch.flip(-1))):
            latents[start : start + 20, side] = linear.encode(x).numpy()
    words = np.empty((CHUNK, 2, CAPTIONS, LENGTH), np.int16)
    objects = np.empty((CHUNK, cells, cells), np.float16)
    disparity = np.empty((CHUNK, cells, cells), np.float16)
    for i in range(CHUNK):
        scene = stored_scene(size, chunk, i)
        rng = np.random.default_rng([scene.seed, 3])
        for side, seen in enumerate((scene, scene.mirrored())):
            said = [caption(seen, rng) for _ in range(CAPTIONS)]
            words[i, side] = tokenizer(said, padding="max_length", max_length=LENGTH, truncation=True).input_ids
        objects[i], disparity[i] = object_cells(scene, cells), cell_disparity(scene, cells)
    path = chunk_path(size, chunk)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path.with_suffix(".new.npz"), latents=latents, words=words, objects=objects, disparity=disparity)
    path.with_suffix(".new.npz").replace(path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, choices=(128, 256))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--keep-renders", action="store_true", help="keep the pictures too, for other stages")
    parser.add_argument("--render-only", action="store_true", help="only the pictures")
    options = parser.parse_args()
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    for chunk in range(options.first, options.first + options.chunks):
        renders = renders_path(options.size, chunk)
        if (options.keep_renders or options.render_only) and not renders.exists():
            renders.parent.mkdir(parents=True, exist_ok=True)
            np.save(renders, _render(options.size, chunk))
        if not options.render_only and not chunk_path(options.size, chunk).exists():
            make_chunk(options.size, chunk)
        print(f"{options.size} px chunk {chunk} done", flush=True)


if __name__ == "__main__":
    main()
