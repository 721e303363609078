"""Which class a model of diffusers wants: the one place where a family is told from the parts that it has."""

from collections.abc import Collection

from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL


def family_of(parts: Collection[str]) -> type[StableDiffusion]:
    """The class for a model of these parts: SDXL has a second text encoder."""
    return StableDiffusionXL if "text_encoder_2" in parts else StableDiffusion
