"""Tiny real models of flow matching: the classes and topology of Stable Diffusion 3 and FLUX.1, random seeded weights.

`sd3_pipeline()` has three text encoders, of which T5 may be left out, and three blocks, the first with a second
attention of the picture alone as in SD 3.5: four layers of attention. `flux_pipeline()` has two blocks of two streams
and two of one: four layers. Latents are 16 x 16 x 16 at the native 128 x 128 pixels, patches 2 x 2 cells.
"""

from pathlib import Path
from typing import Any, cast

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from tests import tiny
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel, T5Tokenizer

T5_STATES = 96
"""Channels of T5's states; not fewer than both CLIP encoders' together."""
_HEADS, _HEAD = 2, 16


def seeded(seed: int, make: Any) -> Any:
    """What is made while torch's random state is that of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


def autoencoder(*, seed: int = 0) -> AutoencoderKL:
    """An autoencoder with 16 channels, a shift, and no convolutions around its latents."""
    return seeded(
        seed,
        lambda: cast(Any, AutoencoderKL)(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 16, 16),
            layers_per_block=1,
            latent_channels=16,
            norm_num_groups=4,
            sample_size=128,
            scaling_factor=1.5305,
            shift_factor=0.0609,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
    )


def t5_tokenizer() -> T5Tokenizer:
    """A real T5 tokenizer with one token for each of `tiny.WORDS`."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return cast(Any, T5Tokenizer)(vocab=[*special, *((f"▁{word}", -3.0) for word in tiny.WORDS)], extra_ids=0)


def t5_encoder(words: T5Tokenizer, *, seed: int = 0) -> T5EncoderModel:
    """A two-layer T5 encoder for that vocabulary."""
    config = cast(Any, T5Config)(
        vocab_size=len(words),
        d_model=T5_STATES,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        relative_attention_num_buckets=16,
    )
    return seeded(seed, lambda: T5EncoderModel(config))


def scheduler(**changes: Any) -> FlowMatchEulerDiscreteScheduler:
    """Stable Diffusion 3's noise levels."""
    return cast(Any, FlowMatchEulerDiscreteScheduler)(**{"num_train_timesteps": 1000, "shift": 3.0, **changes})


def dynamic_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """FLUX.1 dev's noise levels."""
    return scheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, max_image_seq_len=4096)


def lively(network: nn.Module) -> nn.Module:
    """Weights that matter: diffusers begins with gates and last layers so small that blocks hardly do anything."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(2.0)
            elif "norm" in name and name.endswith("bias"):
                parameter.normal_(0, 0.5)
    return network


def sd3_pipeline(*, t5: bool = True, levels: Any = None, seed: int = 0) -> StableDiffusion3Pipeline:
    """A whole pipeline of Stable Diffusion 3."""
    words, words_2 = tiny.tokenizer(), tiny.tokenizer(pad="!")
    config = cast(Any, CLIPTextConfig)(
        **{**tiny.text_encoder(words).config.to_dict(), "projection_dim": tiny.EMBEDDING}
    )
    words_3 = t5_tokenizer()
    transformer = seeded(
        seed,
        lambda: lively(
            cast(Any, SD3Transformer2DModel)(
                sample_size=16,
                patch_size=2,
                in_channels=16,
                out_channels=16,
                num_layers=3,
                attention_head_dim=_HEAD,
                num_attention_heads=_HEADS,
                joint_attention_dim=T5_STATES,
                caption_projection_dim=_HEAD * _HEADS,
                pooled_projection_dim=tiny.EMBEDDING + tiny.POOLED,
                pos_embed_max_size=24,
                dual_attention_layers=(0,),
                qk_norm="rms_norm",
            )
        ),
    )
    return cast(Any, StableDiffusion3Pipeline)(
        transformer=transformer,
        scheduler=levels or scheduler(),
        vae=autoencoder(seed=seed),
        text_encoder=seeded(seed, lambda: CLIPTextModelWithProjection(config)),
        tokenizer=words,
        text_encoder_2=tiny.text_encoder_2(words_2, seed=seed + 1),
        tokenizer_2=words_2,
        text_encoder_3=t5_encoder(words_3, seed=seed) if t5 else None,
        tokenizer_3=words_3 if t5 else None,
    )


def flux_pipeline(*, guidance: bool = True, levels: Any = None, seed: int = 0) -> FluxPipeline:
    """A whole pipeline of FLUX.1: `dev`, which is told the guidance scale, or `schnell`."""
    words, words_2 = tiny.tokenizer(), t5_tokenizer()
    transformer = seeded(
        seed,
        lambda: lively(
            cast(Any, FluxTransformer2DModel)(
                in_channels=64,
                num_layers=2,
                num_single_layers=2,
                attention_head_dim=_HEAD,
                num_attention_heads=_HEADS,
                joint_attention_dim=T5_STATES,
                pooled_projection_dim=tiny.EMBEDDING,
                guidance_embeds=guidance,
                axes_dims_rope=(4, 6, 6),
            )
        ),
    )
    return cast(Any, FluxPipeline)(
        scheduler=levels or (dynamic_scheduler() if guidance else scheduler(shift=1.0)),
        vae=autoencoder(seed=seed),
        text_encoder=tiny.text_encoder(words, seed=seed),
        tokenizer=words,
        text_encoder_2=t5_encoder(words_2, seed=seed),
        tokenizer_2=words_2,
        transformer=transformer,
    )


def save(folder: Path, pipe: StableDiffusion3Pipeline | FluxPipeline) -> Path:
    """Write a pipeline to `folder` in diffusers' layout, as safetensors."""
    cast(Any, pipe).save_pretrained(folder, safe_serialization=True)
    return folder


def copied(levels: FlowMatchEulerDiscreteScheduler) -> FlowMatchEulerDiscreteScheduler:
    """Another scheduler of the same settings."""
    return cast(Any, FlowMatchEulerDiscreteScheduler).from_config(levels.config)
