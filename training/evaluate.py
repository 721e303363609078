"""Measures the exported model on held-out seeds and writes training/metrics.json.

python -m training.evaluate --photos FOLDER      # FOLDER: photographs that were not trained on
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from numpy.typing import NDArray
from transformers import GLPNForDepthEstimation

from stereodiffusion.datasets.scenes import Scene, caption, render_disparity, render_image, sample_scene
from training import depth_estimator
from training.export import TARGET
from training.fast_layers import make_fast
from training.judge import accuracy, judge, shrunk, two_colours, verdict
from training.latents import cell_disparity
from training.outlines import outline, toy_mask
from training.pictures import HELD_OUT_SEED, WORK, scene_pictures
from training.sampling import sample, sheet

METRICS = Path(__file__).with_name("metrics.json")
BARS = {
    "autoencoder PSNR, scenes (dB)": 34.0,
    "autoencoder PSNR, photographs (dB)": 23.0,
    "one: colour": 0.95,
    "one: pattern": 0.85,
    "one: shape": 0.80,
    "one: binding with pattern": 0.98,
    "two: binding": 0.90,
    "two: binding with pattern": 0.85,
    "depth obeyed (correlation)": 0.90,
    "depth estimator error (px at 256)": 0.5,
    "one: outline (px)": 0.8,
}


@torch.no_grad()
def autoencoder_psnr(vae: AutoencoderKL, pictures: NDArray[np.uint8]) -> float:
    """Mean PSNR of 8-bit pictures (n, 256, 256, 3) after encoding and decoding."""
    psnr = []
    for picture in pictures:
        x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
        output = vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        psnr.append(10 * np.log10(4 / float((output - x).square().mean())))
    return float(np.mean(psnr))


def square_photographs(folder: Path) -> NDArray[np.uint8]:
    """The middle squares of all photographs of a folder at 256 pixels."""
    pictures = []
    for path in sorted(folder.glob("*.*")):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = picture[top : top + side, left : left + side]
        pictures.append(cv2.resize(square, (256, 256), interpolation=cv2.INTER_AREA))
    return np.stack(pictures)


def of_one_toy(count: int) -> list[Scene]:
    """Scenes of one toy that were not trained on."""
    return [sample_scene(HELD_OUT_SEED + 20_000 + i, count=1) for i in range(count)]


def prompts_of(scenes: list[Scene]) -> list[str]:
    """A caption of each scene."""
    return [caption(scene, np.random.default_rng([scene.seed, 4])) for scene in scenes]


def drawn_from(
    pipeline: StableDiffusionPipeline, scenes: list[Scene], options: argparse.Namespace, name: str
) -> NDArray[np.float32]:
    """Pictures of the scenes' captions from the seeds 0, 1, 2 and so on, (n, h, w, 3) in [0, 1]."""
    prompts, pictures = prompts_of(scenes), []
    for start in range(0, len(prompts), 20):
        part = prompts[start : start + 20]
        pictures.append(sample(pipeline, part, size=(options.size, options.size), steps=options.steps,
                               guidance=options.guidance, seed=start))  # fmt: skip
        print(f"{name}: {start + len(part)} of {len(prompts)}", flush=True)
    drawn = np.concatenate(pictures)
    cv2.imwrite(str(WORK / f"evaluated_{name}.png"), sheet(drawn[:40], prompts[:40], 8)[..., ::-1])
    return drawn


@torch.no_grad()
def obeyed(drawn: NDArray[np.float32], scenes: list[Scene], name: str) -> dict[str, float]:
    """How often pictures drawn from the scenes' captions show what was asked for."""
    scores = judge()(shrunk(drawn))
    verdicts = [verdict(score, scene) for score, scene in zip(scores, scenes, strict=True)]
    return {f"{name}: {key}": float(np.mean([v[key] for v in verdicts])) for key in verdicts[0]}


@torch.no_grad()
def outline_distances(estimator: GLPNForDepthEstimation, pictures: NDArray[np.float32]) -> list[float]:
    """Mean distance of the toy's outline from lines and ellipses, pixels, of each picture; NaN where none is seen."""
    means = []
    for picture in pictures:
        disparity = depth_estimator.disparity_of(estimator, torch.from_numpy(picture).permute(2, 0, 1)[None])[0]
        means.append(float(outline(picture, toy_mask(picture, disparity.numpy())).distances.mean()))
    return means


