"""Stable Diffusion from one `.safetensors` file in the original layout, as community models are published.

Such a file holds tensors and no settings. The family (SD 1.x, SD 2.x, SD2-depth, SDXL) is read off the shapes; the
settings of the families and the tokenizer come with this package, so nothing is fetched. What a network predicts, the
noise or the velocity, is in none of its shapes; unless a marker says so, the network is asked (`ask_prediction`).
Each part is read when its turn comes, and its tensors one by one: no more memory is taken than the model needs.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors import safe_open
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from stereodiffusion.diffusion.schedule import NoisePrediction
from stereodiffusion.errors import ModelError
from stereodiffusion.models.backbones.precision import Formats
from stereodiffusion.models.backbones.schedulers import stable_diffusion_scheduler
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL
from stereodiffusion.models.checkpoint.completeness import check_report
from stereodiffusion.models.checkpoint.tensors import Tensors, read_header
from stereodiffusion.models.origin import EXPECTED

SETTINGS: Final = Path(__file__).parent / "settings"
"""Settings of the families, as their authors publish them, and CLIP's merges."""

FAMILIES: Final = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Channels of a prompt's tokens to the family that has so many."""

_NETWORK = "model.diffusion_model."
_AUTOENCODER = "first_stage_model."
_FIRST_LAYER = f"{_NETWORK}input_blocks.0.0.weight"
_PROMPT_TO_KEYS = ".transformer_blocks.0.attn2.to_k.weight"
_GUIDANCE = "time_embed.cond_proj.weight"
_ZERO_SNR = "ztsnr"
_VELOCITY = "v_pred"
_EDM = "edm_mean"
_NUMBERING = "position_ids"  # 0, 1, 2 ...: no weight
_PAD_WITH_ZEROS = "!"
_PAD_WITH_ENDS = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class _File:
    """A checkpoint, of which parts can be read."""

    path: Path
    tensors: Tensors

    def read(self, prefix: str, dtype: torch.dtype) -> dict[str, Tensor]:
        """The tensors whose names begin so, in a format."""
        names = [name for name in self.tensors if name.startswith(prefix)]
        whole = [name for name in names if self.tensors[name].dtype[0] in "IU" and not name.endswith(_NUMBERING)]
        if whole:
            key = min(whole)
            raise ModelError(
                f"{self.path.stem} has quantised weights: {key} holds whole numbers ({self.tensors[key].dtype})"
            )
        with safe_open(self.path, framework="pt") as file:
            return {name: file.get_tensor(name).to(dtype) for name in names}


def load_single_file(path: Path, formats: Formats) -> dict[str, Any]:
    """The parts of the model in a file.

    Raises:
        ModelError: If the file holds something else, or not all of it.
    """
    file = _File(path, read_header(path))
    family = _family_of(path.stem, file.tensors)
    markers, channels = file.tensors.keys(), file.tensors[_FIRST_LAYER].shape[1]
    parts: dict[str, Any] = {
        **_text_encoders(file, family, formats.network),
        "tokenizer": clip_tokenizer(pad_token=_PAD_WITH_ZEROS if family == "sd2" else _PAD_WITH_ENDS),
        "vae": _autoencoder(file, family, formats.autoencoder),
        "unet": _network(file, family, channels, formats.network),
    }
    zero_snr = _ZERO_SNR in markers
    prediction: NoisePrediction = "v_prediction" if zero_snr or _VELOCITY in markers else "epsilon"
    parts["scheduler"] = stable_diffusion_scheduler(prediction, zero_snr=zero_snr)
    if prediction == "epsilon" and channels == parts["unet"].config["out_channels"]:
        prediction = ask_prediction(_asked(parts, path.stem), doubtful=family != "sd1")
        parts["scheduler"] = stable_diffusion_scheduler(prediction)
    if family == "sd2" and prediction == "v_prediction":
        parts["unet"].register_to_config(sample_size=96)  # of SD 2.x only those for 768 pixels predict the velocity
    return parts


def _asked(parts: Mapping[str, Any], name: str) -> StableDiffusion:
    """The parts as a model."""
    family = StableDiffusionXL if "text_encoder_2" in parts else StableDiffusion
    return family(**parts, name=name)


def _network(file: _File, family: str, channels: int, dtype: torch.dtype) -> nn.Module:
    stored = file.read(_NETWORK, dtype)
    guidance = stored.pop(f"{_NETWORK}{_GUIDANCE}", None)  # of a consistency model that is told its guidance
    told = {} if guidance is None else {"time_cond_proj_dim": guidance.shape[1]}
    settings = cast(Any, UNet2DConditionModel).load_config(str(SETTINGS / family / "unet"))
    network = _empty(UNet2DConditionModel, settings | {"in_channels": channels} | told)

    def convert(stored: dict[str, Tensor]) -> dict[str, Tensor]:
        state = convert_ldm_unet_checkpoint(stored, config=dict(network.config))
        return state if guidance is None else state | {"time_embedding.cond_proj.weight": guidance}

    return _filled(f"the network of {file.path.stem}", network, stored, convert)


