"""What `bench speed` counts and extrapolates, on tiny networks; nothing here depends on how fast they are."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import thread_time
from typing import Any

import pytest
import torch
from tests import tiny
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import DPTImageProcessorPil

from stereodiffusion.bench.ceiling import evaluation_flops, matmul_ceiling
from stereodiffusion.bench.speed import Speed, measure
from stereodiffusion.bench.speed_report import markdown, write_report
from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.backbones.random_weights import random_backbone
from stereodiffusion.models.estimators import MonocularDepth
from stereodiffusion.settings import Mode
from stereodiffusion.settings.presets import PresetName


@pytest.fixture(scope="module")
def estimator() -> MonocularDepth:
    processor: Any = DPTImageProcessorPil(size={"height": 32, "width": 32})
    return MonocularDepth(name="tiny-dpt", model=tiny.depth_estimator(), processor=processor, predicts="inverse-depth")


@pytest.fixture(autouse=True)
def _small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ceiling of small matrices: nothing here depends on how high it is."""
    monkeypatch.setattr("stereodiffusion.bench.ceiling._EDGES", (256, 512))
    monkeypatch.setattr("stereodiffusion.bench.ceiling._SECONDS", 0.05)


def backbone_for(mode: Mode) -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline("depth" if mode == "depth" else "epsilon"), name="tiny")


@pytest.mark.parametrize(
    ("mode", "preset", "evaluations"),
    [
        ("text", "paper", 300),
        ("text", "fast", 2 * 50 + 2 * 13),
        ("depth", "paper", 200),
        ("depth", "best", 2 * 50 + 2 * 3),
        ("photo", "paper", 49 + 50 * (1 + 2 * 10 + 1) + 200),  # ten iterations, forward and backward, in every step
        ("photo", "fast", 9 + 7),
    ],
)
def test_a_stretch_stands_for_the_whole(
    estimator: MonocularDepth, mode: Mode, preset: PresetName, evaluations: int
) -> None:
    speed = measure("toybox", backbone_for(mode), estimator, mode, preset, stretch=3)
    assert speed.evaluations == evaluations
    assert (speed.stretch, speed.steps) == (3, 10 if (mode, preset) == ("photo", "fast") else 50)
    if (mode, preset) == ("photo", "paper"):
        assert 0 < speed.seconds_least < speed.seconds
        assert 0 < speed.core_seconds_least < speed.core_seconds
    else:
        assert 0 < speed.seconds_least == speed.seconds
        assert 0 < speed.core_seconds_least == speed.core_seconds
    assert 0 < speed.share < 1


def test_a_whole_run_is_not_extrapolated(estimator: MonocularDepth) -> None:
    speed = measure("toybox", backbone_for("photo"), estimator, "photo", "fast")
    assert (speed.stretch, speed.evaluations) == (10, 9 + 7)


def test_attention_counts_as_the_products_it_is_made_of() -> None:
    backbone = backbone_for("text")
    counted, embedding = evaluation_flops(backbone), backbone.embed([""])
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as spelled_out, torch.no_grad():
        backbone.predict(torch.zeros(1, 4, 8, 8), 500, embedding)
    assert counted == spelled_out.get_total_flops()


def test_a_ceiling_is_the_rate_of_products_timed_otherwise() -> None:
    """The fastest of many of one size, by the clock: what a core's share of it is, within a busy machine's noise."""
    edge = 1024
    one, seconds = torch.randn(edge, edge), []
    for _ in range(10):
        begun = thread_time()
        torch.mm(one, one)
        seconds.append(thread_time() - begun)
    fastest = 2 * edge**3 / min(seconds) / torch.get_num_threads()
    assert fastest / 4 < matmul_ceiling(torch.device("cpu"), torch.float32) < 4 * fastest


@pytest.mark.parametrize(
    ("size", "unet", "text_encoder"),
    [("sd1", 859_520_964, 123_060_480), ("sd2-depth", 865_913_604, 340_387_840)],
)
def test_random_networks_have_the_published_sizes(size: Any, unet: int, text_encoder: int) -> None:
    backbone = random_backbone(size, device="meta", dtype="bfloat16")
    assert sum(weight.numel() for weight in backbone.unet.parameters()) == unet
    assert sum(weight.numel() for weight in backbone.text_encoder.parameters()) == text_encoder
    assert sum(weight.numel() for weight in backbone.vae.parameters()) == 83_653_863
    assert backbone.depth_conditioned == (size == "sd2-depth")
    assert backbone.unet.dtype == backbone.vae.dtype == torch.bfloat16


def lines() -> Iterator[Speed]:
    numbers: tuple[tuple[PresetName, float, float], ...] = (("paper", 400.0, 100.0), ("fast", 4.0, 4.0))
    for preset, seconds, least in numbers:
        yield Speed(
            model="toybox",
            mode="photo",
            preset=preset,
            dtype="float32",
            steps=50,
            stretch=3 if preset == "paper" else 50,
            seconds=3 * seconds,
            core_seconds=seconds,
            seconds_least=3 * least,
            core_seconds_least=least,
            evaluations=16,
            peak_memory_mb=1234.0,
            network_gflops=60.0,
            ceiling_gflops=80.0,
        )


def test_the_report_says_what_was_extrapolated(tmp_path: Path) -> None:
    text = markdown(list(lines()))
    assert "about 1200.0 (least 300.0) | about 400.0 (least 100.0)" in text
    assert "| 100.0 (least 25.0) |" in text
    assert "| 75% |" in text
    assert "| paper | float32 |" in text
    assert "| fast | float32 |" in text
    assert "extrapolated from a stretch of 3 steps" in text
    paths = write_report(tmp_path / "new", list(lines()))
    assert [path.name for path in paths] == ["speed.json", "speed.md"]
    stored = json.loads(paths[0].read_text())
    assert [line["preset"] for line in stored["lines"]] == ["paper", "fast"]
    assert paths[1].read_text() == text
