"""Stable Diffusion 1.x and 2.x and SD2-depth behind the protocol of the method."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from math import log
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from stereodiffusion.diffusion.backbone import AttentionPlace, AttentionTap, Concat, Embedding
from stereodiffusion.diffusion.schedule import Prediction, Schedule, preserving_schedule
from stereodiffusion.errors import GeometryError, ModelError
from stereodiffusion.models.backbones.attention import SelfAttention
from stereodiffusion.models.backbones.latent import LatentModel, rewriting, wrong
from stereodiffusion.models.backbones.precision import computing_format
from stereodiffusion.models.backbones.prompts import TOKENIZING, tokenize
from stereodiffusion.settings import Sampling
from stereodiffusion.types import Latent

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class StableDiffusion(LatentModel):
    """A latent diffusion model with Stable Diffusion's topology, as the method sees it.

    Args:
        vae: Autoencoder.
        unet: Noise predictor; one input channel more than the latent has means that it takes a depth map, one more than
            twice as many that it is for inpainting.
        text_encoder: Prompt tokens to states.
        tokenizer: Prompts to tokens.
        scheduler: Any diffusers scheduler of the model; only its noise schedule and prediction type are read.
        name: What the model is called in messages and metadata.
        vocabulary: All words that the text encoder has learnt, if they are few; otherwise those that the tokenizer's
            configuration lists as `words`, or any word if it lists none.
        rewrite_prompt: Applied to each prompt and its tokenizer first: the placeholder words of textual inversion.

    Raises:
        ModelError: If the parts are not of the expected kind.
    """

    kinds: ClassVar[Mapping[str, type]] = {
        "vae": AutoencoderKL,
        "unet": UNet2DConditionModel,
        "text_encoder": CLIPTextModel,
        "tokenizer": CLIPTokenizer,
    }
    """The parts of such a model, by the names that pipelines and folders give them, and what each must be."""

    addition: ClassVar[Literal["text_time"] | None] = None
    """What the network takes beside the timestep and the prompt's tokens."""

    default_cells: ClassVar[int] = 64
    """Cells along a side of the pictures of a network that does not say how large they are, as diffusers has it."""

    def __init__(
        self,
        *,
        vae: AutoencoderKL,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scheduler: Any,
        name: str,
        vocabulary: Collection[str] | None = None,
        rewrite_prompt: Callable[[str, CLIPTokenizer], str] = lambda prompt, _: prompt,
    ) -> None:
        super().__init__(vae=vae, name=name)
        self.unet = unet
        self.text_encoder = text_encoder
        self.tokenizer = tokenizer
        self._check_settings()
        self._vocabulary: Collection[str] | None = vocabulary or _words_of(tokenizer, name)
        self._rewrite_prompt = rewrite_prompt
        self._prediction: Prediction = _prediction_of(scheduler, name)
        self._alphas = _alphas_of(scheduler, name)
        self._self_attention = SelfAttention(unet)

    @classmethod
    def _parts_of(cls, pipe: "DiffusionPipeline", name: str) -> dict[str, Any]:
        return {**super()._parts_of(pipe, name), **rewriting(pipe)}

    @property
    def network(self) -> nn.Module:
        """The U-Net."""
        return cast(nn.Module, self.unet)

    @property
    def least_cells(self) -> int:
        """Cells along the side of the smallest latents: the U-Net halves them at every level but the last."""
        return 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    @property
    def patch(self) -> int:
        """A U-Net takes single cells."""
        return 1

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels at which the network was trained."""
        size: int | Sequence[int] = self.unet.config["sample_size"] or self.default_cells
        if self.depth_conditioned and size == 32 and self.unet.config["cross_attention_dim"] == 1024:
            size = 64  # SD2-depth was trained at 512 x 512; its published configuration says otherwise
        height, width = (size, size) if isinstance(size, int) else size
        return height * self.pixels_per_latent, width * self.pixels_per_latent

    @property
    def prediction(self) -> Prediction:
        """What `predict` returns."""
        return self._prediction

    @property
    def alphas(self) -> Float[Tensor, " t"]:
        """ᾱ_t of every training step, t = 0 the least noisy, in float32 on `device`."""
        return self._alphas.to(self.device)

    def schedule(self, sampling: Sampling, grid: tuple[int, int]) -> Schedule:
        """The noise levels that the settings ask for; they are the same for every size.

        Raises:
            ConfigError: If there are more steps than levels to visit.
        """
        del grid
        return preserving_schedule(self.alphas, sampling)

    @property
    def depth_conditioned(self) -> bool:
        """Whether `predict` needs a depth map."""
        return self._beside == 1

    @property
    def inpainting(self) -> bool:
        """Whether `predict` needs to be told where holes are and what is around them."""
        return self._beside == self.latent_channels + 1

    @property
    def _beside(self) -> int:
        """Input channels beside the noisy latents."""
        return self.unet.config["in_channels"] - self.latent_channels

    @property
    def guidance_built_in(self) -> bool:
        """Whether the network is told the guidance scale and needs no unconditional prompt (LCM)."""
        return self.unet.config["time_cond_proj_dim"] is not None

    @property
    def attention_places(self) -> Sequence[AttentionPlace]:
        """The self-attention layers in network order, by place."""
        return self._self_attention.places

    @property
    def dtype(self) -> torch.dtype:
        """In which the network computes."""
        return computing_format(self.unet)

    def attention_sizes(self, height: int, width: int) -> Sequence[tuple[int, int]]:
        """(tokens, channels) that each self-attention layer reads for latents of `height` x `width` cells."""
        return self._self_attention.sizes(height, width)

    @torch.no_grad()
    def embed(self, prompts: Sequence[str], *, unconditional: bool = False) -> Embedding:
        """The text encoder's states in float32, one row per prompt, whether or not guidance leads away from them.

        Raises:
            PromptError: If a prompt is too long for the text encoder, or has words that it does not know.
        """
        del unconditional
        return Embedding(tokens=self._read(prompts, self.tokenizer, self.text_encoder).last_hidden_state.float())

    def _read(self, prompts: Sequence[str], tokenizer: CLIPTokenizer, text_encoder: Any) -> Any:
        """What a text encoder makes of the prompts: the states after each of its layers, and what it adds to them."""
        length = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        with TOKENIZING:
            whole = isinstance(prompts, str)
            given = prompts if whole else [self._rewrite_prompt(prompt, tokenizer) for prompt in prompts]
            tokens, attended = tokenize(tokenizer, given, length, self._vocabulary)
        # Stable Diffusion was trained with the padding attended to, unless its configuration says otherwise.
        mask = attended.to(self.device) if getattr(text_encoder.config, "use_attention_mask", False) else None
        return text_encoder(tokens.to(self.device), attention_mask=mask, output_hidden_states=True)

    def predict(self, x_t: Latent, timestep: float, embedding: Embedding, concat: Concat | None = None) -> Latent:
        """One evaluation of the network for each latent of the batch, in the sense of `prediction`.

        Gradients flow through it (null-text inversion needs them); callers that want none switch them off.

        Args:
            x_t: Noisy latents.
            timestep: Training step t.
            embedding: Of the prompts, one row for each latent.
            concat: What the network reads beside the latents, if it does.

        Raises:
            ModelError: If `concat` is missing or not wanted, or the guidance that the network has built in is missing.
            GeometryError: If `concat` is not on the latent grid.
        """
        given = 0 if concat is None else concat.shape[1]
        if given != self._beside:
            got = f"{given} more channels" if given else "nothing"
            raise ModelError(f"{self.name} expected {_what(self)} beside the latents, got {got}")
        sample = x_t
        if concat is not None:
            if concat.shape[-2:] != x_t.shape[-2:]:
                grid, size = tuple(x_t.shape[-2:]), tuple(concat.shape[-2:])
                raise GeometryError(f"what is beside the latents must be on their grid of {grid}, got {size}")
            sample = torch.cat([x_t, concat.to(x_t)], dim=1)
        device, dtype = self.device, self.dtype
        prediction = self.unet(
            sample.to(device, dtype),
            timestep,
            encoder_hidden_states=embedding.tokens.to(device, dtype),
            timestep_cond=self._told_guidance(len(x_t), embedding),
            added_cond_kwargs=self._added(x_t, embedding),
            return_dict=False,
        )[0]
        return prediction.to(x_t.dtype)

    def _told_guidance(self, rows: int, embedding: Embedding) -> Float[Tensor, "rows channels"] | None:
        """What a network with its guidance built in is told of w."""
        if not self.guidance_built_in:
            return None
        if embedding.guidance is None:
            raise ModelError(f"{self.name} has its guidance built in: expected an embedding with its scale, got none")
        channels: int = self.unet.config["time_cond_proj_dim"]
        told = guidance_embedding(embedding.guidance, channels).to(self.device, self.dtype)
        return told.expand(rows, channels)

    def _added(self, x_t: Latent, embedding: Embedding) -> dict[str, Tensor] | None:
        """What the network takes beside the timestep and the prompt's tokens."""
        return None

    def attending(self, tap: AttentionTap) -> AbstractContextManager[None]:
        """While entered, every self-attention layer projects keys and values from what `tap` returns.

        On leaving, exception or not, the network is what it was before, bit for bit. Entering twice is refused.
        """
        return self._self_attention.attending(tap)

    def _check_settings(self) -> None:
        network, channels, latent = self.unet.config, self.unet.config["in_channels"], self.latent_channels
        if network["addition_embed_type"] != self.addition:
            kind = "an SDXL-like U-Net with" if self.addition is None else "a U-Net without SDXL's"
            raise ModelError(wrong(self.name, f"{kind} additional embeddings"))
        if network["class_embed_type"] is not None or network["num_class_embeds"] is not None:
            raise ModelError(wrong(self.name, "a U-Net that also needs class labels (unCLIP or an upscaler)"))
        if network["encoder_hid_dim_type"] is not None or getattr(self.unet, "encoder_hid_proj", None) is not None:
            raise ModelError(
                wrong(
                    self.name,
                    "a U-Net that also reads pictures, or prompts by another encoder (an IP-Adapter is taken out by "
                    "`pipe.unload_ip_adapter()`)",
                )
            )
        if channels not in (latent, latent + 1, 2 * latent + 1):
            kind = " for editing pictures" if channels == 2 * latent else ""
            raise ModelError(wrong(self.name, f"a U-Net{kind} with {channels} input channels"))
        if network["cross_attention_dim"] != self._token_channels:
            raise ModelError(
                f"{self.name}: the U-Net takes prompt tokens of {network['cross_attention_dim']} channels, "
                f"the text encoder makes {self._token_channels}"
            )

    @property
    def _token_channels(self) -> int:
        return self.text_encoder.config.hidden_size


