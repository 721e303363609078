"""Stage 4: ``toybox-depth``, a GLPN (Kim et al. 2022) of 4.1 M parameters that predicts depth in metres from a picture.

    python -m training.depth_estimator --minutes 60

The loss is the error in disparity, which is what the method uses, and of its gradients at three scales (Li & Snavely
2018), which makes borders sharp; cells that show a toy count more; the sky is put at the greatest depth.  The first
third of the time passes at 128 px, where a picture takes a quarter of the time, the rest at 256 px, which is what
its image processor makes of every picture.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional
from transformers import DPTImageProcessor, GLPNConfig, GLPNForDepthEstimation

from stereodiffusion.datasets.scenes import Rig, render_disparity, render_image, sample_scene
from training.fast_layers import multiplies_bfloat16
from training.latents import CHUNK, chunk_path, renders_path, stored_scene
from training.parallel import launch, mean_over_processes, share_gradients
from training.pictures import HELD_OUT_SEED, WORK

CHECKPOINT = WORK / "depth_estimator.pt"
SIZE = 256
FARTHEST_M = 100
_PIXEL_METRES = Rig().focal_px(SIZE) * Rig().baseline_m  # disparity * depth
_SMALL_FOR = 1 / 3  # of the time at 128 px
_PIXELS_A_STEP = 8 * 256 * 256  # in each process; twice as many pictures at 128 px
_WIDE, _LEAST_HEIGHT = 0.2, 0.5  # share of pictures cut to wide ones, and the least height of these, of their width
_TOY_WEIGHT = 2.0  # added to the weight of a cell full of toy
_IN_FLOAT32 = 0.25  # of the steps: in bfloat16 alone the network comes to rely on how that rounds
_AVERAGE = 0.997
_SAVED_EVERY = 200  # steps


def build() -> GLPNForDepthEstimation:
    """The untrained network."""
    torch.manual_seed(0)
    return GLPNForDepthEstimation(
        GLPNConfig(
            depths=[1, 1, 2, 2],
            hidden_sizes=[48, 96, 192, 256],
            num_attention_heads=[2, 4, 6, 8],
            decoder_hidden_size=40,
            drop_path_rate=0.0,
            attention_probs_dropout_prob=0.0,
            hidden_dropout_prob=0.0,
            max_depth=FARTHEST_M,
        )
    )


def disparity_of(model: GLPNForDepthEstimation, images: Tensor) -> Tensor:
    """Disparity (b, h, w) of images (b, 3, h, w) in [0, 1], in pixels where they are 256 wide."""
    return _PIXEL_METRES / model(pixel_values=images).predicted_depth.float()


def averaged() -> GLPNForDepthEstimation:
    """The network with its averaged weights (untrained without a checkpoint)."""
    model = build().eval()
    if CHECKPOINT.exists():
        model.load_state_dict(torch.load(CHECKPOINT, weights_only=True)["average"])
    return model


class Errors(NamedTuple):
    """Mean absolute errors of disparity in pixels at 256: of all pixels, and within 4 px of borders of over 2 px."""

    all: float
    borders: float


@torch.no_grad()
def measure(model: GLPNForDepthEstimation, count: int = 32) -> Errors:
    """Errors on unseen scenes."""
    found, near = [], []
    for i in range(count):
        scene = sample_scene(HELD_OUT_SEED + 1000 + i)
        image = torch.from_numpy(render_image(scene, (SIZE, SIZE))).permute(2, 0, 1)[None]
        truth = render_disparity(scene, (SIZE, SIZE))
        borders = cv2.morphologyEx(truth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 2
        error = np.abs(disparity_of(model, image)[0].numpy() - truth)
        found.append(error.mean())
        near.append(error[cv2.dilate(borders.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0].mean())
    return Errors(float(np.mean(found)), float(np.mean(near)))


class Batch(NamedTuple):
    """Images (b, 3, h, w) in [0, 1]; disparity in pixels at 256 and weights, both (b, h, w)."""

    images: Tensor
    disparity: Tensor
    weight: Tensor


class Renders:
    """Stored renders with their disparity, which is rendered once and stored beside them."""

    def __init__(self) -> None:
        chunks = [chunk for chunk in range(1000) if renders_path(SIZE, chunk).exists()]
        if not chunks:
            raise FileNotFoundError(f"expected pictures of {SIZE} px in {WORK / 'renders'}: "
                                    "run training.latents --size 256 --keep-renders first")  # fmt: skip
        for chunk in chunks[dist.get_rank() :: dist.get_world_size()]:
            _store_disparity(chunk)
        dist.barrier()
        self._pictures = [np.load(renders_path(SIZE, chunk), mmap_mode="r") for chunk in chunks]
        self._disparity = [np.load(_disparity_path(chunk), mmap_mode="r") for chunk in chunks]
        self._toys = [np.load(chunk_path(SIZE, chunk))["objects"] for chunk in chunks]

    def draw(self, size: int, rng: np.random.Generator) -> Batch:
        """As many pictures of a size as a step takes, at random mirrored, wide (then stretched) and blemished."""
        count = min(16, max(1, _PIXELS_A_STEP // size**2))
        images = np.empty((count, size, size, 3), np.float32)
        disparity, weight = np.empty((count, size, size), np.float32), np.empty((count, size, size), np.float32)
        for k in range(count):
            chunk, i = rng.integers(len(self._pictures)), rng.integers(CHUNK)
            side = slice(None, None, -1 if rng.random() < 0.5 else 1)
            picture = self._pictures[chunk][i][:, side].astype(np.float32) / 255
            truth, toys = (a[chunk][i][:, side].astype(np.float32) for a in (self._disparity, self._toys))
            if rng.random() < _WIDE:
                share = rng.uniform(_LEAST_HEIGHT, 1)
                picture, truth, toys = (_middle_rows(a, share) for a in (picture, truth, toys))
            images[k] = _blemished(_resized(picture, size), rng)
            disparity[k] = _resized(truth, size)
            weight[k] = 1 + _TOY_WEIGHT * cv2.resize(toys, (size, size), interpolation=cv2.INTER_NEAREST)
        x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return Batch(x, torch.from_numpy(disparity), torch.from_numpy(weight))


def _disparity_path(chunk: int) -> Path:
    return renders_path(SIZE, chunk).with_name(f"{SIZE}_{chunk:04d}_disparity.npy")


def _store_disparity(chunk: int) -> None:
    path = _disparity_path(chunk)
    if not path.exists():
        maps = [render_disparity(stored_scene(SIZE, chunk, i), (SIZE, SIZE)) for i in range(CHUNK)]
        np.save(path.with_suffix(".new.npy"), np.stack(maps).astype(np.float16))
        path.with_suffix(".new.npy").replace(path)


def _middle_rows(values: np.ndarray, share: float) -> np.ndarray:
    cut = round(len(values) * (1 - share) / 2)
    return values[cut : len(values) - cut]


def _resized(values: np.ndarray, size: int) -> np.ndarray:
    smaller = size < len(values)
    return cv2.resize(values, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _blemished(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A little noise, blur and a change of brightness: generated pictures are not as clean as renders."""
    image = image * rng.uniform(0.9, 1.1)
    if rng.random() < 0.5:
        image = image + rng.uniform(0, 0.8) * (cv2.blur(image, (3, 3)) - image)
    image = image + rng.uniform(0, 0.03) * rng.standard_normal(image.shape)
    return np.clip(image, 0, 1).astype(np.float32)


