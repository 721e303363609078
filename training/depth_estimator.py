"""Stage 4: ``toybox-depth``, a GLPN (Kim et al. 2022) of 0.7 M parameters that predicts depth in metres from a picture.

    python -m training.depth_estimator --minutes 10

The loss is the error in disparity, which is what the method uses; the sky is put at the greatest depth.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import GLPNConfig, GLPNForDepthEstimation, GLPNImageProcessor

from stereodiffusion.datasets.scenes import Rig, render_disparity, render_image, sample_scene
from training.fast_layers import multiplies_bfloat16
from training.latents import CHUNK, renders_path, stored_scene
from training.pictures import HELD_OUT_SEED, WORK

CHECKPOINT = WORK / "depth_estimator.pt"
SIZE = 256
FARTHEST_M = 100
_PIXEL_METRES = Rig().focal_px(SIZE) * Rig().baseline_m  # disparity * depth


def build() -> GLPNForDepthEstimation:
    """The untrained network."""
    torch.manual_seed(0)
    return GLPNForDepthEstimation(
        GLPNConfig(
            depths=[1, 1, 1, 1],
            hidden_sizes=[24, 48, 96, 128],
            num_attention_heads=[1, 2, 3, 4],
            decoder_hidden_size=20,
            drop_path_rate=0.0,
            attention_probs_dropout_prob=0.0,
            hidden_dropout_prob=0.0,
            max_depth=FARTHEST_M,
        )
    )


def disparity_of(model: GLPNForDepthEstimation, images: Tensor) -> Tensor:
    """Disparity in pixels at 256 of images (b, 3, 256, 256) in [0, 1]."""
    return _PIXEL_METRES / model(pixel_values=images).predicted_depth.float()


def averaged() -> GLPNForDepthEstimation:
    """The network with its averaged weights (untrained without a checkpoint)."""
    model = build().eval()
    if CHECKPOINT.exists():
        model.load_state_dict(torch.load(CHECKPOINT, weights_only=True)["average"])
    return model


@torch.no_grad()
def measure(model: GLPNForDepthEstimation, count: int = 32) -> float:
    """Mean absolute disparity error in pixels at 256 on unseen scenes."""
    errors = []
    for i in range(count):
        scene = sample_scene(HELD_OUT_SEED + 1000 + i)
        image = torch.from_numpy(render_image(scene, (SIZE, SIZE))).permute(2, 0, 1)[None]
        truth = torch.from_numpy(render_disparity(scene, (SIZE, SIZE)))
        errors.append((disparity_of(model, image)[0] - truth).abs().mean().item())
    return float(np.mean(errors))


def train(minutes: float, rate: float, batch: int) -> None:
    """One process, one thread."""
    paths = [(chunk, renders_path(SIZE, chunk)) for chunk in range(100) if renders_path(SIZE, chunk).exists()]
    pictures = {chunk: np.load(path, mmap_mode="r") for chunk, path in paths}
    model = build()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    step, spent = 0, 0.0
    if CHECKPOINT.exists():
        state = torch.load(CHECKPOINT, weights_only=True)
        model.load_state_dict(state["model"])
        if state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
        average, step, spent = state["average"], state["step"], state["spent"]
    rng = np.random.default_rng([5, step])
    model.train()
    last, running = time.time(), 0.0
    while spent < 60 * minutes:
        done = spent / (60 * minutes)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 50) * float(np.interp(done, [0.6, 1], [1, 0.02]))
        images, truths = [], []
        for _ in range(batch):
            chunk, i = list(pictures)[rng.integers(len(pictures))], int(rng.integers(CHUNK))
            image = pictures[chunk][i].astype(np.float32) / 255
            truth = render_disparity(stored_scene(SIZE, chunk, i), (SIZE, SIZE))
            if rng.random() < 0.5:
                image, truth = image[:, ::-1], truth[:, ::-1]
            images.append(_blemished(image, rng)), truths.append(truth)
        x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        truth = torch.from_numpy(np.stack(truths))
        # The faster one alone will not do: the network comes to rely on how bfloat16 rounds.
        half = multiplies_bfloat16() and rng.random() < 0.5
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            disparity = disparity_of(model, x)
        loss = (disparity - truth).abs().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            keep = min(0.995, (step + 1) / (step + 10))
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - keep) if value.is_floating_point() else average[name].copy_(value)
        step, spent, last = step + 1, spent + time.time() - last, time.time()
        running = 0.95 * running + 0.05 * loss.item()
        if step % 50 == 0:
            print(f"{step} error {running:.3f} px {step * batch / spent:.1f} img/s {spent:.0f} s", flush=True)
        if step % 200 == 0:
            _save(model, average, optimiser, step, spent)
    _save(model, average, optimiser, step, spent)
    print(f"held-out error {measure(averaged()):.3f} px", flush=True)


def _blemished(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A little noise, blur and a change of brightness: generated pictures are not as clean as renders."""
    image = image * rng.uniform(0.9, 1.1)
    if rng.random() < 0.5:
        small = image.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean((1, 3))
        image = image + rng.uniform(0, 0.8) * (small.repeat(2, 0).repeat(2, 1) - image)
    image = image + rng.uniform(0, 0.03) * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def _save(
    model: GLPNForDepthEstimation,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    spent: float,
) -> None:
    state = {"model": model.state_dict(), "average": average, "optimiser": optimiser.state_dict(), "step": step,
             "spent": spent}  # fmt: skip
    torch.save(state, CHECKPOINT.with_suffix(".new"))
    CHECKPOINT.with_suffix(".new").replace(CHECKPOINT)


def export(folder: Path) -> None:
    """Write the network in float16 with its image processor."""
    averaged().to(torch.float16).save_pretrained(folder, safe_serialization=True)
    GLPNImageProcessor(size_divisor=32).save_pretrained(folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of one core, over all sittings")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    train(options.minutes, options.rate, options.batch)


if __name__ == "__main__":
    main()
