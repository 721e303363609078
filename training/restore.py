"""Rebuilds training checkpoints from the committed weights, for a machine without .training/.

    python -m training.restore

Optimisers start afresh and the averaged weights (float16) take the place of the weights in training.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.nn import functional
from transformers import CLIPTextModel, GLPNForDepthEstimation

from training import autoencoder, depth_estimator, unet
from training.export import TARGET
from training.pictures import WORK


def restore() -> None:
    """Write every checkpoint that is missing."""
    WORK.mkdir(exist_ok=True)
    vae = AutoencoderKL.from_pretrained(TARGET / "vae", torch_dtype=torch.float32)
    linear = _components(vae)
    if not autoencoder.COMPONENTS.exists():
        torch.save(linear._asdict(), autoencoder.COMPONENTS)
    if not autoencoder.CHECKPOINT.exists():
        _write(autoencoder.CHECKPOINT, dict(vae.state_dict()), spent=0.0)
    text_encoder = CLIPTextModel.from_pretrained(TARGET / "text_encoder", dtype=torch.float32)
    words = {f"encoder.{name}": value for name, value in text_encoder.state_dict().items()}
    if not unet.CHECKPOINT.exists():  # the sibling has all of the text UNet's weights
        sibling = UNet2DConditionModel.from_pretrained(TARGET / "unet_depth", torch_dtype=torch.float32)
        weights = {f"unet.{name}": value for name, value in sibling.state_dict().items()}
        _write(unet.CHECKPOINT, weights | words, spent={"128": 0.0, "256": 0.0})
    if not depth_estimator.CHECKPOINT.exists():
        model = GLPNForDepthEstimation.from_pretrained(TARGET / "depth", dtype=torch.float32)
        _write(depth_estimator.CHECKPOINT, dict(model.state_dict()), spent=0.0)


def _components(vae: AutoencoderKL) -> autoencoder.Components:
    """Read the linear encoder off the autoencoder by showing it one lit pixel value after the other."""
    size = autoencoder.CELL
    with torch.no_grad():
        dark = torch.zeros((1, 3, size, size))
        bias = vae.encode(dark).latent_dist.mean[0, :, 0, 0]
        lit = functional.one_hot(torch.arange(3 * size * size)).float().view(-1, 3, size, size)
        seen = vae.encode(lit).latent_dist.mean[:, :, 0, 0]
    return autoencoder.Components((seen - bias).T.reshape(-1, 3, size, size).contiguous(), bias.clone())


def _write(path: object, weights: dict[str, torch.Tensor], *, spent: object) -> None:
    state = {"model": weights, "average": weights, "optimiser": None, "step": 0, "samples": 0, "spent": spent}
    torch.save(state, path)
    print(f"restored {path}")


if __name__ == "__main__":
    restore()
