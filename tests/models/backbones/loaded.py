"""Models with a U-Net, loaded."""

from typing import Any

from stereodiffusion.models.backbones import StableDiffusion
from stereodiffusion.models.backbones import load_backbone as load


def load_backbone(model: Any, **how: Any) -> StableDiffusion:
    """As the package loads it; of a family with a U-Net."""
    backbone = load(model, **how)
    assert isinstance(backbone, StableDiffusion)
    return backbone
