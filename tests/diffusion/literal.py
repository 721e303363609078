"""The authors' method written out literally, to compare with: no code is shared with the package.

Both views in one batch, guidance layout [uncond L, uncond R, cond L, cond R], attention spelled out as a softmax, the
warp as a loop over cells, DDIM with diffusers' own scheduler.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor


class SharedAttention:
    """An attention processor that spells self-attention out and shares keys and values between views."""

    def __init__(self, direction: str, active: Callable[[], bool], branches: int = 2) -> None:
        self.direction, self.active, self.branches = direction, active, branches

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        if encoder_hidden_states is None and self.active():
            rows = len(hidden_states)
            pictures = rows // (2 * self.branches)
            keys, values = key.clone(), value.clone()
            both_k, both_v = [], []
            for row in range(rows):
                half, inside = divmod(row, 2 * pictures)
                left = half * 2 * pictures + inside % pictures
                keys[row], values[row] = key[left], value[left]
                both_k.append(torch.cat([key[left], key[left + pictures]]))
                both_v.append(torch.cat([value[left], value[left + pictures]]))
            key, value = (
                (keys, values) if self.direction == "unidirectional" else (torch.stack(both_k), torch.stack(both_v))
            )
        query, key, value = (attn.head_to_batch_dim(t) for t in (query, key, value))
        weights = torch.softmax(query @ key.transpose(-1, -2) * attn.scale, dim=-1)
        return attn.to_out[0](attn.batch_to_head_dim(weights @ value))


def warp(latent: Tensor, normalised: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Each cell moves left by trunc(d * scale * width); the nearest wins. Gives the view and where it was reached."""
    view, reached = torch.zeros_like(latent), torch.zeros(len(latent), 1, *latent.shape[2:], dtype=torch.bool)
    depth = torch.full(reached.shape, -torch.inf)
    width = latent.shape[3]
    for b in range(len(latent)):
        for y in range(latent.shape[2]):
            for x in range(width):
                d = float(normalised[b, 0, y, x])
                to = x - int(d * scale * width)
                if 0 <= to < width and d > depth[b, 0, y, to]:
                    depth[b, 0, y, to] = d
                    view[b, :, y, to] = latent[b, :, y, x]
                    reached[b, 0, y, to] = True
    return view, reached


def unit(values: Tensor) -> Tensor:
    """Min-max normalisation per picture."""
    low, high = values.amin((1, 2, 3), keepdim=True), values.amax((1, 2, 3), keepdim=True)
    return (values - low) / (high - low)


def run(
    unet: UNet2DConditionModel,
    scheduler: DDIMScheduler,
    noise: Tensor,
    unconditional: list[Tensor],
    embedding: Tensor,
    disparity: Tensor,
    *,
    offset: int,
    guidance: float,
    direction: str = "unidirectional",
    scale: float = 0.08,
    deblur_noise: Tensor | None = None,
    depth: Tensor | None = None,
    steps: int = 50,
) -> list[tuple[Tensor, Tensor]]:
    """All latents (left, right) after each step, `paper` decision by decision; its fractions are of 50 steps.

    `disparity` is the full-size map, (b, 1, h, w); `depth` the latent-size condition that both views share.
    """
    pictures = len(noise)
    small = unit(disparity)
    small = unit(torch.nn.functional.interpolate(small, noise.shape[2:], mode="bicubic"))
    step = {"index": 0}
    processor = SharedAttention(direction, lambda: step["index"] >= steps // 5)
    before = unet.attn_processors
    unet.set_attn_processor(processor)  # type: ignore[arg-type]
    pairs: list[tuple[Tensor, Tensor]] = []
    x = torch.cat([noise, noise])
    reached = torch.zeros(0)
    try:
        for index in range(steps):
            step["index"] = index
            t = 1000 // steps * (steps - 1 - index) + offset
            tokens = torch.cat([unconditional[index]] * 2 + [embedding] * 2)
            sample = torch.cat([x, x])
            if depth is not None:
                sample = torch.cat([sample, torch.cat([depth] * 4)], dim=1)
            with torch.no_grad():
                out = unet(sample, t, encoder_hidden_states=tokens).sample
            without, with_prompt = out.chunk(2)
            out = without + guidance * (with_prompt - without)
            x = scheduler.step(out, t, x, return_dict=False)[0]
            left, right = x[:pictures], x[pictures:]
            if index == steps // 5:
                right, reached = warp(left, small, scale)
                if deblur_noise is not None:
                    right = torch.where(reached, right, deblur_noise)
            if index in (2 * steps // 5, 3 * steps // 5, 4 * steps // 5):
                again, _ = warp(left, small, scale)
                right = torch.where(reached, again, right)
            x = torch.cat([left, right])
            pairs.append((left, right))
    finally:
        unet.set_attn_processor(before)
    return pairs
