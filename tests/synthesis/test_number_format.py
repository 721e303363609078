"""Loading a model in half precision changes torch's default format for all threads, while others draw pictures."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.making import depth_pair, photo_pair, text_pair
from torch import Tensor

from stereodiffusion.formats.pictures.image import read_image, write_image
from stereodiffusion.geometry import Disparity
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.settings.presets import preset
from stereodiffusion.synthesis.run import Run, Synthesis

TWO = {"sampling.steps": 2}


@contextmanager
def default_of(dtype: torch.dtype) -> Generator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("mode", ["text", "depth", "photo"])
def test_a_pair_does_not_depend_on_it(
    mode: str,
    text_backbone: StableDiffusion,
    depth_backbone: StableDiffusion,
    estimator: MonocularDepth,
    photo: Tensor,
    disparity_px: Tensor,
) -> None:
    def asked() -> Synthesis:
        if mode == "text":
            best = preset("best", "text").changed(TWO)
            return text_pair(text_backbone, estimator, ["a red ball"], settings=best, size=(16, 16))
        if mode == "depth":
            disparity = Disparity.from_pixels(disparity_px[:64, :64])
            return depth_pair(depth_backbone, disparity, [""], settings=preset("best", "depth").changed(TWO))
        disparity = Disparity.from_pixels(disparity_px)
        return photo_pair(text_backbone, photo, disparity, settings=preset("best", "photo").changed(TWO))

    undisturbed = Run(asked()).result
    with default_of(torch.bfloat16):
        pair = Run(asked()).result
    assert torch.equal(pair.left, undisturbed.left)
    assert torch.equal(pair.right, undisturbed.right)


def test_nor_does_a_picture_that_is_read_or_written(photo: Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", photo)
    with default_of(torch.bfloat16):
        read = read_image(tmp_path / "a.png")
        write_image(tmp_path / "b.png", photo)
    assert torch.equal(read, read_image(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
