"""What the machine can do at most, and what a network asks of it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from stereodiffusion.bench.cost import Seconds
from stereodiffusion.diffusion.backbone import Backbone, empty_concat

_EDGES = (1024, 2048, 4096)
_SECONDS = 0.5
_FUSED_ON_THE_PROCESSOR = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Which torch's own counter does not know."""


@torch.no_grad()
def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of square matrix multiplications, of the size that suits the machine best.

    All that is done in about half a second for each size, by `Seconds.core`: with the threads that torch has, but for
    each core. No median of single products: the seconds of other threads are booked in ticks of some milliseconds.
    """
    reached: list[float] = []
    for edge in _EDGES:
        one = torch.randn(edge, edge, device=device).to(dtype)
        torch.mm(one, one)  # the first sets up what the others use
        begun, products = Seconds.now(device), 0
        while not products or (Seconds.now(device) - begun).core < _SECONDS:
            torch.mm(one, one)
            products += 1
        reached.append(products * 2 * edge**3 / (Seconds.now(device) - begun).core)
    return max(reached)


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Of QK^T and of the weights times V, by the shapes (b, heads, tokens, channels)."""
    rows, heads, queries, channels = query
    return 2 * rows * heads * queries * key[2] * (channels + value[3])


@torch.no_grad()
def evaluation_flops(backbone: Backbone) -> int:
    """Floating-point operations of one evaluation at the model's own size: convolutions, products and attention."""
    height, width = (length // backbone.pixels_per_latent for length in backbone.native_size)
    latents = torch.zeros(1, backbone.latent_channels, height, width, device=backbone.device)
    embedding = backbone.embed([""])
    counter = FlopCounterMode(display=False, custom_mapping={_FUSED_ON_THE_PROCESSOR: _attention_flops})
    with counter:
        backbone.predict(latents, 500, embedding, empty_concat(backbone, height, width))
    return counter.get_total_flops()