def loss_of(model: GLPNForDepthEstimation, batch: Batch) -> Tensor:
    """Weighted L1 of disparity, and of its gradients at three scales."""
    difference = disparity_of(model, batch.images) - batch.disparity
    loss = (batch.weight * difference.abs()).mean()
    smaller = difference[:, None]
    for _ in range(3):
        loss = loss + smaller.diff(dim=-1).abs().mean() + smaller.diff(dim=-2).abs().mean()
        smaller = functional.avg_pool2d(smaller, 2)
    return loss


def train(rank: int, options: argparse.Namespace) -> None:
    """One of the processes."""
    cv2.setNumThreads(1)
    model = build()
    state = torch.load(CHECKPOINT, weights_only=True) if CHECKPOINT.exists() else None
    if state is not None:
        model.load_state_dict(state["model"])
    model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    step, spent = 0, 0.0
    if state is not None:
        average, step, spent = state["average"], state["step"], state["spent"]
        if state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
    renders = Renders()
    own, common = np.random.default_rng([5, rank, step]), np.random.default_rng([5, step])
    model.train()
    last, running, seen, begun = time.time(), 0.0, 0, time.time()
    while (done := mean_over_processes(spent) / (60 * options.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / 200) * float(np.interp(done, [0.4, 1], [1, 0.02]))
        size = 128 if done < _SMALL_FOR else SIZE
        half = multiplies_bfloat16() and common.random() >= _IN_FLOAT32
        batch = renders.draw(size, own)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = loss_of(model, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(model.parameters())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimiser.step()
        keep = min(_AVERAGE, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - keep) if value.is_floating_point() else average[name].copy_(value)
        step, spent, last, seen = step + 1, spent + time.time() - last, time.time(), seen + len(batch.images)
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0 and rank == 0:
            pace = options.processes * seen / (time.time() - begun)
            seen, begun = 0, time.time()
            print(f"{step} loss {running:.3f} {pace:.1f} img/s {size} px {spent:.0f} s", flush=True)
        if step % _SAVED_EVERY == 0 and rank == 0:
            _save(model, average, optimiser, step, spent)
    if rank == 0:
        _save(model, average, optimiser, step, spent)
        print(f"on unseen scenes: {measure(averaged())} px", flush=True)


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
    """Write the network in float16, with an image processor that makes every picture what it was trained with."""
    averaged().to(torch.float16).save_pretrained(folder, safe_serialization=True)
    square = {"height": SIZE, "width": SIZE}
    DPTImageProcessor(size=square, keep_aspect_ratio=False, do_normalize=False).save_pretrained(folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of all processes, over all sittings")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    launch(train, options, processes=options.processes)


if __name__ == "__main__":
    main()
