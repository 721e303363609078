"""What the latent diffusion models of diffusers have in common: parts with names, and an autoencoder.

The parts are diffusers' own and stay the caller's: their device, dtype, memory layout, LoRAs, offloading hooks and
attention processors are used as they are, and nothing of them is changed. The network may run in half
precision while latents travel in float32.

A VAE in float16 can overflow on some pictures (SD 2.x more often than 1.x) and then decodes to NaN; that is an error
here, not a black picture. Keep the autoencoder in float32 (`pipe.vae.to(torch.float32)`) or use bfloat16.
"""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn

from stereodiffusion.diffusion.backbone import Backbone
from stereodiffusion.errors import GeometryError, ModelError
from stereodiffusion.models.backbones.precision import computing_format
from stereodiffusion.models.backbones.schedulers import say_what_is_ignored
from stereodiffusion.models.origin import EXPECTED
from stereodiffusion.types import Image

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

Model = TypeVar("Model", bound="LatentModel")

_IGNORED = frozenset({"safety_checker", "feature_extractor", "depth_estimator"})
"""Parts that pipelines carry and the method does not use."""


class LatentModel(Backbone):
    """A latent diffusion model as the method sees it, whatever its network is.

    Args:
        vae: Autoencoder.
        name: What the model is called in messages and metadata.

    Attributes:
        vae: The autoencoder.
    """

    kinds: ClassVar[Mapping[str, type]]
    """The parts of such a model, by the names that pipelines and folders give them, and what each must be."""

    optional: ClassVar[frozenset[str]] = frozenset()
    """Those of them that may be left out."""

    def __init__(self, *, vae: AutoencoderKL, name: str) -> None:
        self.vae = vae
        self._name = name

    @classmethod
    def from_pipeline(cls: type[Model], pipe: "DiffusionPipeline", *, name: str | None = None) -> Model:
        """Work with a pipeline that the caller already has; whatever is done to it later counts here too.

        Args:
            pipe: One of the family's pipelines, or one made of the same parts.
            name: What to call the model; otherwise the name it was loaded under.

        Raises:
            ModelError: If the pipeline has parts that the method does not know what to do with.
        """
        parts = cls._parts_of(pipe, name or _name_of(pipe))
        say_what_is_ignored(parts["name"], parts["scheduler"].config)
        return cls(**parts)

    @classmethod
    def _parts_of(cls, pipe: "DiffusionPipeline", name: str) -> dict[str, Any]:
        """What `__init__` takes, from a pipeline."""
        parts = {part for part, value in pipe.components.items() if value is not None}
        wanted = {*cls.kinds, "scheduler"}
        if missing := wanted - parts - cls.optional:
            raise ModelError(wrong(name, f"a {type(pipe).__name__} without {_listed(missing)}"))
        if surplus := parts - wanted - _IGNORED:
            raise ModelError(wrong(name, f"a {type(pipe).__name__} with {_listed(surplus)}"))
        components = {part: pipe.components[part] for part in wanted & parts}
        for part, kind in cls.kinds.items():
            if part in components and not isinstance(components[part], kind):
                raise ModelError(wrong(name, f"{part} {type(components[part]).__name__} instead of {kind.__name__}"))
        return {**components, "name": name}

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """What predicts."""

    @property
    @abstractmethod
    def least_cells(self) -> int:
        """Cells along the side of the smallest latents that the network takes."""

    @property
    def name(self) -> str:
        """What the model is called in messages and metadata."""
        return self._name

    @property
    def pixels_per_latent(self) -> int:
        """Edge of one latent cell in pixels: every level of the autoencoder but the last halves the picture."""
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @property
    def latent_channels(self) -> int:
        """Channels of a latent."""
        return self.vae.config["latent_channels"]

    @property
    def device(self) -> torch.device:
        """Where the network runs: with offloading not where its weights rest."""
        return _running_device(self.network)

    @torch.no_grad()
    def encode(self, image: Image) -> Float[Tensor, "b c lh lw"]:
        """Mean of the autoencoder's posterior, less the shift that some have, times the scaling factor.

        Raises:
            GeometryError: If the picture is not whole patches of cells.
        """
        height, width = image.shape[-2:]
        least = self.pixels_per_latent * self.patch
        if height % least or width % least:
            raise GeometryError(
                f"a picture for {self.name} must have sides that are multiples of {least}, got {height} x {width}"
            )
        pixels = (2 * image - 1).to(self.device, computing_format(self.vae))
        mean: Tensor = cast(Any, self.vae.encode(pixels)).latent_dist.mean
        shift = self.vae.config["shift_factor"]
        latents = (mean if shift is None else mean - shift) * self.vae.config["scaling_factor"]
        return latents.to(image.dtype)

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "b c lh lw"]) -> Image:
        """The picture of a latent, clamped to [0, 1].

        Raises:
            ModelError: If the result is not finite.
        """
        scaled = latents / self.vae.config["scaling_factor"]
        shift = self.vae.config["shift_factor"]
        shifted = (scaled if shift is None else scaled + shift).to(self.device, computing_format(self.vae))
        pixels: Tensor = cast(Any, self.vae.decode(shifted)).sample.to(latents.dtype)
        if not pixels.isfinite().all():
            blame = "the latents are not finite"
            if latents.isfinite().all():
                blame = f"the autoencoder overflowed in {self.vae.dtype}; run it in float32 or bfloat16"
            raise ModelError(f"{self.name} decoded to values that are not finite: {blame}")
        return (pixels / 2 + 0.5).clamp(0, 1)


def rewriting(pipe: "DiffusionPipeline") -> dict[str, Any]:
    """What rewrites prompts for textual inversion, one word to several vectors; nothing if the pipeline has no such."""
    rewrite = getattr(pipe, "maybe_convert_prompt", None)
    return {} if rewrite is None else {"rewrite_prompt": rewrite}


def wrong(name: str, what: str) -> str:
    """The line that says that a model is none of those that can be worked with."""
    return f"{name}: expected {EXPECTED}, got {what}"


def _name_of(pipe: "DiffusionPipeline") -> str:
    """The hub id a pipeline was loaded under, the last folder of a path, or else its class."""
    origin = str(pipe.config.get("_name_or_path") or "")
    return (Path(origin).name if Path(origin).exists() else origin) or type(pipe).__name__


def _running_device(module: nn.Module) -> torch.device:
    """Where accelerate's offloading hooks will run the module; without such hooks, where it is.

    Whatever it hooks within a module, accelerate hooks the module itself, too.
    """
    for part in module.modules() if hasattr(module, "_hf_hook") else ():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return next(module.parameters()).device


def _listed(words: Collection[str]) -> str:
    return ", ".join(sorted(words))
