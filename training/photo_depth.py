"""``photo-depth``: a GLPN (Kim et al. 2022) of 3.9 M parameters for relative inverse depth of photographs.

    python -m training.photo_chunks &                # draws what it learns from, all the while
    python -m training.photo_depth --minutes 600     # resumes by itself; --reduce 1: at 256 px, 2: at 128 px

The loss does not see scale and offset (Ranftl et al. 2020, MiDaS): L1 after both maps were brought to median 0 and mean
absolute deviation 1, and the gradients of the difference at four scales.  A second head learns the logarithm of the
scale of a Laplace distribution of that difference (Kendall & Gal 2017) and does not disturb the first.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import GLPNConfig, GLPNForDepthEstimation

from stereodiffusion.models.estimators.spread import GLPNWithSpread
from training.export import TARGET
from training.fast_layers import multiplies_bfloat16
from training.photo_chunks import FOLDER
from training.pictures import WORK

CHECKPOINT = WORK / "photo_depth.pt"
_MIDDLE = 3.4  # logit of toybox's middle depth over its greatest, negated
_RELOAD = 50  # steps between looks for new chunks


def build() -> GLPNWithSpread:
    """The network before training: ``toybox-depth``, predicting near instead of far; shapes and floors it knows."""
    torch.manual_seed(0)  # the second head begins at random
    toybox = GLPNForDepthEstimation.from_pretrained(TARGET / "depth", dtype=torch.float32)
    model = GLPNWithSpread(
        GLPNConfig(**(toybox.config.to_dict() | {"max_depth": 1, "depth_estimation_type": "relative"}))
    )
    model.load_state_dict(toybox.state_dict(), strict=False)  # all but the second head
    with torch.no_grad():
        last = model.head.head[-1]
        last.weight.neg_(), last.bias.neg_().sub_(_MIDDLE)
    return model


class Batch(NamedTuple):
    """Pictures (b, 3, h, w) in [0, 1] and inverse depth (b, h, w)."""

    pictures: Tensor
    inverse: Tensor


class Chunks:
    """The chunks on disk, looked through again as new ones come."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._open, self._drawn = rng, {}, 0
        self._refresh()

    def _refresh(self) -> None:
        paths = sorted(FOLDER.glob("[0-9]*[0-9]_images.npy"))
        if not paths:
            raise FileNotFoundError(f"expected chunks in {FOLDER}: run training.photo_chunks first")
        for path in set(self._open) - set(paths):
            del self._open[path]
        for path in set(paths) - set(self._open):
            inverse = path.with_name(path.name.replace("images", "inverse"))
            self._open[path] = np.load(path, mmap_mode="r"), np.load(inverse, mmap_mode="r")
        self._paths = paths

    def draw(self, count: int, reduce: int) -> Batch:
        """Pictures of one size, at random mirrored and with other colours; sides are multiples of 32."""
        if self._drawn % _RELOAD == 0:
            self._refresh()
        self._drawn += 1
        images, inverse = self._open[self._paths[self._rng.integers(len(self._paths))]]
        height, width = (max(32, round(n / reduce / 32 + 0.01) * 32) for n in images.shape[1:3])
        x, y = np.empty((count, height, width, 3), np.float32), np.empty((count, height, width), np.float32)
        for k, i in enumerate(self._rng.integers(len(images), size=count)):
            x[k] = cv2.resize(images[i], (width, height), interpolation=cv2.INTER_AREA)
            y[k] = cv2.resize(inverse[i].astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) / 65535
            if self._rng.random() < 0.5:
                x[k], y[k] = x[k, :, ::-1].copy(), y[k, :, ::-1].copy()
            x[k] *= self._rng.uniform(0.85, 1.15, 3)
        x = np.clip(x / 255, 0, 1) ** self._rng.uniform(0.8, 1.25, (count, 1, 1, 1)).astype(np.float32)
        return Batch(torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y))


def normalised(maps: Tensor, least: float) -> Tensor:
    """Maps (b, h, w) with median 0 and mean absolute deviation 1."""
    centred = maps - maps.flatten(1).median(1).values[:, None, None]
    return centred / centred.abs().mean((1, 2), keepdim=True).clamp(min=least)


