"""Stable Diffusion 3 and 3.5 behind the protocol of the method (Esser et al. 2024).

A prompt is read by two CLIP encoders, whose states lie side by side, and by T5, whose states follow them; the two CLIP
vectors are the pooled one. T5 is the largest part and may be left out: its tokens are zeros then, as in training.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from diffusers import AutoencoderKL
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from stereodiffusion.diffusion.backbone import Concat, Embedding
from stereodiffusion.errors import GeometryError, ModelError
from stereodiffusion.models.backbones.flow_transformer import FlowTransformer
from stereodiffusion.models.backbones.joint_attention import JointLayer
from stereodiffusion.models.backbones.latent import wrong
from stereodiffusion.types import Latent

_T5_TOKENS = 256


class StableDiffusion3(FlowTransformer):
    """A latent diffusion model with Stable Diffusion 3's topology, as the method sees it.

    Args:
        vae: Autoencoder.
        transformer: Predicts the velocity.
        text_encoder: The first CLIP text encoder (ViT-L).
        tokenizer: Its own.
        text_encoder_2: The second CLIP text encoder (OpenCLIP ViT-bigG).
        tokenizer_2: Its own.
        scheduler: Of the model; only its noise levels are used.
        name: What the model is called in messages and metadata.
        text_encoder_3: T5; None takes zeros.
        tokenizer_3: Its own.

    Raises:
        ModelError: If the parts do not belong together.
    """

    kinds: ClassVar = {
        "vae": AutoencoderKL,
        "transformer": SD3Transformer2DModel,
        "text_encoder": CLIPTextModelWithProjection,
        "tokenizer": CLIPTokenizer,
        "text_encoder_2": CLIPTextModelWithProjection,
        "tokenizer_2": CLIPTokenizer,
        "text_encoder_3": T5EncoderModel,
        "tokenizer_3": T5Tokenizer,
    }
    optional = frozenset({"text_encoder_3", "tokenizer_3"})
    evenly_spaced = False

    def __init__(
        self,
        *,
        vae: AutoencoderKL,
        transformer: SD3Transformer2DModel,
        text_encoder: CLIPTextModelWithProjection,
        tokenizer: CLIPTokenizer,
        text_encoder_2: CLIPTextModelWithProjection,
        tokenizer_2: CLIPTokenizer,
        scheduler: Any,
        name: str,
        text_encoder_3: T5EncoderModel | None = None,
        tokenizer_3: T5Tokenizer | None = None,
    ) -> None:
        self.text_encoder, self.tokenizer = text_encoder, tokenizer
        self.text_encoder_2, self.tokenizer_2 = text_encoder_2, tokenizer_2
        self.text_encoder_3, self.tokenizer_3 = text_encoder_3, tokenizer_3
        super().__init__(vae=vae, transformer=transformer, scheduler=scheduler, name=name)
        self._check_parts()

    @property
    def patch(self) -> int:
        """Cells along the side of a token's patch."""
        return self.transformer.config["patch_size"]

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels at which the network was trained."""
        side: int = self.transformer.config["sample_size"] * self.pixels_per_latent
        return side, side

    @property
    def guidance_built_in(self) -> bool:
        """Guidance is classifier-free."""
        return False

    @torch.no_grad()
    def embed(self, prompts: Sequence[str], *, unconditional: bool = False) -> Embedding:
        """All encoders' states one after the other, and the pooled vectors side by side; in float32, a row per prompt.

        With T5 the CLIP encoders read the beginning of a prompt that is too long for them, as in diffusers.

        Raises:
            PromptError: If a prompt is too long for T5, or without it for CLIP.
        """
        del unconditional
        cut = self.text_encoder_3 is not None
        first = self._read_clip(prompts, self.tokenizer, self.text_encoder, cut=cut)
        second = self._read_clip(prompts, self.tokenizer_2, self.text_encoder_2, cut=cut)
        clip = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=2).float()
        t5 = self._t5(prompts)
        return Embedding(
            tokens=torch.cat([pad(clip, (0, t5.shape[2] - clip.shape[2])), t5], dim=1),
            pooled=torch.cat([first.text_embeds, second.text_embeds], dim=1).float(),
        )

    def _t5(self, prompts: Sequence[str]) -> Float[Tensor, "b n c"]:
        if self.text_encoder_3 is None or self.tokenizer_3 is None:
            channels: int = self.transformer.config["joint_attention_dim"]
            return torch.zeros(len(prompts), _T5_TOKENS, channels, device=self.device, dtype=torch.float32)
        return self._read_t5(prompts, self.tokenizer_3, self.text_encoder_3, _T5_TOKENS)

    def predict(self, x_t: Latent, timestep: float, embedding: Embedding, concat: Concat | None = None) -> Latent:
        """As for `FlowTransformer`.

        Raises:
            GeometryError: If the latents are larger than the network's grid of positions.
        """
        largest: int = self.transformer.config["pos_embed_max_size"]
        if max(x_t.shape[2:]) > largest * self.patch:
            most = largest * self.patch * self.pixels_per_latent
            raise GeometryError(
                f"{self.name} has positions for sides of up to {most} pixels, got "
                f"{x_t.shape[2] * self.pixels_per_latent} x {x_t.shape[3] * self.pixels_per_latent}"
            )
        return super().predict(x_t, timestep, embedding, concat)

    def _output(self, x_t: Latent, told: Float[Tensor, " b"], embedding: Embedding) -> Latent:
        return self.transformer(
            hidden_states=x_t,
            timestep=told,
            encoder_hidden_states=embedding.tokens.to(x_t),
            pooled_projections=cast(Tensor, embedding.pooled).to(x_t),
            return_dict=False,
        )[0]

    def _joint_layers(self) -> Sequence[JointLayer]:
        """Of each block the joint layer and, in some blocks of SD 3.5, a second one of the picture alone."""
        channels: int = self.transformer.inner_dim
        layers = [layer for block in self.transformer.transformer_blocks for layer in (block.attn, block.attn2)]
        return [JointLayer(layer, False, channels) for layer in layers if layer is not None]

    def _check_parts(self) -> None:
        config = self.transformer.config
        if config["in_channels"] != self.latent_channels:
            raise ModelError(wrong(self.name, f"a transformer with {config['in_channels']} input channels"))
        if getattr(self.transformer, "image_proj", None) is not None:
            raise ModelError(wrong(self.name, "a transformer that also reads pictures (an IP-Adapter)"))
        if (self.text_encoder_3 is None) != (self.tokenizer_3 is None):
            raise ModelError(wrong(self.name, "text_encoder_3 or tokenizer_3 without the other"))
        clips: list[Any] = [self.text_encoder.config, self.text_encoder_2.config]
        pooled, states = (sum(getattr(clip, name) for clip in clips) for name in ("projection_dim", "hidden_size"))
        t5 = self.text_encoder_3.config.d_model if self.text_encoder_3 is not None else config["joint_attention_dim"]
        if (config["pooled_projection_dim"], config["joint_attention_dim"]) != (pooled, t5) or states > t5:
            raise ModelError(
                f"{self.name}: the transformer takes prompt tokens of {config['joint_attention_dim']} channels and "
                f"vectors of {config['pooled_projection_dim']}, the text encoders make {max(states, t5)} and {pooled}"
            )
