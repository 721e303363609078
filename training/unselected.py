"""Draws what the embedded model draws of the first forty held-out captions of one toy, seeds 0 to 39, none left out.

python -m training.unselected -o docs/images/toybox-unselected.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from training.evaluate import of_one_toy, prompts_of
from training.export import TARGET
from training.fast_layers import make_fast
from training.sampling import sample, sheet


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = StableDiffusionPipeline.from_pretrained(TARGET, torch_dtype=torch.float32, safety_checker=None)
    make_fast(pipeline.unet)
    prompts = prompts_of(of_one_toy(options.count))
    parts = [sample(pipeline, prompts[k : k + 20], size=(256, 256), seed=k) for k in range(0, len(prompts), 20)]
    small = np.stack(
        [cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA) for picture in np.concatenate(parts)]
    )
    cv2.imwrite(str(options.output), sheet(small, prompts, 8)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
