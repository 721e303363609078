"""FLUX.1 behind the protocol of the method: a transformer of two streams, then of one, distilled from guidance.

A prompt is read by T5, and by CLIP as one vector. Patches are packed into tokens before the network, with rotary
positions. The published `dev` model is told the guidance scale, `schnell` was distilled without one.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from diffusers import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from stereodiffusion.diffusion.backbone import Embedding
from stereodiffusion.errors import ModelError
from stereodiffusion.models.backbones.flow_transformer import FlowTransformer
from stereodiffusion.models.backbones.joint_attention import JointLayer
from stereodiffusion.models.backbones.latent import rewriting, wrong
from stereodiffusion.models.backbones.prompts import TOKENIZING
from stereodiffusion.types import Latent

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

_PATCH = 2


class Flux(FlowTransformer):
    """A latent diffusion model with FLUX.1's topology, as the method sees it.

    Args:
        vae: Autoencoder.
        transformer: Predicts the velocity.
        text_encoder: CLIP (ViT-L), of which the pooled vector is used.
        tokenizer: Its own.
        text_encoder_2: T5.
        tokenizer_2: Its own.
        scheduler: Of the model; only its noise levels are used.
        name: What the model is called in messages and metadata.
        rewrite_prompt: As for `StableDiffusion`.

    Raises:
        ModelError: If the parts do not belong together.
    """

    kinds: ClassVar = {
        "vae": AutoencoderKL,
        "transformer": FluxTransformer2DModel,
        "text_encoder": CLIPTextModel,
        "tokenizer": CLIPTokenizer,
        "text_encoder_2": T5EncoderModel,
        "tokenizer_2": T5Tokenizer,
    }
    evenly_spaced = True

    def __init__(
        self,
        *,
        vae: AutoencoderKL,
        transformer: FluxTransformer2DModel,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        text_encoder_2: T5EncoderModel,
        tokenizer_2: T5Tokenizer,
        scheduler: Any,
        name: str,
        rewrite_prompt: Callable[[str, Any], str] = lambda prompt, _: prompt,
    ) -> None:
        self._rewrite_prompt = rewrite_prompt
        self.text_encoder, self.tokenizer = text_encoder, tokenizer
        self.text_encoder_2, self.tokenizer_2 = text_encoder_2, tokenizer_2
        super().__init__(vae=vae, transformer=transformer, scheduler=scheduler, name=name)
        self._check_parts()

    @classmethod
    def _parts_of(cls, pipe: "DiffusionPipeline", name: str) -> dict[str, Any]:
        return {**super()._parts_of(pipe, name), **rewriting(pipe)}

    @property
    def patch(self) -> int:
        """Cells along the side of a token's patch."""
        return _PATCH

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels at which the network was trained: the autoencoder's own."""
        side: int = self.vae.config["sample_size"]
        return side, side

    @property
    def guidance_built_in(self) -> bool:
        """Whether the network is told the guidance scale and needs no unconditional prompt: `dev`, not `schnell`."""
        return bool(self.transformer.config["guidance_embeds"])

    @torch.no_grad()
    def embed(self, prompts: Sequence[str], *, unconditional: bool = False) -> Embedding:
        """T5's states and CLIP's pooled vectors, in float32, a row per prompt.

        T5 reads 512 tokens, 256 for a network without guidance (`schnell`); CLIP no more than it takes.

        Raises:
            PromptError: If a prompt is too long for T5.
        """
        del unconditional
        length: Literal[256, 512] = 512 if self.guidance_built_in else 256
        with TOKENIZING:
            clip, t5 = (
                prompts if isinstance(prompts, str) else [self._rewrite_prompt(prompt, tokenizer) for prompt in prompts]
                for tokenizer in (self.tokenizer, self.tokenizer_2)
            )
            pooled = self._read_clip(clip, self.tokenizer, self.text_encoder, cut=True).pooler_output.float()
            return Embedding(tokens=self._read_t5(t5, self.tokenizer_2, self.text_encoder_2, length), pooled=pooled)

    def _output(self, x_t: Latent, told: Float[Tensor, " b"], embedding: Embedding) -> Latent:
        if self.guidance_built_in and embedding.guidance is None:
            raise ModelError(f"{self.name} has its guidance built in: expected an embedding with its scale, got none")
        guidance = None
        if self.guidance_built_in and embedding.guidance is not None:
            guidance = torch.full_like(told, embedding.guidance)
        rows, columns = (side // _PATCH for side in x_t.shape[2:])
        velocity = self.transformer(
            hidden_states=rearrange(x_t, "b c (h p) (w q) -> b (h w) (c p q)", p=_PATCH, q=_PATCH),
            timestep=told.to(x_t.dtype) / 1000,
            guidance=guidance,
            pooled_projections=cast(Tensor, embedding.pooled).to(x_t),
            encoder_hidden_states=embedding.tokens.to(x_t),
            txt_ids=torch.zeros(embedding.tokens.shape[1], 3, device=x_t.device, dtype=x_t.dtype),
            img_ids=_places(rows, columns).to(x_t),
            return_dict=False,
        )[0]
        return rearrange(velocity, "b (h w) (c p q) -> b c (h p) (w q)", h=rows, w=columns, p=_PATCH, q=_PATCH)

    def _joint_layers(self) -> Sequence[JointLayer]:
        channels: int = self.transformer.inner_dim
        double = [JointLayer(block.attn, False, channels) for block in self.transformer.transformer_blocks]
        single = self.transformer.single_transformer_blocks
        return [*double, *(JointLayer(block.attn, True, channels) for block in single)]

    def _check_parts(self) -> None:
        config = self.transformer.config
        taken, latent = config["in_channels"], self.latent_channels
        if taken != latent * _PATCH**2:
            kind = {2: " for editing pictures"}.get(taken // (latent * _PATCH**2), "")
            raise ModelError(wrong(self.name, f"a transformer{kind} with {taken} input channels"))
        if getattr(self.transformer, "encoder_hid_proj", None) is not None:
            raise ModelError(wrong(self.name, "a transformer that also reads pictures (an IP-Adapter)"))
        pooled, states = self.text_encoder.config.hidden_size, self.text_encoder_2.config.d_model
        if (config["pooled_projection_dim"], config["joint_attention_dim"]) != (pooled, states):
            raise ModelError(
                f"{self.name}: the transformer takes prompt tokens of {config['joint_attention_dim']} channels and "
                f"vectors of {config['pooled_projection_dim']}, the text encoders make {states} and {pooled}"
            )


def _places(rows: int, columns: int) -> Float[Tensor, "n 3"]:
    """Where each token's patch is: (0, row, column)."""
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([torch.zeros_like(row), row, column], dim=2).flatten(0, 1).float()