def losses(model: GLPNWithSpread, batch: Batch) -> dict[str, Tensor]:
    """What is minimised, by name; see the module."""
    inverse, spread = model.predict(batch.pictures)
    inverse, spread = inverse.float(), spread.float()
    truth = functional.interpolate(batch.inverse[:, None], inverse.shape[-2:], mode="area")[:, 0]
    difference = normalised(inverse, 0.02) - normalised(truth, 1e-3)
    error = difference.abs()
    edges, smaller = difference.new_zeros(()), difference[:, None]
    for _ in range(4):
        edges = edges + (smaller.diff(dim=-1).abs().mean() + smaller.diff(dim=-2).abs().mean())
        smaller = functional.avg_pool2d(smaller, 2)
    low, high = (torch.quantile(truth.flatten(1), q, 1)[:, None, None] for q in (0.02, 0.98))
    canonical = ((truth - low) / (high - low).clamp(min=1e-3)).clamp(0, 1) * 0.9 + 0.05
    laplace = error.detach() * torch.exp(-spread) + spread
    return {
        "error": error.clamp(max=4).mean(),
        "edges": 0.2 * edges,
        "range": 0.3 * (inverse - canonical).abs().mean(),  # holds the scale, which the others leave free
        "spread": 0.05 * laplace.mean(),
    }


def averaged() -> GLPNWithSpread:
    """The network with its averaged weights (untrained without a checkpoint)."""
    model = build().eval()
    if CHECKPOINT.exists():
        state = torch.load(CHECKPOINT, weights_only=True)
        model.load_state_dict(state["average"])
        if state["halved"]:
            model.halve()
    return model


def train(options: argparse.Namespace) -> None:
    """One process, one thread."""
    model = build()
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.99), weight_decay=0.02, fused=True)
    average = {k: v.clone() for k, v in model.state_dict().items()}
    step, samples, spent = 0, 0, 0.0
    if CHECKPOINT.exists():
        state = torch.load(CHECKPOINT, weights_only=True)
        model.load_state_dict(state["model"])
        if state["optimiser"] is not None:
            optimiser.load_state_dict(state["optimiser"])
        average, step, samples, spent = state["average"], state["step"], state["samples"], state["spent"]
    if options.halved:
        model.halve()
    rng = np.random.default_rng([12, step])
    chunks = Chunks(rng)
    model.train()
    begun, last, saved, shown = (time.time(), samples), time.time(), time.time(), {}
    end = spent + 60 * options.minutes
    while spent < end:
        cool = float(np.interp(end - spent, [0, 60 * options.cool], [0.02, 1])) if options.cool else 1.0
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / 100) * cool
        batch = chunks.draw(options.batch, options.reduce)
        # Half of the steps in float32: else the network comes to rely on how bfloat16 rounds.
        half = multiplies_bfloat16() and rng.random() < 0.5
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            parts = losses(model, batch)
        optimiser.zero_grad(set_to_none=True)
        sum(parts.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        keep = min(options.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - keep) if value.is_floating_point() else average[name].copy_(value)
        step, samples = step + 1, samples + options.batch
        spent, last = spent + time.time() - last, time.time()
        for name, value in parts.items():
            shown[name] = 0.98 * shown.get(name, value.item()) + 0.02 * value.item()
        if step % 50 == 0:
            pace = (samples - begun[1]) / (time.time() - begun[0])
            begun = (time.time(), samples)
            measures = " ".join(f"{k} {v:.3f}" for k, v in shown.items())
            now = time.strftime("%H:%M")
            print(f"{step} {samples} samples {measures} {pace:.1f} img/s {spent:.0f} s {now}", flush=True)
        if time.time() - saved > 120 or spent >= end:
            saved = time.time()
            state = {"model": model.state_dict(), "average": average, "optimiser": optimiser.state_dict(), "step": step,
                     "samples": samples, "spent": spent, "halved": options.halved}  # fmt: skip
            torch.save(state, CHECKPOINT.with_suffix(".new"))
            CHECKPOINT.with_suffix(".new").replace(CHECKPOINT)


def export(folder: Path) -> None:
    """Write the network in float16."""
    averaged().to(torch.float16).save_pretrained(folder, safe_serialization=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of one core to add")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--reduce", type=int, default=2, choices=(1, 2, 4), help="of the stored pictures' sides")
    parser.add_argument("--halved", action="store_true", help="predict at half the size, twice as fast")
    parser.add_argument("--cool", type=float, default=0.0, help="minutes at the end in which the rate falls")
    parser.add_argument("--average", type=float, default=0.995, help="decay of the moving average of the weights")
    parser.add_argument("--export", type=Path, help="write the averaged network to a folder instead")
    options = parser.parse_args()
    if options.export:
        export(options.export)
        return
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    train(options)


if __name__ == "__main__":
    main()
