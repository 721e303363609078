"""Latent diffusion models of diffusers, behind the protocol of `stereodiffusion.diffusion.backbone`."""

from stereodiffusion.backbones.loading import load_backbone
from stereodiffusion.backbones.sd import StableDiffusion
from stereodiffusion.backbones.sdxl import StableDiffusionXL

__all__ = ["StableDiffusion", "StableDiffusionXL", "load_backbone"]
