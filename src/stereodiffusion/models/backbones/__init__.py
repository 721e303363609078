"""Latent diffusion models of diffusers, behind the protocol of `stereodiffusion.diffusion.backbone`."""

from stereodiffusion.models.backbones.flux import Flux
from stereodiffusion.models.backbones.loading import load_backbone
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sd3 import StableDiffusion3
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL

__all__ = ["Flux", "StableDiffusion", "StableDiffusion3", "StableDiffusionXL", "load_backbone"]
