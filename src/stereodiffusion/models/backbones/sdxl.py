"""Stable Diffusion XL and its derivatives behind the protocol of the method (Podell et al. 2023).

What is different from Stable Diffusion: a prompt is read by two text encoders, whose states lie side by side, and by
the second one also as one pooled vector; the network is told the size of the picture and where it was cropped;
latents are 128 x 128 at the native 1024 x 1024 pixels; the autoencoder overflows in float16.
"""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, cast
from weakref import WeakKeyDictionary

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from stereodiffusion.diffusion.backbone import Embedding
from stereodiffusion.errors import ModelError
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.types import Image, Latent

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

_SIZE_NUMBERS = 6
_LOCKS: WeakKeyDictionary[nn.Module, Lock] = WeakKeyDictionary()
_LOOKING_UP = Lock()


class StableDiffusionXL(StableDiffusion):
    """A latent diffusion model with SDXL's topology, as the method sees it.

    Args:
        vae: Autoencoder; in float16 it works in float32 if its configuration says `force_upcast`.
        unet: Noise predictor.
        text_encoder: The first text encoder (CLIP ViT-L).
        tokenizer: Of the first text encoder.
        text_encoder_2: The second text encoder (OpenCLIP ViT-bigG), which also makes the pooled vector.
        tokenizer_2: Of the second text encoder.
        scheduler: As for `StableDiffusion`.
        name: What the model is called in messages and metadata.
        zero_unconditional: An empty prompt that guidance leads away from is zeros, as SDXL was trained, and not the
            states of "".
        vocabulary: As for `StableDiffusion`.
        rewrite_prompt: As for `StableDiffusion`.

    Raises:
        ModelError: If the parts are not of the expected kind.
    """

    kinds: ClassVar[Mapping[str, type]] = {
        **StableDiffusion.kinds,
        "text_encoder_2": CLIPTextModelWithProjection,
        "tokenizer_2": CLIPTokenizer,
    }
    addition = "text_time"
    default_cells = 128

    def __init__(
        self,
        *,
        vae: AutoencoderKL,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        text_encoder_2: CLIPTextModelWithProjection,
        tokenizer_2: CLIPTokenizer,
        scheduler: Any,
        name: str,
        zero_unconditional: bool = True,
        vocabulary: Collection[str] | None = None,
        rewrite_prompt: Callable[[str, CLIPTokenizer], str] = lambda prompt, _: prompt,
    ) -> None:
        self.text_encoder_2 = text_encoder_2
        self.tokenizer_2 = tokenizer_2
        self._zero_unconditional = zero_unconditional
        super().__init__(
            vae=vae,
            unet=unet,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
            name=name,
            vocabulary=vocabulary,
            rewrite_prompt=rewrite_prompt,
        )

    @classmethod
    def _parts_of(cls, pipe: "DiffusionPipeline", name: str) -> dict[str, Any]:
        zeros = bool(pipe.config.get("force_zeros_for_empty_prompt", True))
        return {**super()._parts_of(pipe, name), "zero_unconditional": zeros}

    def encode(self, image: Image) -> Float[Tensor, "b c lh lw"]:
        """As for `StableDiffusion`."""
        with _without_overflow(self.vae):
            return super().encode(image)

    def decode(self, latents: Float[Tensor, "b c lh lw"]) -> Image:
        """As for `StableDiffusion`."""
        with _without_overflow(self.vae):
            return super().decode(latents)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str], *, unconditional: bool = False) -> Embedding:
        """Both text encoders' states before their last layers, side by side, and the second's pooled vectors.

        All in float32, one row per prompt. An empty prompt has states as others have, unless it is `unconditional`:
        then it is zeros, where the model was trained so.

        Raises:
            PromptError: If a prompt is too long for the text encoders, or has words that they do not know.
        """
        first = self._read(prompts, self.tokenizer, self.text_encoder)
        second = self._read(prompts, self.tokenizer_2, self.text_encoder_2)
        tokens = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=2).float()
        zeros = self._zero_unconditional and unconditional
        zeroed = torch.tensor([zeros and not prompt for prompt in prompts], device=tokens.device)
        return Embedding(
            tokens=tokens.masked_fill(zeroed[:, None, None], 0),
            pooled=second.text_embeds.float().masked_fill(zeroed[:, None], 0),
        )

    def _added(self, x_t: Latent, embedding: Embedding) -> dict[str, Tensor]:
        """The pooled prompt, and what tells the network that the picture is whole: its size, not cropped, its size."""
        if embedding.pooled is None:
            raise ModelError(f"{self.name} expected an embedding with a pooled vector for each prompt, got one without")
        height, width = (cells * self.pixels_per_latent for cells in x_t.shape[2:])
        sizes = torch.tensor([height, width, 0, 0, height, width], device=self.device)
        return {
            "text_embeds": embedding.pooled.to(self.device, self.unet.dtype),
            "time_ids": sizes.expand(len(x_t), _SIZE_NUMBERS),
        }

    def _check_settings(self) -> None:
        super()._check_settings()
        taken = self.unet.config["projection_class_embeddings_input_dim"]
        sizes = _SIZE_NUMBERS * self.unet.config["addition_time_embed_dim"]
        pooled = self.text_encoder_2.config.projection_dim
        if taken != sizes + pooled:
            raise ModelError(
                f"{self.name}: the U-Net takes {taken} additional channels, the size ({sizes}) and the pooled prompt "
                f"({pooled}) make {sizes + pooled}; SDXL's refiner is such a model"
            )

    @property
    def _token_channels(self) -> int:
        return self.text_encoder.config.hidden_size + self.text_encoder_2.config.hidden_size


@contextmanager
def _without_overflow(vae: AutoencoderKL) -> Generator[None]:
    """While entered, an autoencoder that would overflow in float16 is in float32; its weights come back as they were.

    Other threads that come to the same autoencoder wait.

    Going through the wider format changes no bit of a float16 number.
    """
    if not vae.config["force_upcast"]:
        yield
        return
    module = cast(nn.Module, vae)
    with _lock_of(module):  # another thread may have it in float32 for now
        if vae.dtype != torch.float16:
            yield
            return
        module.to(torch.float32)
        try:
            yield
        finally:
            module.to(torch.float16)


def _lock_of(module: nn.Module) -> Lock:
    """What threads take in turn while they work with a module that changes; the same for all who hold the module."""
    with _LOOKING_UP:
        return _LOCKS.setdefault(module, Lock())