def _what(model: StableDiffusion) -> str:
    """What a network reads beside the noisy latents, in words."""
    if model.depth_conditioned:
        return "a depth map"
    return f"{model.latent_channels + 1} channels (holes, and what is around them)" if model.inpainting else "nothing"


def guidance_embedding(guidance: float, channels: int) -> Float[Tensor, "channels"]:
    """Guidance scale w as latent consistency models are told it (Luo et al. 2023, Sec. 4.2): sines of 1000 (w - 1).

    Args:
        guidance: Scale w.
        channels: Even.
    """
    half = channels // 2
    frequencies = torch.exp(-log(10000.0) / (half - 1) * torch.arange(half, dtype=torch.float32))
    angles = 1000.0 * (guidance - 1) * frequencies
    return torch.cat([angles.sin(), angles.cos()])


def _words_of(tokenizer: CLIPTokenizer, name: str) -> list[str] | None:
    """The words that the tokenizer's settings say it knows; None if they say nothing."""
    words = tokenizer.init_kwargs.get("words")
    if words is None or (isinstance(words, list) and all(isinstance(word, str) for word in words)):
        return words
    raise ModelError(f"{name}: expected the words of its tokenizer as a list, got {words!r:.60}")


def _prediction_of(scheduler: Any, name: str) -> Prediction:
    prediction = scheduler.config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction"):
        raise ModelError(wrong(name, f"a model that predicts {prediction!r}"))
    return prediction


def _alphas_of(scheduler: Any, name: str) -> Float[Tensor, " t"]:
    alphas = getattr(scheduler, "alphas_cumprod", None)
    if not isinstance(alphas, Tensor):
        raise ModelError(wrong(name, f"a {type(scheduler).__name__}, which has no ᾱ_t (flow matching)"))
    alphas = alphas.to("cpu", torch.float32)
    falling = alphas.ndim == 1 and len(alphas) > 0 and bool((alphas.diff() <= 0).all())
    if not falling or not 0 < alphas[0] <= 1 or alphas[-1] < 0:
        raise ModelError(f"{name}: expected ᾱ_t that fall from 1 towards 0, got others from its scheduler")
    return alphas
