"""The procedural scenes as a data set: exact truth, as many as asked for.

A scene is called by its seed. The embedded model was trained on seeds from 5,000,000 on: smaller ones are new to it.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.datasets.scenes import captions, render, sample_scene
from stereodiffusion.errors import DatasetError
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image, Region


def open_scenes(count: int = 20, *, seed: int = 0, size: tuple[int, int] = (512, 512)) -> StereoDataset:
    """The scenes of the seeds `seed`, `seed + 1` and so on.

    Args:
        count: How many.
        seed: The first.
        size: (height, width) of the pictures.
    """
    if count < 1 or seed < 0 or min(size) < 1:
        raise DatasetError(f"expected at least one scene, a seed >= 0 and a size, got {count}, {seed} and {size}")
    names = tuple(f"{number:06d}" for number in range(seed, seed + count))
    return StereoDataset(name="scenes", scenes=names, reader=partial(_render, size))


def _render(size: tuple[int, int], name: str) -> StereoSample:
    scene = sample_scene(int(name))
    pair = render(scene, size)
    return StereoSample(
        name=name,
        left=_picture(pair.left.image),
        right=_picture(pair.right.image),
        disparity=Disparity.from_pixels(torch.from_numpy(pair.left.disparity)),
        right_disparity=Disparity.from_pixels(torch.from_numpy(pair.right.disparity)),
        occlusion=_region(pair.right.occluded),
        caption=captions(scene, 1)[0],
    )


def _picture(image: NDArray[np.float32]) -> Image:
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


def _region(cells: NDArray[np.bool_]) -> Region:
    return torch.from_numpy(cells)[None, None]
