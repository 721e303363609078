"""Latent diffusion models of diffusers, behind the protocol of `stereodiffusion.diffusion.backbone`."""

from stereodiffusion.models.backbones.loading import load_backbone
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL

__all__ = ["StableDiffusion", "StableDiffusionXL", "load_backbone"]