@torch.no_grad()
def depth_obeyed(
    pipeline: StableDiffusionPipeline,
    sibling: UNet2DConditionModel,
    estimator: GLPNForDepthEstimation,
    count: int,
    options: argparse.Namespace,
) -> float:
    """Mean correlation of the given disparity with the one estimated from the picture drawn with it."""
    scenes = [sample_scene(HELD_OUT_SEED + 30_000 + i) for i in range(count)]
    prompts = prompts_of(scenes)
    near = torch.from_numpy(np.stack([cell_disparity(scene, options.size // 8) for scene in scenes]))[:, None].float()
    low, high = near.amin((2, 3), keepdim=True), near.amax((2, 3), keepdim=True)
    depth = 2 * (near - low) / (high - low) - 1
    drawn = sample(pipeline, prompts, size=(options.size, options.size), steps=options.steps,
                   guidance=options.guidance, depth_unet=sibling, depth=depth)  # fmt: skip
    cv2.imwrite(str(WORK / "evaluated_depth.png"), sheet(drawn, prompts, 8)[..., ::-1])
    estimated = depth_estimator.disparity_of(estimator, torch.from_numpy(drawn).permute(0, 3, 1, 2)).numpy()
    given = [render_disparity(scene, (options.size, options.size)) for scene in scenes]
    return float(np.mean([np.corrcoef(e.ravel(), g.ravel())[0, 1] for e, g in zip(estimated, given, strict=True)]))


def evaluate(options: argparse.Namespace) -> dict[str, float]:
    """All numbers of the exported model."""
    folder = options.model
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, safety_checker=None)
    estimator = GLPNForDepthEstimation.from_pretrained(folder / "depth", dtype=torch.float32).eval()
    found = {f"judge on renders, {k}": v for k, v in accuracy(judge()).items()}
    found["autoencoder PSNR, scenes (dB)"] = autoencoder_psnr(pipeline.vae, scene_pictures(40, 256, HELD_OUT_SEED))
    if options.photos is not None:
        found["autoencoder PSNR, photographs (dB)"] = autoencoder_psnr(pipeline.vae, square_photographs(options.photos))
    errors = depth_estimator.measure(estimator, 64)
    found["depth estimator error (px at 256)"] = errors.all
    found["depth estimator error at borders (px at 256)"] = errors.borders
    make_fast(pipeline.unet)
    one, two = of_one_toy(options.count), [two_colours(HELD_OUT_SEED + 25_000 + i) for i in range(options.count)]
    drawn = drawn_from(pipeline, one, options, "one")
    found |= obeyed(drawn, one, "one")
    renders = np.stack([render_image(scene, (options.size, options.size)) for scene in one])
    found["outline of renders (px)"] = float(np.nanmean(outline_distances(estimator, renders)))
    found["one: outline (px)"] = float(np.nanmean(outline_distances(estimator, drawn)))
    found |= obeyed(drawn_from(pipeline, two, options, "two"), two, "two")
    if options.depth_count:
        sibling = UNet2DConditionModel.from_pretrained(folder / "unet_depth", torch_dtype=torch.float32).eval()
        make_fast(sibling)
        found["depth obeyed (correlation)"] = depth_obeyed(pipeline, sibling, estimator, options.depth_count, options)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=TARGET)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=100, help="prompts of one object, and of two")
    parser.add_argument("--depth-count", type=int, default=24)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--output", type=Path, default=METRICS)
    options = parser.parse_args()
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    began = time.time()
    found = evaluate(options)
    print(f"\n{'measure':48} {'value':>8} {'bar':>6}")
    for name, value in found.items():
        print(f"{name:48} {value:8.3f} {BARS.get(name, ''):>6}")
    settings = {"size": options.size, "steps": options.steps, "guidance": options.guidance, "prompts": options.count}
    report = {"settings": settings, "measured": {k: round(v, 4) for k, v in found.items()}, "bars": BARS}
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
