"""Sharing self-attention between the views (Sec. 3.3, Algorithm 1).

A self-attention layer projects queries, keys and values from the same tokens. Sharing means that keys and values are
projected from other tokens: the left's (unidirectional), or both views' side by side (bidirectional). Since
projections are per token, handing over the *tokens* is the same as handing over keys and values, takes half the
memory, and leaves the layer's own attention implementation in place. Guidance halves never mix: rows are (guidance,
view, picture).

Algorithm 1 by its lines: 1, a step of the views: `both_views` or `view_beside` (`views.py`) through `predict`
(`denoise.py`). 2, Edit: `joining`. 3 to 5, unidirectional: `joining`, or `recording` of the left and `replaying` for
the right. 6 to 8, bidirectional: `joining`.
"""

from collections.abc import Collection
from typing import Literal

import torch
from einops import rearrange, repeat

from stereodiffusion.diffusion.backbone import AttentionPlace, AttentionTap, Backbone, Tokens
from stereodiffusion.diffusion.storage import LayerTokens
from stereodiffusion.errors import ConfigError


def layers_at(backbone: Backbone, places: Collection[AttentionPlace]) -> frozenset[int]:
    """Numbers of the self-attention layers that lie at `places`."""
    return frozenset(number for number, place in enumerate(backbone.attention_places) if place in places)


def recording(into: LayerTokens, layers: Collection[int]) -> AttentionTap:
    """Leaves attention as it is and keeps in `into` what the `layers` read."""

    def tap(layer: int, tokens: Tokens) -> Tokens:
        if layer in layers:
            into[layer] = tokens.detach()
        return tokens

    return tap


def replaying(read: LayerTokens) -> AttentionTap:
    """The view at hand reads keys and values of the recorded view in the layers that `read` holds.

    Raises:
        ConfigError: On use, if the recorded rows (guidance x pictures) are not those at hand.
    """

    def tap(layer: int, tokens: Tokens) -> Tokens:
        recorded = read.get(layer)
        if recorded is None:
            return tokens
        if len(recorded) != len(tokens):
            raise ConfigError(f"attention was recorded for {len(recorded)} rows, now there are {len(tokens)}")
        return recorded

    return tap


def joining(
    direction: Literal["unidirectional", "bidirectional"], layers: Collection[int], *, branches: int
) -> AttentionTap:
    """Both views are in the batch, left before right, and share keys and values in `layers`.

    Args:
        direction: `unidirectional`: both views read the left's, which leaves the left as it is. `bidirectional`: both
            read the left's and the right's side by side.
        layers: Numbers of the layers that share.
        branches: Guidance halves in the batch, 1 or 2.
    """

    def tap(layer: int, tokens: Tokens) -> Tokens:
        if layer not in layers:
            return tokens
        left, right = rearrange(tokens, "(g v b) n d -> v g b n d", g=branches, v=2)
        shared = left if direction == "unidirectional" else torch.cat([left, right], dim=2)
        return repeat(shared, "g b n d -> (g v b) n d", v=2)

    return tap
