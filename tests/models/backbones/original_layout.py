"""Writes a tiny model the way Stable Diffusion's authors publish theirs: one file, their names for the tensors.

This is the other direction of the conversion that loading does, written from the original modules' structure.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors.torch import save_file
from tests import tiny
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

Family = Literal["sd1", "sd2", "sdxl"]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def text_encoder() -> CLIPTextModel:
    """A tiny one for CLIP's whole vocabulary."""
    config = cast(Any, CLIPTextConfig)(
        hidden_size=tiny.EMBEDDING, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CLIPTextModel(config).eval()


def text_encoder_2() -> CLIPTextModelWithProjection:
    """A wider one, with a pooled vector."""
    config = cast(Any, CLIPTextConfig)(
        hidden_size=tiny.EMBEDDING_2,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=tiny.POOLED,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CLIPTextModelWithProjection(config).eval()


def save(
    file: Path, settings: Path, family: Family, *, in_channels: int = 4, markers: tuple[str, ...] = ()
) -> dict[str, nn.Module]:
    """Write a model to `file` and its settings to `settings`; returns its parts.

    `markers` are tensors that say something by being there.
    """
    parts: dict[str, Any] = {
        "vae": tiny.autoencoder(),
        "unet": tiny.xl_unet() if family == "sdxl" else tiny.unet(in_channels=in_channels),
        "text_encoder": text_encoder(),
    }
    tensors = dict(_unet(parts["unet"])) | dict(_vae(parts["vae"])) | {name: torch.zeros(1) for name in markers}
    if family == "sdxl":
        parts["text_encoder_2"] = text_encoder_2()
        tensors |= dict(_clip(parts["text_encoder"], "conditioner.embedders.0.transformer"))
        tensors |= dict(_open_clip(parts["text_encoder_2"], "conditioner.embedders.1.model"))
    elif family == "sd2":
        tensors |= dict(_open_clip(parts["text_encoder"], "cond_stage_model.model"))
    else:
        tensors |= dict(_clip(parts["text_encoder"], "cond_stage_model.transformer"))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    for part, module in parts.items():
        folder = settings / family / part
        module.config.save_pretrained(folder) if part.startswith("text_encoder") else module.save_config(folder)
    return parts


def _renamed(module: nn.Module, prefix: str, names: dict[str, str]) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in module.state_dict().items():
        layer, _, kind = key.rpartition(".")
        yield ".".join(filter(None, (prefix, names.get(layer, layer), kind))), tensor


def _unet(unet: Any) -> Iterator[tuple[str, Tensor]]:
    root, layers = "model.diffusion_model", 1
    embeddings = {"time_embed": unet.time_embedding, "label_emb.0": getattr(unet, "add_embedding", None)}
    for name, embedding in embeddings.items():
        if embedding is not None:
            plain = {"0": embedding.linear_1, "2": embedding.linear_2}
            yield from _renamed(nn.ModuleDict(plain), f"{root}.{name}", {})
    yield from _renamed(unet.conv_in, f"{root}.input_blocks.0.0", {})
    yield from _renamed(unet.conv_norm_out, f"{root}.out.0", {})
    yield from _renamed(unet.conv_out, f"{root}.out.2", {})
    for level, block in enumerate(unet.down_blocks):
        for layer, resnet in enumerate(block.resnets):
            place = f"{root}.input_blocks.{1 + level * (layers + 1) + layer}"
            yield from _renamed(resnet, f"{place}.0", _RESNET)
            if hasattr(block, "attentions"):
                yield from _renamed(block.attentions[layer], f"{place}.1", {})
        if block.downsamplers is not None:
            place = f"{root}.input_blocks.{(level + 1) * (layers + 1)}"
            yield from _renamed(block.downsamplers[0].conv, f"{place}.0.op", {})
    for place, module in enumerate(
        (unet.mid_block.resnets[0], unet.mid_block.attentions[0], unet.mid_block.resnets[1])
    ):
        yield from _renamed(module, f"{root}.middle_block.{place}", _RESNET if place != 1 else {})
    for level, block in enumerate(unet.up_blocks):
        for layer, resnet in enumerate(block.resnets):
            place = f"{root}.output_blocks.{level * (layers + 1) + layer}"
            yield from _renamed(resnet, f"{place}.0", _RESNET)
            if hasattr(block, "attentions"):
                yield from _renamed(block.attentions[layer], f"{place}.1", {})
        if block.upsamplers is not None:
            place = f"{root}.output_blocks.{level * (layers + 1) + layers}.{2 if hasattr(block, 'attentions') else 1}"
            yield from _renamed(block.upsamplers[0].conv, f"{place}.conv", {})


def _vae(vae: Any) -> Iterator[tuple[str, Tensor]]:
    root, shortcut = "first_stage_model", {"conv_shortcut": "nin_shortcut"}
    for side in ("quant_conv", "post_quant_conv"):
        yield from _renamed(getattr(vae, side), f"{root}.{side}", {})
    for side, coder in (("encoder", vae.encoder), ("decoder", vae.decoder)):
        here = f"{root}.{side}"
        for name, original in (("conv_in", "conv_in"), ("conv_norm_out", "norm_out"), ("conv_out", "conv_out")):
            yield from _renamed(getattr(coder, name), f"{here}.{original}", {})
        for number, resnet in enumerate(coder.mid_block.resnets):
            yield from _renamed(resnet, f"{here}.mid.block_{number + 1}", shortcut)
        for key, tensor in _renamed(coder.mid_block.attentions[0], f"{here}.mid.attn_1", _ATTENTION):
            yield key, tensor if ".norm." in key or key.endswith("bias") else tensor[:, :, None, None]
        blocks = coder.down_blocks if side == "encoder" else coder.up_blocks
        for level, block in enumerate(blocks):
            way, number = ("down", level) if side == "encoder" else ("up", len(blocks) - 1 - level)
            for layer, resnet in enumerate(block.resnets):
                yield from _renamed(resnet, f"{here}.{way}.{number}.block.{layer}", shortcut)
            sampler = block.downsamplers if side == "encoder" else block.upsamplers
            if sampler is not None:
                yield from _renamed(sampler[0].conv, f"{here}.{way}.{number}.{way}sample.conv", {})


def _clip(model: CLIPTextModel, root: str) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in model.state_dict().items():
        yield f"{root}.text_model.{key.removeprefix('text_model.')}", tensor


def _open_clip(model: CLIPTextModel | CLIPTextModelWithProjection, root: str) -> Iterator[tuple[str, Tensor]]:
    state = {key.removeprefix("text_model."): tensor for key, tensor in model.state_dict().items()}
    yield f"{root}.token_embedding.weight", state["embeddings.token_embedding.weight"]
    yield f"{root}.positional_embedding", state["embeddings.position_embedding.weight"]
    yield f"{root}.text_projection", state.get("text_projection.weight", torch.eye(tiny.EMBEDDING)).T
    for kind in ("weight", "bias"):
        yield f"{root}.ln_final.{kind}", state[f"final_layer_norm.{kind}"]
        for number in range(model.config.num_hidden_layers):
            layer, original = f"encoder.layers.{number}", f"{root}.transformer.resblocks.{number}"
            for name, other in _LAYER.items():
                yield f"{original}.{other}.{kind}", state[f"{layer}.{name}.{kind}"]
            projections = [state[f"{layer}.self_attn.{name}_proj.{kind}"] for name in "qkv"]
            yield f"{original}.attn.in_proj_{kind}", torch.cat(projections)
