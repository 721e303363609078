"""Layers that make training on a CPU faster and leave parameters, names and results as they are.

Only training uses them: the exported weights load into stock diffusers classes.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16; the others emulate it, many times slower than float32."""
    return any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))


@functools.cache
def _compiled() -> ModuleType:
    from torch.utils.cpp_extension import load

    folder = Path(__file__).parents[1] / ".training" / "build"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MAX_JOBS", "2")
    return load(
        name="group_norm_silu",
        sources=[str(Path(__file__).with_name("group_norm_silu.cpp"))],
        extra_cflags=["-O3", "-march=native", "-ffast-math"],
        build_directory=str(folder),
    )


class _GroupNormSiLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, groups: int, eps: float, silu: bool) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        y, mean, rstd = _compiled().forward(x, gamma, beta, groups, eps, silu)
        ctx.save_for_backward(x, gamma, beta, mean, rstd)
        ctx.groups, ctx.silu = groups, silu
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, beta, mean, rstd = ctx.saved_tensors
        dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
        dx, dgamma, dbeta = _compiled().backward(dy, x, gamma, beta, mean, rstd, ctx.groups, ctx.silu)
        return dx, dgamma, dbeta, None, None, None


class _FastGroupNorm(nn.GroupNorm):
    silu = False

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.GroupNorm's own name
        """Normalise (and activate) a channels_last picture."""
        if input.dim() != 4:
            return super().forward(input)
        return _GroupNormSiLU.apply(input, self.weight, self.bias, self.num_groups, self.eps, self.silu)


class _FastGroupNormSiLU(_FastGroupNorm):
    silu = True


class _SiLUOfVectors(nn.Module):
    """SiLU for time embeddings; pictures had theirs applied by the norm before."""

    def forward(self, x: Tensor) -> Tensor:
        """SiLU unless ``x`` is a picture."""
        return x if x.dim() == 4 else functional.silu(x)


class _PlainAttention:
    """Attention as two matrix products and a softmax: on a CPU its backward is faster than the fused kernel's."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        query, key, value = (attn.head_to_batch_dim(t) for t in (query, key, value))
        scores = torch.bmm(query * attn.scale, key.transpose(1, 2)).softmax(-1).to(value.dtype)
        return attn.to_out[0](attn.batch_to_head_dim(torch.bmm(scores, value)))


def make_fast(model: nn.Module) -> None:
    """Swap in the fast layers, in place; needs a C++ compiler (without one the model is left as it is)."""
    model.to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, Attention) and module.group_norm is None:
            module.set_processor(_PlainAttention())
    try:
        _compiled()
    except Exception as error:  # no compiler, other architecture: training is slower but the same
        print(f"training without the compiled GroupNorm: {error}")
        return
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.__class__ = _FastGroupNorm
    for module in model.modules():
        if isinstance(module, ResnetBlock2D):
            module.norm1.__class__ = module.norm2.__class__ = _FastGroupNormSiLU
            module.nonlinearity = _SiLUOfVectors()
        if isinstance(getattr(module, "conv_norm_out", None), nn.GroupNorm):
            module.conv_norm_out.__class__ = _FastGroupNormSiLU
            module.conv_act = _SiLUOfVectors()
