"""Tiny real models: Stable Diffusion's classes and topology with random, seeded weights.

`pipeline("epsilon")`, `pipeline("v_prediction")`, `pipeline("depth")` and `pipeline("inpainting")` are whole diffusers
pipelines of under half a megabyte; `save` writes one to a folder in diffusers' layout. Latents are 4 x 8 x 8 at the
native 64 x 64 pixels. Four self-attention layers: one down, one mid, two up.

`xl_pipeline()` has SDXL's topology: two text encoders of different widths, a pooled vector, sizes, no attention at the
first level and deeper transformers below. Latents are 4 x 16 x 16 at the native 128 x 128 pixels. Eleven
self-attention layers: three down, two mid, six up.

The classes are called as `Any`: their own annotations are narrower than what they take.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionDepth2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
)

from stereodiffusion.diffusion.shift import CellMap, cell_map
from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import Settings
from stereodiffusion.settings.presets import preset


def settings(changes: Mapping[str, object] = MappingProxyType({})) -> Settings:
    """Of the method on latents, step by step: a recorded source, views that take each of its steps."""
    alone = {} if changes.get("views") == "together" else {"views.every": 0.0}
    return preset("fast", "text").changed({"guidance.scale": 7.5, **alone, **changes})


def cells(disparity: Disparity, config: Settings) -> CellMap:
    """Where the cells of eight pixels go, as all these models have them."""
    return cell_map(disparity, config, (disparity.height // 8, disparity.width // 8))


Kind: TypeAlias = Literal["epsilon", "v_prediction", "depth", "inpainting"]
"""The network predicts the noise, the velocity, or the noise given a depth map as its fifth channel, or given holes and
what is around them as its last five."""

# fmt: off
WORDS = [
    "a", "an", "and", "ball", "before", "behind", "blue", "box", "brown", "checkered", "cone", "cube", "cyan",
    "cylinder", "dotted", "floor", "front", "grass", "gray", "green", "grey", "in", "left", "magenta", "next", "of",
    "on", "orange", "plain", "purple", "red", "right", "sky", "striped", "table", "the", "to", "wall", "with",
    "wooden", "yellow",
]
# fmt: on
"""What the tiny vocabularies have as single tokens."""

TOKENS = 24
EMBEDDING = 32
EMBEDDING_2 = 48
POOLED = 40


def tokenizer(*, closed: bool = False, pad: str = "<|endoftext|>") -> CLIPTokenizer:
    """A real CLIPTokenizer with one token for each of `WORDS`.

    Args:
        pad: What short prompts are filled up with; SDXL's second tokenizer takes "!".
        closed: Only the letters of those words, as `toybox` has it: other words are unknown. Otherwise every
            byte, as Stable Diffusion has it: other words are spelled out.
    """
    letters = sorted(set("".join(WORDS) + ",")) if closed else sorted(ByteLevel.alphabet())
    tokens = letters + [letter + "</w>" for letter in letters]
    merges: list[tuple[str, str]] = []
    for word in sorted(WORDS, key=len, reverse=True):
        # The rest of the word is merged from its end, so that no word's merges are in the way of another's.
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merge = (parts[-2], parts[-1])
            parts[-2:] = ["".join(merge)]
            if merge not in merges:
                merges.append(merge)
                tokens.append(parts[-1])
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return cast(Any, CLIPTokenizer)(
        vocab={token: number for number, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        model_max_length=TOKENS,
        pad_token=pad,
        **({"words": sorted(WORDS)} if closed else {}),
    )


def text_encoder(words: CLIPTokenizer, *, seed: int = 0) -> CLIPTextModel:
    """A two-layer CLIP text encoder for that vocabulary."""
    config = cast(Any, CLIPTextConfig)(
        vocab_size=len(words),
        hidden_size=EMBEDDING,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIPTextModel(config).eval()


def text_encoder_2(words: CLIPTokenizer, *, seed: int = 0) -> CLIPTextModelWithProjection:
    """A wider one with three layers that also makes a pooled vector."""
    config = cast(Any, CLIPTextConfig)(
        vocab_size=len(words),
        hidden_size=EMBEDDING_2,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        projection_dim=POOLED,
        hidden_act="gelu",
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLIPTextModelWithProjection(config).eval()


def autoencoder(*, seed: int = 0) -> AutoencoderKL:
    """An autoencoder with Stable Diffusion's factor of eight."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cast(Any, AutoencoderKL)(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 16, 16),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=64,
            scaling_factor=0.18215,
        ).eval()


