"""An independent judge: a small CNN, trained on renders only, that says which objects a picture shows.

For every colour it scores each shape and each pattern (two times 32 scores): several objects at once are allowed.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stereodiffusion.datasets.scenes import COLOURS, PATTERNS, SHAPES, Scene, render_image, sample_scene
from training.fast_layers import multiplies_bfloat16
from training.latents import CHUNK, render_seed, renders_path
from training.pictures import HELD_OUT_SEED, WORK

CHECKPOINT = WORK / "judge.pt"
SIZE = 128


class Judge(nn.Module):
    """Scores (b, 2, 8, 4): shape by colour, pattern by colour."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 24, 5, 2, 2), nn.BatchNorm2d(24), nn.ReLU()]
        for before, after in ((24, 48), (48, 96), (96, 128)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.Conv2d(after, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.scores = nn.Sequential(nn.Conv2d(128, 256, 1), nn.ReLU(), nn.Conv2d(256, 64, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores of pictures (b, 3, 128, 128) in [0, 1]."""
        scores = self.scores(self.features(pictures))
        return scores.flatten(2).logsumexp(-1).view(-1, 2, len(COLOURS), 4) - 4.0


def truth_of(scene: Scene) -> NDArray[np.float32]:
    """The scores' targets, (2, 8, 4)."""
    truth = np.zeros((2, len(COLOURS), 4), np.float32)
    for toy in scene.toys:
        colour = COLOURS.index(toy.colour)
        truth[0, colour, SHAPES.index(toy.shape)] = truth[1, colour, PATTERNS.index(toy.pattern)] = 1
    return truth


def judge() -> Judge:
    """The trained judge."""
    model = Judge()
    model.load_state_dict(torch.load(CHECKPOINT, weights_only=True))
    return model.eval()


def shrunk(pictures: NDArray[np.float32]) -> Tensor:
    """Pictures (n, h, w, 3) as the judge takes them, (n, 3, ., .), the shorter side 128."""
    sides = np.array(pictures.shape[1:3])
    size = tuple(int(side) for side in SIZE * sides // sides.min())
    return functional.interpolate(torch.from_numpy(pictures).permute(0, 3, 1, 2), size, mode="area")


def verdict(scores: Tensor, scene: Scene) -> dict[str, bool]:
    """Compare one picture's scores (2, 8, 4) with what was asked for."""
    by_shape, by_pattern = scores.flatten(1)
    count = len(scene.toys)
    shapes = {divmod(int(i), 4) for i in by_shape.topk(count).indices}
    patterns = {divmod(int(i), 4) for i in by_pattern.topk(count).indices}
    asked_shapes = {(COLOURS.index(t.colour), SHAPES.index(t.shape)) for t in scene.toys}
    asked_patterns = {(COLOURS.index(t.colour), PATTERNS.index(t.pattern)) for t in scene.toys}
    return {
        "colour": {c for c, _ in shapes} == {c for c, _ in asked_shapes},
        "shape": {s for _, s in shapes} == {s for _, s in asked_shapes},
        "pattern": {p for _, p in patterns} == {p for _, p in asked_patterns},
        "binding": shapes == asked_shapes,
        "binding with pattern": shapes == asked_shapes and patterns == asked_patterns,
    }


def two_colours(seed: int) -> Scene:
    """A scene of two objects that differ in colour, from seeds not before ``seed``."""
    while True:
        scene = sample_scene(seed, count=2)
        if scene.toys[0].colour != scene.toys[1].colour:
            return scene
        seed += 1_000_003


@torch.no_grad()
def accuracy(model: Judge, count: int = 400) -> dict[str, float]:
    """The judge's own accuracy on unseen renders."""
    rates = {}
    for name, make in (("one", lambda s: sample_scene(s, count=1)), ("two", two_colours)):
        scenes = [make(HELD_OUT_SEED + 10_000 + i) for i in range(count // 2)]
        scores = torch.cat([model(shrunk(render_image(s, (256, 256))[None])) for s in scenes])
        verdicts = [verdict(score, scene) for score, scene in zip(scores, scenes, strict=True)]
        rates |= {f"{name}: {key}": float(np.mean([v[key] for v in verdicts])) for key in verdicts[0]}
    return rates


def train(epochs: int) -> None:
    """Train on the stored renders."""
    torch.manual_seed(0)
    chunks = [c for c in range(100) if renders_path(SIZE, c).exists()]
    pictures = np.concatenate([np.load(renders_path(SIZE, c)) for c in chunks])
    truth = np.stack([truth_of(sample_scene(render_seed(SIZE, c) + i)) for c in chunks for i in range(CHUNK)])
    rng = np.random.default_rng(6)
    model, batch = Judge().to(memory_format=torch.channels_last), 50
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    steps = epochs * (len(pictures) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps, pct_start=0.1)
    step = 0
    for _ in range(epochs):
        for order in rng.permutation(len(pictures))[: len(pictures) // batch * batch].reshape(-1, batch):
            x = torch.from_numpy(pictures[order]).permute(0, 3, 1, 2).float() / 255
            if rng.random() < 0.5:
                x = x.flip(-1)
            if rng.random() < 0.5:  # generated pictures are softer than renders
                soft = functional.interpolate(functional.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear")
                x = x + float(rng.random()) * (soft - x)
            x = x + 0.03 * float(rng.random()) * torch.randn(x.shape)
            x = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
                scores = model(x).float()
            loss = functional.binary_cross_entropy_with_logits(scores, torch.from_numpy(truth[order]))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step(), schedule.step()
            step += 1
            if step % 100 == 0:
                print(f"{step}/{steps} loss {loss.item():.4f}", flush=True)
    torch.save(model.state_dict(), CHECKPOINT)
    print(accuracy(model.eval()))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    os.nice(19 - os.nice(0))
    torch.set_num_threads(1)
    train(parser.parse_args().epochs)


if __name__ == "__main__":
    main()
