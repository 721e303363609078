"""What `load` refuses at once: before anything is fetched or read."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tests import tiny

from stereodiffusion import load
from stereodiffusion.errors import ConfigError, ModelError, StereoDiffusionError
from stereodiffusion.models.hub import Hub
from stereodiffusion.synthesis.asking import check_request


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"model": "nope"}, "there is no folder, file or known model nope"),
        ({"model": ""}, "expected a model's name, folder or file, got ''"),
        ({"model": None}, "or a pipeline of diffusers, got NoneType"),
        ({"model": 3}, "or a pipeline of diffusers, got int"),
        ({"model": Path("/nowhere")}, "there is no folder, file or known model /nowhere"),
        ({"model": "dpt-large"}, "got a depth estimator"),
        ({"model": "model.ckpt"}, "pickled weights only"),
        ({"depth_estimator": "nope"}, "there is no depth estimator 'nope'"),
        ({"depth_estimator": "sd1.5"}, r"sd1\.5 is no depth estimator"),
        ({"device": "gpu"}, "expected a device that torch knows, as cpu, cuda, cuda:1 or mps, got 'gpu'"),
        ({"device": "meta"}, "expected a device that computes"),
    ],
)
def test_what_there_is_not(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(StereoDiffusionError, match=message) as caught:
        load(**asked)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"estimator": 3}, "expected a depth estimator's name or folder, got 3"),
        ({"dtype": "fp16"}, "dtype must be one of auto, float32, float16, bfloat16, got 'fp16'"),
    ],
)
def test_what_is_of_another_type(asked: dict[str, Any], message: str) -> None:
    """The annotations of `load` do not admit these, which the tests' type checker is the first to say."""
    named: dict[str, Any] = {"estimator": "toybox-depth", "dtype": "auto", **asked}
    with pytest.raises(StereoDiffusionError, match=message):
        check_request("toybox", named["estimator"], device="cpu", dtype=named["dtype"], hub=Hub())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card")
def test_cuda_where_there_is_none() -> None:
    with pytest.raises(ConfigError, match="device cuda cannot be used here: torch finds no CUDA"):
        load(device="cuda")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this is macOS")
def test_mps_where_there_is_none() -> None:
    with pytest.raises(ConfigError, match="device mps cannot be used here: it takes macOS") as caught:
        load(device="mps")
    assert len(str(caught.value)) < 100


def test_a_part_of_a_pipeline_is_none() -> None:
    with pytest.raises(ModelError, match="or a pipeline of diffusers, got UNet2DConditionModel"):
        load(tiny.pipeline().unet)


def test_a_pipeline_says_where_everything_runs() -> None:
    pipe = tiny.pipeline()
    assert load(pipe, depth_estimator="toybox-depth").backbone.device == torch.device("cpu")


def test_a_folder_is_looked_at_before_an_estimator_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="got no vae, unet, text_encoder, tokenizer, scheduler"):
        load(tmp_path, depth_estimator="dpt-large")


def test_another_opencv_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))
    with pytest.raises(ModelError, match="pip uninstall opencv-python opencv-python-headless"):
        load()
