"""All that the method knows of a latent diffusion model.

The method (everything in `stereodiffusion.diffusion`) is written against this protocol; the models of
diffusers stand behind it in `stereodiffusion.models.backbones`. Tests put tiny real networks behind it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from stereodiffusion.diffusion.schedule import Prediction, Schedule
from stereodiffusion.settings import Sampling
from stereodiffusion.types import Image, Latent

AttentionPlace: TypeAlias = Literal["down", "mid", "up"]
"""Where in the U-Net a self-attention layer sits: the contracting half, the bottleneck, the expanding half. In a
transformer, which has no such halves: in the first, the middle, the last third of its layers."""

Concat: TypeAlias = Float[Tensor, "_rows _channels _lh _lw"]
"""What some networks read of each cell beside its noisy latent, as further input channels. Depth-conditioned ones: the
relative inverse depth in [-1, 1], near is +1, one channel. Inpainting ones: 1 where a cell is in a hole and 0
elsewhere, then the latents of the picture whose holes are grey."""

Tokens: TypeAlias = Float[Tensor, "_rows _tokens _features"]
"""Token sequences: what self-attention reads, or prompts after the text encoder."""

AttentionTap: TypeAlias = Callable[[int, Tokens], Tokens]
"""Called in each self-attention layer with the layer's number (network order, from 0) and the picture's tokens there,
from which queries are projected; returns the tokens from which keys and values are projected. Returning the
input leaves the layer as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """Prompts after the text encoders, one row per prompt.

    Attributes:
        tokens: What cross-attention reads.
        pooled: Each prompt as one vector, for models that take it beside the timestep (SDXL); None for the others.
        guidance: Scale w for models that have guidance built in (LCM, FLUX); None for the others.
    """

    tokens: Tokens
    pooled: Float[Tensor, "_rows _features"] | None = None
    guidance: float | None = None


def empty_concat(backbone: "Backbone", height: int, width: int) -> Concat | None:
    """Zeros in place of what a model reads beside one latent of `height` x `width` cells; None if that is nothing."""
    if not (backbone.depth_conditioned or backbone.inpainting):
        return None
    channels = 1 if backbone.depth_conditioned else backbone.latent_channels + 1
    return torch.zeros(1, channels, height, width, device=backbone.device)


def stack_rows(*embeddings: Embedding) -> Embedding:
    """The rows of several embeddings of one model, one after the other."""
    pooled = [embedding.pooled for embedding in embeddings if embedding.pooled is not None]
    return Embedding(
        tokens=torch.cat([embedding.tokens for embedding in embeddings]),
        pooled=torch.cat(pooled) if pooled else None,
        guidance=embeddings[0].guidance,
    )


@runtime_checkable
class Backbone(Protocol):
    """A latent diffusion model: autoencoder, text encoder and noise predictor.

    All tensors live on `device`; latents are handed over in any floating dtype and come back in the same.
    """

    @property
    def name(self) -> str:
        """What the model is called in messages and metadata."""
        ...

    @property
    def pixels_per_latent(self) -> int:
        """Edge of one latent cell in pixels: 8 for Stable Diffusion."""
        ...

    @property
    def latent_channels(self) -> int:
        """Channels of a latent: 4 for Stable Diffusion, 16 for Stable Diffusion 3."""
        ...

    @property
    def patch(self) -> int:
        """Cells along the side of what the network takes for one token: latents are whole patches. 1 for U-Nets."""
        ...

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels at which the network was trained."""
        ...

    @property
    def prediction(self) -> Prediction:
        """What `predict` returns."""
        ...

    @property
    def depth_conditioned(self) -> bool:
        """Whether `predict` needs a depth map (SD2-depth)."""
        ...

    @property
    def inpainting(self) -> bool:
        """Whether `predict` needs to be told where holes are and what is around them."""
        ...

    @property
    def guidance_built_in(self) -> bool:
        """Whether the network is told the guidance scale and needs no unconditional prompt (LCM, FLUX)."""
        ...

    @property
    def attention_places(self) -> Sequence[AttentionPlace]:
        """The self-attention layers in network order, by place."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the tensors go."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """In which the network computes, and in which taps see its tokens."""
        ...

    def schedule(self, sampling: Sampling, grid: tuple[int, int]) -> Schedule:
        """The noise levels that the settings ask for, for latents of `grid` (height, width) cells.

        Raises:
            ConfigError: If there are more steps than levels, or the model has no levels for such a solver.
        """
        ...

    def attention_sizes(self, height: int, width: int) -> Sequence[tuple[int, int]]:
        """(tokens, channels) of a picture that each self-attention layer reads for `height` x `width` cells."""
        ...

    def encode(self, image: Image) -> Latent:
        """Mean of the autoencoder's posterior times the scaling factor."""
        ...

    def decode(self, latents: Latent) -> Image:
        """The picture of a latent, clamped to [0, 1]."""
        ...

    def embed(self, prompts: Sequence[str], *, unconditional: bool = False) -> Embedding:
        """The prompts after the text encoders, one row each.

        Args:
            prompts: One or more.
            unconditional: Whether they are what guidance leads away from. For some models an empty one is zeros then.
        """
        ...

    def predict(self, x_t: Latent, timestep: float, embedding: Embedding, concat: Concat | None = None) -> Latent:
        """One evaluation of the network for each latent of the batch, in the sense of `prediction`.

        Args:
            x_t: Noisy latents, (b, c, h, w).
            timestep: What the schedule says of their level: the training step t; of a flow σ in such steps.
            embedding: Of the prompts, b rows.
            concat: What a `depth_conditioned` or `inpainting` network reads beside the latents, on their grid; required
                by these, refused by others.

        Raises:
            ModelError: If `concat` is missing or not wanted, or the guidance that a network has built in is missing.
        """
        ...

    def attending(self, tap: AttentionTap) -> AbstractContextManager[None]:
        """While entered, every self-attention layer projects keys and values from what `tap` returns.

        On leaving, exception or not, the network is what it was before, bit for bit.
        """
        ...
