"""What the methods of the benchmark share: one model, loaded when it is first needed, that counts its evaluations."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

import torch

from stereodiffusion.bench.recall import RecalledInversion
from stereodiffusion.diffusion.backbone import (
    AttentionPlace,
    AttentionTap,
    Backbone,
    Concat,
    Embedding,
)
from stereodiffusion.diffusion.schedule import Prediction, Schedule
from stereodiffusion.settings import PrecisionChoice, Sampling
from stereodiffusion.types import Image, Latent


class CountingBackbone:
    """A model that is used as it is, and counts.

    Attributes:
        evaluations: Network evaluations so far, one for each latent of a batch; one through which gradients flow
            counts twice, as forward and backward.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self.evaluations = 0

    @property
    def name(self) -> str:
        """What the model is called in messages and metadata."""
        return self._backbone.name

    @property
    def pixels_per_latent(self) -> int:
        """Edge of one latent cell in pixels."""
        return self._backbone.pixels_per_latent

    @property
    def latent_channels(self) -> int:
        """Channels of a latent."""
        return self._backbone.latent_channels

    @property
    def patch(self) -> int:
        """Cells along the side of what the network takes for one token."""
        return self._backbone.patch

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels at which the network was trained."""
        return self._backbone.native_size

    @property
    def prediction(self) -> Prediction:
        """What `predict` returns."""
        return self._backbone.prediction

    @property
    def depth_conditioned(self) -> bool:
        """Whether `predict` needs a depth map."""
        return self._backbone.depth_conditioned

    @property
    def inpainting(self) -> bool:
        """Whether `predict` needs to be told where holes are and what is around them."""
        return self._backbone.inpainting

    @property
    def guidance_built_in(self) -> bool:
        """Whether the network is told the guidance scale."""
        return self._backbone.guidance_built_in

    @property
    def attention_places(self) -> Sequence[AttentionPlace]:
        """The self-attention layers in network order, by place."""
        return self._backbone.attention_places

    @property
    def device(self) -> torch.device:
        """Where the tensors go."""
        return self._backbone.device

    @property
    def dtype(self) -> torch.dtype:
        """In which the network computes."""
        return self._backbone.dtype

    def schedule(self, sampling: Sampling, grid: tuple[int, int]) -> Schedule:
        """As the model does."""
        return self._backbone.schedule(sampling, grid)

    def attention_sizes(self, height: int, width: int) -> Sequence[tuple[int, int]]:
        """(tokens, channels) that each self-attention layer reads."""
        return self._backbone.attention_sizes(height, width)

    def encode(self, image: Image) -> Latent:
        """As the model does."""
        return self._backbone.encode(image)

    def decode(self, latents: Latent) -> Image:
        """As the model does."""
        return self._backbone.decode(latents)

    def embed(self, prompts: Sequence[str], *, unconditional: bool = False) -> Embedding:
        """As the model does."""
        return self._backbone.embed(prompts, unconditional=unconditional)

    def predict(self, x_t: Latent, timestep: float, embedding: Embedding, concat: Concat | None = None) -> Latent:
        """As the model does, counted."""
        output = self._backbone.predict(x_t, timestep, embedding, concat)
        self.evaluations += len(x_t) * (2 if output.requires_grad else 1)
        return output

    def attending(self, tap: AttentionTap) -> AbstractContextManager[None]:
        """As the model does."""
        return self._backbone.attending(tap)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a method may need to be built; made once per process.

    Attributes:
        model: A name for `load_backbone`, or a model that is ready.
        device: Where a named model runs.
        dtype: In which precision a named model runs.
        steps: DDIM steps of the methods that denoise with DDIM; None takes each preset's own.
        seed: Of all random numbers; every picture starts from it anew.
    """

    model: str | Backbone = "toybox"
    device: str = "cpu"
    dtype: PrecisionChoice = "float32"
    steps: int | None = None
    seed: int = 0

    @cached_property
    def backbone(self) -> CountingBackbone:
        """The model, loaded on first use.

        Raises:
            ModelError: If it cannot be loaded or is of the wrong kind.
        """
        from stereodiffusion.models.backbones import load_backbone  # classical methods do not wait for diffusers

        if isinstance(self.model, str):
            return CountingBackbone(load_backbone(self.model, device=self.device, dtype=self.dtype))
        return CountingBackbone(self.model)

    @cached_property
    def inversion(self) -> RecalledInversion:
        """Null-text inversion, which the methods of one scene share."""
        return RecalledInversion()

    @property
    def evaluations(self) -> int:
        """Network evaluations so far; a method's cost is the difference between after and before.

        What was recalled is not among them.
        """
        return self.backbone.evaluations if "backbone" in self.__dict__ else 0
