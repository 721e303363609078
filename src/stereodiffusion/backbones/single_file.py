"""Stable Diffusion from one `.safetensors` file in the original layout, as community models are published.

Such a file holds tensors and no settings. The family (SD 1.x, SD 2.x, SD2-depth, SDXL) is read off the shapes; the
settings of the families and the tokenizer come with this package, so nothing is fetched. Whether an SD 2.x or SDXL
file predicts the noise or the velocity is in none of its shapes; the network is asked (`ask_prediction`).
"""

import gzip
from pathlib import Path
from typing import Any, Final, cast

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from stereodiffusion.backbones.precision import Formats
from stereodiffusion.backbones.sd import EXPECTED, StableDiffusion
from stereodiffusion.backbones.sdxl import family_of
from stereodiffusion.diffusion.backbone import Prediction
from stereodiffusion.errors import ModelError

SETTINGS: Final = Path(__file__).parent / "settings"
"""Settings of the families, as their authors publish them, and CLIP's merges."""

FAMILIES: Final = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Channels of a prompt's tokens to the family that has so many."""

_NETWORK = "model.diffusion_model."
_FIRST_LAYER = f"{_NETWORK}input_blocks.0.0.weight"
_PROMPT_TO_KEYS = ".transformer_blocks.0.attn2.to_k.weight"
_ZERO_SNR = "ztsnr"
_EDM = "edm_mean"
_PAD_WITH_ZEROS = "!"
_PAD_WITH_ENDS = "<|endoftext|>"


def load_single_file(path: Path, formats: Formats) -> dict[str, Any]:
    """The parts of the model in a file.

    Raises:
        ModelError: If the file holds something else.
    """
    settings, channels = SETTINGS / _family_of(path), _shape_of(path, _FIRST_LAYER)[1]
    dtype, stored = formats.network, load_file(path)
    checkpoint = {name: tensor.to(dtype) for name, tensor in stored.items()}
    common = {"dtype": dtype, "local_files_only": True}
    # Each conversion takes what is its own out of the dictionary.
    kept = {name: tensor.to(formats.autoencoder) for name, tensor in stored.items()}
    vae = cast(Any, AutoencoderKL).from_single_file(
        kept, config=str(settings / "vae"), dtype=formats.autoencoder, local_files_only=True
    )
    del stored, kept
    text_encoder = _text_encoder(CLIPTextModel, dict(checkpoint), settings / "text_encoder", dtype)
    second: dict[str, Any] = {}
    if settings.name == "sdxl":
        kind, folder = CLIPTextModelWithProjection, settings / "text_encoder_2"
        second["text_encoder_2"] = _text_encoder(kind, dict(checkpoint), folder, dtype)
        second["tokenizer_2"] = clip_tokenizer(pad_token=_PAD_WITH_ZEROS)
    zero_snr = _ZERO_SNR in checkpoint
    unet = cast(Any, UNet2DConditionModel).from_single_file(
        checkpoint, config=str(settings / "unet"), in_channels=channels, **common
    )
    parts: dict[str, Any] = {
        "vae": vae,
        "unet": unet,
        "text_encoder": text_encoder,
        "tokenizer": clip_tokenizer(pad_token=_PAD_WITH_ZEROS if settings.name == "sd2" else _PAD_WITH_ENDS),
        "scheduler": stable_diffusion_scheduler("epsilon", zero_snr=zero_snr),
        **second,
    }
    if settings.name != "sd1" and channels == unet.config["out_channels"]:
        prediction = ask_prediction(family_of(parts)(**parts, name=path.stem))
        parts["scheduler"] = stable_diffusion_scheduler(prediction, zero_snr=zero_snr)
        if settings.name == "sd2" and prediction == "v_prediction":
            unet.register_to_config(sample_size=96)  # of SD 2.x only those for 768 pixels predict the velocity
    return parts


def _text_encoder(kind: Any, checkpoint: dict[str, Tensor], settings: Path, dtype: torch.dtype) -> Any:
    return create_diffusers_clip_model_from_ldm(
        kind, checkpoint, config=str(settings), torch_dtype=dtype, local_files_only=True
    )


def clip_tokenizer(*, pad_token: str) -> CLIPTokenizer:
    """CLIP's tokenizer, put together from its merges as CLIP does: bytes, bytes that end a word, merges, markers."""
    with gzip.open(SETTINGS / "tokenizer" / "merges.txt.gz", "rt", encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file]
    # Printable bytes stand for themselves and come first; the others stand as letters from U+0100 on.
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return cast(Any, CLIPTokenizer)(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=merges,
        model_max_length=77,
        pad_token=pad_token,
    )


def stable_diffusion_scheduler(prediction: Prediction, *, zero_snr: bool = False) -> DDIMScheduler:
    """The noise schedule that all Stable Diffusion models of these families share.

    With `zero_snr` it is rescaled to end in pure noise (Lin et al. 2023), for models that were tuned so.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
        rescale_betas_zero_snr=zero_snr,
    )


@torch.no_grad()
def ask_prediction(backbone: StableDiffusion) -> Prediction:
    """What a network predicts, from its answer to almost pure noise.

    At the last step √ᾱ_t is 0.07, so the noise ε is almost the input itself, whereas
    v = √ᾱ_t ε - √(1-ᾱ_t) x_0 is almost a picture and has next to nothing in common with it.
    """
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(1, backbone.latent_channels, 32, 32, generator=generator)
    answer = backbone.predict(x_t, 999, backbone.embed([""]))
    likeness = torch.cosine_similarity(answer.flatten(), x_t.flatten(), dim=0)
    return "epsilon" if likeness > 0.5 else "v_prediction"


def _family_of(path: Path) -> str:
    name = path.stem
    with safe_open(path, framework="pt") as file:
        keys = set(file.keys())
    if _FIRST_LAYER not in keys:
        raise ModelError(f"{name}: expected {EXPECTED} in the original layout, got {_guess(keys)}")
    readers = [key for key in keys if key.startswith(_NETWORK) and key.endswith(_PROMPT_TO_KEYS)]
    family = FAMILIES.get(_shape_of(path, readers[0])[1]) if readers else None
    if family is None or _EDM in keys:
        raise ModelError(f"{name}: expected {EXPECTED}, got {_guess(keys)}")
    contents = {key.partition(".")[0] for key in keys}
    prompts = "conditioner" if family == "sdxl" else "cond_stage_model"
    others = {"first_stage_model": "autoencoder", prompts: "text encoder"}
    missing = [part for prefix, part in others.items() if prefix not in contents]
    if missing:
        raise ModelError(f"{name}: expected a file with the whole model, got one without {' and '.join(missing)}")
    return family


def _guess(keys: set[str]) -> str:
    """What a file is, by the names of its tensors."""
    signs = {
        _EDM: "a model with EDM's noise levels (Playground 2.5)",
        "conditioner.embedders.": "SDXL's refiner or a part of SDXL",
        "double_blocks.": "a Flux model",
        "joint_blocks.": "a Stable Diffusion 3 model",
        "lora_": "a LoRA; load it into a pipeline and hand that over",
        ".lora": "a LoRA; load it into a pipeline and hand that over",
        "control_model.": "a ControlNet",
        "down_blocks.": "a part of a model in diffusers' layout; hand over the model's folder",
        "first_stage_model.": "an autoencoder alone",
        "encoder.down.": "an autoencoder alone",
    }
    return next((kind for sign, kind in signs.items() if any(sign in key for key in keys)), "something unknown")


def _shape_of(path: Path, key: str) -> list[int]:
    with safe_open(path, framework="pt") as file:
        return list(file.get_slice(key).get_shape())
