"""A pair whose geometry is known without the package: planes at whole disparities, moved by loops."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stereodiffusion.geometry import Disparity
from stereodiffusion.pair import StereoPair


@dataclass(frozen=True)
class Planes:
    """Both eyes and what is true of them, each from loops over single pixels."""

    left: NDArray[np.float32]
    right: NDArray[np.float32]
    disparity: NDArray[np.int64]
    right_disparity: NDArray[np.int64]  # -1 where the left does not see it
    left_occlusion: NDArray[np.bool_]

    def pair(self) -> StereoPair:
        """As the package has it."""
        pixels = torch.from_numpy(self.disparity.astype(np.float32))
        return StereoPair(
            left=torch.from_numpy(self.left)[None],
            right=torch.from_numpy(self.right)[None],
            disparity=Disparity.from_pixels(pixels),
            occlusion=torch.from_numpy(self.right_disparity < 0)[None, None],
            provenance={"request": {"mode": "photo", "prompt": "planes", "map": {"path": "planes.pfm"}}},
        )


def planes(seed: int, size: tuple[int, int] = (24, 48)) -> Planes:
    """A wall and three boards before it; what the left does not see of the right is filled with noise."""
    draw = np.random.default_rng(seed)
    height, width = size
    disparity = np.full(size, 1, np.int64)
    for nearness in (4, 7, 11):  # farther ones first
        top, start = draw.integers(0, height - 8), draw.integers(0, width - 12)
        disparity[top : top + draw.integers(4, 9), start : start + draw.integers(6, 13)] = nearness
    left = (draw.integers(0, 256, (3, height, width)) / 255).astype(np.float32)
    right = (draw.integers(0, 256, (3, height, width)) / 255).astype(np.float32)
    right_disparity = np.full(size, -1, np.int64)
    for y in range(height):
        for x in range(width):
            there = x - disparity[y, x]
            if there >= 0 and disparity[y, x] > right_disparity[y, there]:
                right_disparity[y, there] = disparity[y, x]
                right[:, y, there] = left[:, y, x]
    left_occlusion = np.ones(size, np.bool_)
    for y in range(height):
        for x in range(width):
            if right_disparity[y, x] >= 0:
                left_occlusion[y, x + right_disparity[y, x]] = False
    return Planes(left, right, disparity, right_disparity, left_occlusion)