def unet(*, in_channels: int = 4, seed: int = 0) -> UNet2DConditionModel:
    """A conditional U-Net of two levels; `in_channels=5` takes a depth map as well, 9 holes and what is around them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cast(Any, UNet2DConditionModel)(
            sample_size=8,
            in_channels=in_channels,
            out_channels=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            cross_attention_dim=EMBEDDING,
            attention_head_dim=2,
        ).eval()


def xl_unet(*, seed: int = 0) -> UNet2DConditionModel:
    """A conditional U-Net that also takes a pooled prompt and six numbers of size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cast(Any, UNet2DConditionModel)(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(16, 32, 32),
            layers_per_block=1,
            transformer_layers_per_block=(1, 1, 2),
            norm_num_groups=8,
            cross_attention_dim=EMBEDDING + EMBEDDING_2,
            attention_head_dim=(1, 2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + POOLED,
        ).eval()


def scheduler(prediction: Literal["epsilon", "v_prediction"] = "epsilon") -> DDIMScheduler:
    """Stable Diffusion's noise schedule."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def pipeline(
    kind: Kind = "epsilon", *, closed: bool = False, seed: int = 0
) -> StableDiffusionPipeline | StableDiffusionDepth2ImgPipeline | StableDiffusionInpaintPipeline:
    """A whole pipeline of the given kind."""
    words = tokenizer(closed=closed)
    parts: dict[str, Any] = {
        "vae": autoencoder(seed=seed),
        "text_encoder": text_encoder(words, seed=seed),
        "tokenizer": words,
        "unet": unet(in_channels={"depth": 5, "inpainting": 9}.get(kind, 4), seed=seed),
        "scheduler": scheduler("v_prediction" if kind == "v_prediction" else "epsilon"),
    }
    if kind == "depth":
        return cast(Any, StableDiffusionDepth2ImgPipeline)(
            **parts, depth_estimator=depth_estimator(seed=seed), feature_extractor=DPTImageProcessorPil()
        )
    of_text: Any = StableDiffusionInpaintPipeline if kind == "inpainting" else StableDiffusionPipeline
    return of_text(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def xl_pipeline(*, zeros: bool = True, seed: int = 0) -> StableDiffusionXLPipeline:
    """A whole SDXL pipeline; with `zeros` an empty negative prompt is zeros, as the published models have it."""
    words, words_2 = tokenizer(), tokenizer(pad="!")
    return cast(Any, StableDiffusionXLPipeline)(
        vae=autoencoder(seed=seed),
        text_encoder=text_encoder(words, seed=seed),
        text_encoder_2=text_encoder_2(words_2, seed=seed + 1),
        tokenizer=words,
        tokenizer_2=words_2,
        unet=xl_unet(seed=seed),
        scheduler=scheduler(),
        force_zeros_for_empty_prompt=zeros,
        add_watermarker=False,
    )


def depth_estimator(*, seed: int = 0) -> DPTForDepthEstimation:
    """The monocular depth network that a depth pipeline carries; the method does not use it."""
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        reassemble_factors=[4, 2, 1, 0.5],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DPTForDepthEstimation(config).eval()


def save(folder: Path, kind: Kind = "epsilon", *, closed: bool = False, seed: int = 0) -> Path:
    """Write a pipeline to `folder` in diffusers' layout, as safetensors."""
    pipeline(kind, closed=closed, seed=seed).save_pretrained(folder, safe_serialization=True)
    return folder


def save_with_depth(folder: Path, *, closed: bool = True, seed: int = 0) -> Path:
    """Write the layout of the embedded model: a text pipeline and, beside it, `unet_depth`."""
    save(folder, "v_prediction", closed=closed, seed=seed)
    unet(in_channels=5, seed=seed).save_pretrained(folder / "unet_depth", safe_serialization=True)
    return folder


def save_depth_estimator(folder: Path) -> Path:
    """A depth estimator in a folder, whose output depends on the picture."""
    network = depth_estimator()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for name, parameter in network.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.25)
    network.save_pretrained(folder)
    cast(Any, DPTImageProcessorPil)(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def words_of(folder: Path) -> list[str]:
    """The vocabulary of a saved tokenizer."""
    return list(json.loads((folder / "tokenizer" / "vocab.json").read_text()))


def patched(network: UNet2DConditionModel) -> bool:
    """Whether any module of the network has a forward pre-hook."""
    return any(module._forward_pre_hooks for module in network.modules())  # pyright: ignore[reportPrivateUsage]
