"""Tiny real depth networks of every family, saved as their authors publish them."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
    GLPNConfig,
    GLPNForDepthEstimation,
    GLPNImageProcessorPil,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
    ZoeDepthImageProcessorPil,
)

from stereodiffusion.models.estimators.spread import GLPNWithSpread

BEIT: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 64,
    "patch_size": 16,
    "use_relative_position_bias": True,
    "reshape_hidden_states": False,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
DINOV2: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "mlp_ratio": 2,
    "image_size": 28,
    "patch_size": 14,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "reshape_hidden_states": False,
}
DPT: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 64,
    "patch_size": 16,
    "backbone_out_indices": [0, 1, 2, 3],
    "neck_hidden_sizes": [8, 8, 8, 8],
    "fusion_hidden_size": 8,
}


def dpt(**changes: Any) -> tuple[nn.Module, Any]:
    """Intel/dpt-large: a plain vision transformer."""
    return DPTForDepthEstimation(DPTConfig(**(DPT | changes))), DPTImageProcessorPil(size={"height": 64, "width": 64})


def dpt_hybrid() -> tuple[nn.Module, Any]:
    """Intel/dpt-hybrid-midas: a residual network below the transformer."""
    backbone = {
        "global_padding": "same",
        "layer_type": "bottleneck",
        "depths": [1, 1, 1],
        "hidden_sizes": [8, 16, 32],
        "embedding_size": 8,
        "num_groups": 4,
        "out_features": ["stage1", "stage2", "stage3"],
        "embedding_dynamic_padding": True,
    }
    return dpt(
        is_hybrid=True,
        backbone_config=backbone,
        backbone_featmap_shape=[1, 32, 4, 4],
        reassemble_factors=[1, 1, 1, 0.5],
        neck_hidden_sizes=[8, 16, 8, 8],
    )


def dpt_beit() -> tuple[nn.Module, Any]:
    """Intel/dpt-beit-base-384 (MiDaS 3.1): another transformer in the backbone's place."""
    return dpt(backbone_config=BeitConfig(**BEIT), neck_ignore_stages=[])


def depth_anything(kind: str = "relative") -> tuple[nn.Module, Any]:
    """Depth-Anything-V2-Small-hf, or one of its metric siblings."""
    backbone = Dinov2Config(**DINOV2)
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=20 if kind == "metric" else 1,
    )
    processor = DPTImageProcessorPil(size={"height": 56, "width": 56}, ensure_multiple_of=14, keep_aspect_ratio=True)
    return DepthAnythingForDepthEstimation(config), processor


def glpn_config(**changes: Any) -> GLPNConfig:
    """Four stages of one layer."""
    return GLPNConfig(
        num_encoder_blocks=4,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=8,
        **changes,
    )


def glpn() -> tuple[nn.Module, Any]:
    """vinvino02/glpn-nyu: metres, at the picture's own size rounded down to a multiple of 32."""
    return GLPNForDepthEstimation(glpn_config()), GLPNImageProcessorPil()


def glpn_relative() -> tuple[nn.Module, Any]:
    """A GLPN that predicts relative inverse depth."""
    return GLPNForDepthEstimation(glpn_config(depth_estimation_type="relative", max_depth=1)), GLPNImageProcessorPil()


def glpn_with_spread() -> GLPNWithSpread:
    """One that has a second head besides."""
    torch.manual_seed(0)
    return GLPNWithSpread(glpn_config(depth_estimation_type="relative", max_depth=1)).eval()


def zoedepth() -> tuple[nn.Module, Any]:
    """Intel/zoedepth-nyu: metres, from a picture that is padded by reflection first."""
    config = ZoeDepthConfig(
        backbone_config=BeitConfig(**BEIT),
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=16,
        bottleneck_features=16,
        num_relative_features=8,
        num_attractors=[4, 2, 2, 1],
        bin_embedding_dim=8,
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
    )
    processor = ZoeDepthImageProcessorPil(size={"height": 64, "width": 64}, ensure_multiple_of=32)
    return ZoeDepthForDepthEstimation(config), processor


FAMILIES: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "dpt": dpt,
    "dpt-hybrid": dpt_hybrid,
    "dpt-beit": dpt_beit,
    "depth-anything": depth_anything,
    "depth-anything-metric": lambda: depth_anything("metric"),
    "glpn": glpn,
    "glpn-relative": glpn_relative,
    "zoedepth": zoedepth,
}


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Generator[None, None, None]:
    """These networks are too small to be worth more, and on a busy machine threads that wait cost minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each family in transformers' format."""
    made: dict[str, Path] = {}
    for family, build in FAMILIES.items():
        made[family] = tmp_path_factory.mktemp("models") / family
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model, processor = build()
            _enliven(model)
        model.save_pretrained(made[family])  # pyright: ignore[reportCallIssue]
        processor.save_pretrained(made[family])
    return made


@torch.no_grad()
def _enliven(model: nn.Module) -> None:
    """Weights large enough for the output to depend on the picture, and a positive one."""
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            parameter.normal_(0, 0.25)
    for head in ("head", "relative_head"):
        convolutions = [layer for layer in getattr(model, head, nn.Module()).modules() if isinstance(layer, nn.Conv2d)]
        if convolutions and convolutions[-1].bias is not None:
            convolutions[-1].bias.fill_(1.0)


@pytest.fixture(scope="session")
def pictures() -> torch.Tensor:
    """Two smooth pictures of 50 x 90 pixels with 8-bit values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        coarse = torch.rand(2, 3, 5, 9)
    smooth = nn.functional.interpolate(coarse, size=(50, 90), mode="bilinear")
    return (smooth * 255).round() / 255
