"""What diffusion transformers of flow matching have in common, behind the protocol of the method.

What is different from Stable Diffusion's U-Nets: levels are those of a straight line from clean to noise; the network
takes patches of 2 x 2 cells for tokens, in which those of the prompt take part; latents have 16 channels. Cells stay
cells of eight pixels in all that the method does to latents, half as wide as a patch.
"""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPTokenizer, T5Tokenizer

from stereodiffusion.diffusion.backbone import AttentionPlace, AttentionTap, Concat, Embedding
from stereodiffusion.diffusion.schedule import Prediction, Schedule
from stereodiffusion.errors import GeometryError, ModelError
from stereodiffusion.models.backbones.flow_levels import check_levels, flow_schedule
from stereodiffusion.models.backbones.joint_attention import JointAttention, JointLayer
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.models.backbones.precision import computing_format
from stereodiffusion.models.backbones.prompts import tokenize
from stereodiffusion.settings import Sampling
from stereodiffusion.types import Latent


class FlowTransformer(LatentModel):
    """A diffusion transformer of flow matching as the method sees it.

    Args:
        vae: Autoencoder.
        transformer: Predicts the velocity.
        scheduler: Of the model; only its noise levels are used.
        name: What the model is called in messages and metadata.

    Raises:
        ModelError: If the scheduler is not one of a flow.
    """

    evenly_spaced: ClassVar[bool]
    """Whether the levels of n steps are even before they are shifted, see `flow_schedule`."""

    def __init__(self, *, vae: AutoencoderKL, transformer: Any, scheduler: Any, name: str) -> None:
        super().__init__(vae=vae, name=name)
        self.transformer = transformer
        self._scheduler = check_levels(name, scheduler)
        self._attention = JointAttention(self.network, self._joint_layers(), self.patch)

    @abstractmethod
    def _joint_layers(self) -> Sequence[JointLayer]:
        """The layers of joint attention in the order in which the network runs them."""

    @abstractmethod
    def _output(self, x_t: Latent, told: Float[Tensor, " b"], embedding: Embedding) -> Latent:
        """The network's output, in its own format, for latents in it; `told` is the timestep of each."""

    @property
    def network(self) -> nn.Module:
        """The transformer."""
        return self.transformer

    @property
    def dtype(self) -> torch.dtype:
        """In which the network computes."""
        return computing_format(self.transformer)

    @property
    def least_cells(self) -> int:
        """A patch."""
        return self.patch

    @property
    def prediction(self) -> Prediction:
        """The velocity."""
        return "flow_prediction"

    @property
    def depth_conditioned(self) -> bool:
        """None of these takes a depth map."""
        return False

    @property
    def inpainting(self) -> bool:
        """None of these is told of holes."""
        return False

    @property
    def attention_places(self) -> Sequence[AttentionPlace]:
        """The layers of joint attention in network order: the first, the middle and the last third of them."""
        return self._attention.places

    def attention_sizes(self, height: int, width: int) -> Sequence[tuple[int, int]]:
        """(tokens of the picture, channels) that each layer reads for latents of `height` x `width` cells."""
        return self._attention.sizes(height, width)

    def attending(self, tap: AttentionTap) -> AbstractContextManager[None]:
        """While entered, keys and values of the picture's tokens are projected from what `tap` returns.

        On leaving, exception or not, the network is what it was before, bit for bit. Entering twice is refused.
        """
        return self._attention.attending(tap)

    def schedule(self, sampling: Sampling, grid: tuple[int, int]) -> Schedule:
        """The noise levels that the settings ask for; with a dynamic shift they depend on the size.

        Raises:
            ConfigError: If there are more steps than training steps, or the solver is lcm.
        """
        tokens = (grid[0] // self.patch) * (grid[1] // self.patch)
        return flow_schedule(self._scheduler, sampling, tokens, even=self.evenly_spaced)

    def predict(self, x_t: Latent, timestep: float, embedding: Embedding, concat: Concat | None = None) -> Latent:
        """The velocity ε - x_0 for each latent of the batch.

        Gradients flow through it (null-text inversion needs them); callers that want none switch them off.

        Args:
            x_t: Noisy latents, whole patches.
            timestep: Of the schedule.
            embedding: Of the prompts, one row for each latent.
            concat: Is refused.

        Raises:
            ModelError: If there is a `concat`, or the embedding lacks what the network is told.
            GeometryError: If the latents are not whole patches.
        """
        if concat is not None:
            raise ModelError(f"{self.name} expected nothing beside the latents, got {concat.shape[1]} more channels")
        if embedding.pooled is None:
            raise ModelError(f"{self.name} expected an embedding with a pooled vector for each prompt, got one without")
        if x_t.shape[2] % self.patch or x_t.shape[3] % self.patch:
            raise GeometryError(
                f"{self.name} takes latents of whole patches of {self.patch} x {self.patch} cells, got "
                f"{x_t.shape[2]} x {x_t.shape[3]} cells"
            )
        told = torch.full((len(x_t),), timestep, device=self.device, dtype=torch.float32)
        return self._output(x_t.to(self.device, self.dtype), told, embedding).to(x_t.dtype)

    def _read_clip(self, prompts: Sequence[str], tokenizer: CLIPTokenizer, text_encoder: Any, *, cut: bool) -> Any:
        """What a CLIP text encoder makes of the prompts: its layers' states, and one vector for each."""
        length = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        tokens, _ = tokenize(tokenizer, prompts, length, cut=cut)
        return text_encoder(tokens.to(self.device), output_hidden_states=True)

    def _read_t5(
        self, prompts: Sequence[str], tokenizer: T5Tokenizer, text_encoder: Any, length: Literal[256, 512]
    ) -> Float[Tensor, "b n c"]:
        """T5's last states in float32, of `length` tokens, the padding attended to as these models were trained."""
        tokens, _ = tokenize(tokenizer, prompts, length)
        return text_encoder(tokens.to(self.device))[0].float()
