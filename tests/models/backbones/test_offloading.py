"""Models whose parts rest in main memory while they do not compute."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny
from torch import Tensor, nn

from stereodiffusion.datasets.scenes import render, sample_scene
from stereodiffusion.errors import ConfigError
from stereodiffusion.models.backbones import StableDiffusion, load_backbone
from stereodiffusion.models.backbones.offloading import place
from stereodiffusion.models.memory import Memory
from stereodiffusion.synthesis import load

pytestmark = pytest.mark.long

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


class Part(nn.Module):
    """Notes where it is sent."""

    def __init__(self, name: str, sent: list[str]) -> None:
        super().__init__()
        self.name, self.sent = name, sent

    def to(self, *where: Any, **named: Any) -> "Part":
        self.sent.append(f"{self.name} to {where[0]}")
        return self

    def forward(self, given: Tensor) -> Tensor:
        self.sent.append(f"{self.name} computes")
        return given


def test_one_part_is_on_the_device_at_a_time() -> None:
    sent: list[str] = []
    parts = [Part(name, sent) for name in ("text", "unet", "vae")]
    place(parts, "meta", "model")
    assert sent == ["text to cpu", "unet to cpu", "vae to cpu"]
    sent.clear()
    parts[1](torch.zeros(1, 3, device="meta"))
    assert sent == ["text to cpu", "vae to cpu", "unet to meta", "unet computes"]


def test_what_goes_in_is_sent_along() -> None:
    seen: list[torch.device] = []

    class Looking(nn.Module):
        def forward(self, given: Tensor) -> Tensor:
            seen.append(given.device)
            return given

    place([looking := Looking()], "meta", "model")
    looking(torch.zeros(2))
    assert seen == [torch.device("meta")]


@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offloaded_models_make_the_same_pictures(folder: Path, offload: Any) -> None:
    settings: dict[str, Any] = {"changes": {"sampling.steps": 4}, "seed": 3}
    plain = load(folder, depth_estimator="photo-depth", dtype="float32").text("a red ball", **settings)
    sparing = load(folder, depth_estimator="photo-depth", dtype="float32", memory=Memory(offload=offload))
    assert sparing.backbone.device == CPU
    pair = sparing.text("a red ball", **settings)
    torch.testing.assert_close(pair.right, plain.right, rtol=0, atol=1e-5)
    torch.testing.assert_close(pair.left, plain.left, rtol=0, atol=1e-5)
    machine: Any = pair.provenance["machine"]
    assert machine["offload"] == offload
    assert "tiles" not in machine
    if offload == "sequential":
        backbone = sparing.backbone
        assert isinstance(backbone, StableDiffusion)
        weights = backbone.unet.parameters()
        assert {parameter.device.type for parameter in weights} == {"meta"}  # nothing rests on the device


def test_tiles_decode_a_large_picture_nearly_as_it_is() -> None:
    scene = torch.from_numpy(render(sample_scene(3), (320, 384)).left.image).float().permute(2, 0, 1)[None].contiguous()
    plain, tiled = load_backbone("toybox"), load_backbone("toybox", memory=Memory(tiles=True))
    assert tiled.vae.use_tiling
    assert tiled.vae.use_slicing
    latents = plain.encode(scene)
    apart = (plain.decode(latents) - tiled.decode(latents)).square().mean()
    assert 0 < float(apart) < 1e-4  # in tiles indeed, and 40 dB from the whole


def test_other_ways_are_refused() -> None:
    with pytest.raises(ConfigError, match="offload must be one of off, model, sequential, got 'disk'"):
        Memory(offload="disk")  # pyright: ignore[reportArgumentType]
