"""Which class a model of diffusers wants: the one place where a family is told from the parts that it has."""

from collections.abc import Mapping

from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

from stereodiffusion.models.backbones.flux import Flux
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sd3 import StableDiffusion3
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL


def family_of(parts: Mapping[str, object]) -> type[LatentModel]:
    """The class for a model of these parts, by name: a transformer of a kind, or a U-Net.

    Among those with a U-Net, SDXL has a second text encoder.
    """
    transformer = parts.get("transformer")
    if transformer is not None:
        return Flux if isinstance(transformer, FluxTransformer2DModel) else StableDiffusion3
    return StableDiffusionXL if parts.get("text_encoder_2") is not None else StableDiffusion
