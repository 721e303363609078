"""What the embedded model draws in sizes that it was not trained on: ten held-out captions of one toy in each.

python -m training.sizes 320x320 384x384 256x384
"""

from __future__ import annotations

import argparse

import cv2
import torch
from diffusers import StableDiffusionPipeline

from training.evaluate import obeyed, of_one_toy, prompts_of
from training.export import TARGET
from training.fast_layers import make_fast
from training.pictures import WORK
from training.sampling import sample, sheet


def _size(text: str) -> tuple[int, int]:
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) and int(side) % 32 == 0 for side in sides):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH in multiples of 32, such as 256x384, got {text!r}")
    return int(sides[0]), int(sides[1])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", type=_size, metavar="HEIGHTxWIDTH", help="in pixels, multiples of 32")
    parser.add_argument("--count", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = StableDiffusionPipeline.from_pretrained(TARGET, torch_dtype=torch.float32, safety_checker=None)
    make_fast(pipeline.unet)
    scenes = of_one_toy(options.count)
    for height, width in options.sizes:
        size = f"{height}x{width}"
        drawn = sample(pipeline, prompts_of(scenes), size=(height, width))
        path = WORK / f"drawn_{size}.png"
        cv2.imwrite(str(path), sheet(drawn, prompts_of(scenes), 5)[..., ::-1])
        print(size, *(f"{name} {rate:.2f}" for name, rate in obeyed(drawn, scenes, size).items()), path, sep="\n  ")


if __name__ == "__main__":
    main()
