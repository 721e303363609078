"""Small data sets in the publishers' layouts, written for a test: a pair whose right eye is the left one shifted."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image

from stereodiffusion.datasets import StereoSample
from stereodiffusion.formats.maps.pfm import encode_pfm
from stereodiffusion.geometry import splat

SHIFT_PX = 3
SIZE = (12, 20)


def views(size: tuple[int, int] = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Left and right levels; every point of the left is `SHIFT_PX` columns further left on the right."""
    wide = np.random.default_rng(0).integers(0, 256, (size[0], size[1] + SHIFT_PX, 3), np.uint8)
    return wide[:, :-SHIFT_PX], wide[:, SHIFT_PX:]


def disparity(size: tuple[int, int] = SIZE) -> Float[np.ndarray, "h w"]:
    """The shift everywhere, infinite (unknown) in the first row."""
    pixels = np.full(size, SHIFT_PX, np.float32)
    pixels[0] = np.inf
    return pixels


def write(path: Path, levels: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)


def write_views(left: Path, right: Path, size: tuple[int, int] = SIZE) -> None:
    for path, levels in zip((left, right), views(size), strict=True):
        write(path, levels)


def write_levels(path: Path, scale: int, *, bits: int = 8, size: tuple[int, int] = SIZE) -> None:
    """The disparity as integers, 0 where unknown."""
    d = disparity(size)
    write(path, np.where(np.isfinite(d), scale * d, 0).astype(np.uint8 if bits == 8 else np.uint16))


def write_pfm(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_pfm(disparity(size)))


def check(sample: StereoSample, size: tuple[int, int] = SIZE) -> None:
    """What was written was read: pictures, unit and sign of the disparity, and what is unknown."""
    left, right = (torch.from_numpy(levels).permute(2, 0, 1)[None] / 255 for levels in views(size))
    assert torch.equal(sample.left, left)
    assert torch.equal(sample.right, right)
    assert sample.disparity is not None
    assert not bool(sample.disparity.known[..., 0, :].any())
    assert bool(sample.disparity.known[..., 1:, :].all())
    warped = splat(sample.left, sample.disparity)
    assert int(warped.visible.sum()) == (size[0] - 1) * (size[1] - SHIFT_PX)
    torch.testing.assert_close(warped.view, sample.right * warped.visible)
