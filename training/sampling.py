"""Draws pictures with the weights as they are now, for checks during training and for the evaluation.

python -m training.sampling --size 128 -o sheet.png
"""

from __future__ import annotations

import argparse
import os
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor

from training.fast_layers import make_fast, multiplies_bfloat16
from training.pictures import WORK

PROMPTS = (
    "a red ball in front of a striped blue box",
    "a green cone on a wooden table",
    "a yellow cube on grass, blue sky",
    "a blue dotted ball on a grey floor, pink wall",
    "a purple cylinder on a checkered floor, white wall",
    "a white striped cone on a wooden table, green wall",
    "a red cube and a yellow ball on grass",
    "a pink cylinder to the left of a green ball on a grey floor, blue wall",
    "an orange checkered cube on a wooden table, grey wall",
    "a blue cone behind a red cylinder on grass",
    "a green checkered ball on a checkered floor, yellow wall",
    "a red striped cylinder on a grey floor",
)


@torch.no_grad()
def sample(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    *,
    size: tuple[int, int],
    steps: int = 30,
    guidance: float = 4.0,
    seed: int = 0,
    depth_unet: UNet2DConditionModel | None = None,
    depth: Tensor | None = None,
) -> NDArray[np.float32]:
    """Pictures (n, h, w, 3) in [0, 1]; with ``depth`` (n, 1, h / 8, w / 8) by the depth sibling.

    Picture k starts from the noise of ``seed + k``, so that it is the one that this seed gives alone.
    """
    unet = pipeline.unet if depth_unet is None else depth_unet
    words = pipeline.tokenizer([*prompts, ""], padding="max_length", return_tensors="pt").input_ids
    said = pipeline.text_encoder(words).last_hidden_state
    given = torch.cat([said[-1:].expand(len(prompts), -1, -1), said[:-1]])
    cells = (1, 8, size[0] // 8, size[1] // 8)
    seeds = range(seed, seed + len(prompts))
    x = torch.cat([torch.randn(cells, generator=torch.Generator().manual_seed(each)) for each in seeds])
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        twice = torch.cat([x, x])
        if depth is not None:
            twice = torch.cat([twice, torch.cat([depth, depth])], 1)
        twice = twice.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
            without, following = unet(twice, t, encoder_hidden_states=given).sample.float().chunk(2)
        x = scheduler.step(without + guidance * (following - without), t, x).prev_sample
    with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
        pictures = torch.cat([pipeline.vae.decode(part).sample.float() for part in x.split(8)])
    return (pictures / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()


def sheet(pictures: NDArray[np.float32], captions: list[str], columns: int) -> NDArray[np.uint8]:
    """A contact sheet with captions, 8 bit."""
    height, width = pictures.shape[1:3]
    cells = []
    for picture, caption in zip(pictures, captions, strict=True):
        cell = np.full((height + 35, width, 3), 255, np.uint8)
        cell[:height] = np.round(255 * picture)
        for line, text in enumerate(textwrap.wrap(caption, width // 5)[:3]):
            cv2.putText(cell, text, (1, height + 9 + 11 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.28, (0, 0, 0))
        cells.append(cell)
    rows = [np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)]
    return np.concatenate(rows, 0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=WORK / f"sheet_{time.strftime('%H%M')}.png")
    options = parser.parse_args()
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    from training.export import pipeline

    parts = pipeline()
    make_fast(parts.unet)
    pictures = sample(
        parts, list(PROMPTS), size=(options.size, options.size), guidance=options.guidance, steps=options.steps,
        seed=options.seed,
    )  # fmt: skip
    cv2.imwrite(str(options.output), sheet(pictures, list(PROMPTS), 6)[..., ::-1])
    print(options.output)


if __name__ == "__main__":
    main()