def _autoencoder(file: _File, family: str, dtype: torch.dtype) -> nn.Module:
    network = _empty(AutoencoderKL, cast(Any, AutoencoderKL).load_config(str(SETTINGS / family / "vae")))
    stored = file.read(_AUTOENCODER, dtype)
    name = f"the autoencoder of {file.path.stem}"
    return _filled(name, network, stored, lambda stored: convert_ldm_vae_checkpoint(stored, dict(network.config)))


def _text_encoders(file: _File, family: str, dtype: torch.dtype) -> dict[str, Any]:
    if family != "sdxl":
        prefix = "cond_stage_model.transformer." if family == "sd1" else "cond_stage_model.model."
        return {"text_encoder": _text_encoder(file, CLIPTextModel, f"{family}/text_encoder", prefix, dtype)}
    first, second = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
    kind = CLIPTextModelWithProjection
    return {
        "text_encoder": _text_encoder(file, CLIPTextModel, "sdxl/text_encoder", first, dtype),
        "text_encoder_2": _text_encoder(file, kind, "sdxl/text_encoder_2", second, dtype),
        "tokenizer_2": clip_tokenizer(pad_token=_PAD_WITH_ZEROS),
    }


def _text_encoder(file: _File, kind: Any, settings: str, prefix: str, dtype: torch.dtype) -> nn.Module:
    with init_empty_weights(include_buffers=False):
        network = kind(kind.config_class.from_pretrained(str(SETTINGS / settings), local_files_only=True))

    def convert(stored: dict[str, Tensor]) -> dict[str, Tensor]:
        if prefix.endswith("transformer."):
            state = convert_ldm_clip_checkpoint(stored)
        else:
            state = convert_open_clip_checkpoint(network, stored, prefix=prefix)
        wrapped = hasattr(network, "text_model")  # some versions of transformers have an outer module, some have none
        return state if wrapped else {name.removeprefix("text_model."): tensor for name, tensor in state.items()}

    return _filled(f"the text encoder of {file.path.stem}", network, file.read(prefix, dtype), convert)


def _empty(kind: Any, settings: dict[str, Any]) -> Any:
    with init_empty_weights(include_buffers=False):
        return kind.from_config(settings)


def _filled(
    name: str, network: Any, stored: dict[str, Tensor], convert: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> nn.Module:
    """The network with its tensors, renamed from the original layout; all of them, and of the right shapes."""
    try:
        state = convert(stored)
    except (KeyError, AttributeError) as error:  # by name, of what is looked up; or of a tensor that is None
        raise ModelError(f"{name} is incomplete: tensors are missing, among them {error}") from error
    wanted: dict[str, Tensor] = network.state_dict()
    check_report(
        name,
        missing=wanted.keys() - state.keys(),
        mismatched=[
            f"{key}: expected {tuple(tensor.shape)}, got {tuple(state[key].shape)}"
            for key, tensor in wanted.items()
            if key in state and tensor.shape != state[key].shape
        ],
    )
    network.load_state_dict({key: state[key] for key in wanted}, assign=True)
    return network


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


@torch.no_grad()
def ask_prediction(backbone: StableDiffusion, *, doubtful: bool = True) -> NoisePrediction:
    """What a network predicts, from its answer to almost pure noise.

    At the last step √ᾱ_t is 0.07, so the noise ε is almost the input itself, whereas
    v = √ᾱ_t ε - √(1-ᾱ_t) x_0 is almost a picture and has next to nothing in common with it.

    Args:
        backbone: The network in question.
        doubtful: Whether both are common in its family. Otherwise the velocity is what it predicts only if the answer
            is plainly a picture, too: one whose neighbouring cells are alike.
    """
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(1, backbone.latent_channels, 32, 32, generator=generator)
    embedding = backbone.embed([""])
    if backbone.guidance_built_in:
        embedding = replace(embedding, guidance=1.0)
    answer = backbone.predict(x_t, 999, embedding)
    if torch.cosine_similarity(answer.flatten(), x_t.flatten(), dim=0) > 0.5:
        return "epsilon"
    return "v_prediction" if doubtful or _smoothness(answer) > 0.8 else "epsilon"


def _smoothness(latents: Tensor) -> float:
    """How much cells correlate with their neighbours to the right."""
    varied = latents - latents.mean((2, 3), keepdim=True)
    left, right = varied[..., :-1].flatten(), varied[..., 1:].flatten()
    return float(torch.cosine_similarity(left, right, dim=0))


def _family_of(name: str, tensors: Tensors) -> str:
    keys = set(tensors)
    if _FIRST_LAYER not in keys:
        prefixed = next((key for key in sorted(keys) if key.endswith(f".{_FIRST_LAYER}")), None)
        if prefixed is not None:
            prefix = prefixed.removesuffix(_FIRST_LAYER)
            raise ModelError(f"{name}: the names of its tensors begin with {prefix!r}: expected them without")
        raise ModelError(f"{name}: expected {EXPECTED} in the original layout, got {_guess(keys)}")
    if len(tensors[_FIRST_LAYER].shape) != 4:
        raise ModelError(f"{name}: expected {_FIRST_LAYER} of four dimensions, got {tensors[_FIRST_LAYER].shape}")
    readers = [key for key in keys if key.startswith(_NETWORK) and key.endswith(_PROMPT_TO_KEYS)]
    family = FAMILIES.get(tensors[readers[0]].shape[-1]) if readers else None
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
