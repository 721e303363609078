"""The door through which Algorithm 1 reaches a U-Net's self-attention.

Self-attention projects queries, keys and values from the same tokens. The method needs one change: keys and
values come from other tokens (the left view's, or both views'). diffusers' `Attention` already knows that case, it is
cross-attention: tokens handed over as `encoder_hidden_states` are what keys and values are projected from. So a
PyTorch pre-hook on each self-attention layer hands over what a tap returns, and everything else stays in
place: the projections with their LoRAs, the attention processor (fused, sliced or the user's own), the output
projection and the residual connection.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from math import ceil
from threading import get_ident
from typing import Any

from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from stereodiffusion.diffusion.backbone import AttentionPlace, AttentionTap
from stereodiffusion.errors import ModelError
from stereodiffusion.models.backbones.own_thread import for_this_thread, hooked


def self_attention_layers(unet: UNet2DConditionModel) -> list[tuple[AttentionPlace, Attention]]:
    """The self-attention layers in the order in which the network runs them, each with its place.

    That order is down, mid, up; `named_modules` would list the up blocks before the mid block.
    """
    mid: nn.Module | None = getattr(unet, "mid_block", None)
    stages: tuple[tuple[AttentionPlace, nn.Module | None], ...] = (
        ("down", unet.down_blocks),
        ("mid", mid),
        ("up", unet.up_blocks),
    )
    return [
        (place, block.attn1)
        for place, stage in stages
        if stage is not None
        for block in _blocks_with_self_attention(stage)
    ]


def _blocks_with_self_attention(stage: nn.Module) -> list[BasicTransformerBlock]:
    """In the order in which the stage runs them."""
    blocks = [module for module in stage.modules() if isinstance(module, BasicTransformerBlock)]
    return [block for block in blocks if not block.only_cross_attention]


class TappedAttention(ABC):
    """The self-attention of one network, and the context manager that taps it.

    Args:
        network: What the layers are part of.
        layers: In the order in which it runs them.
    """

    def __init__(self, network: nn.Module, layers: Sequence[nn.Module]) -> None:
        self._network = network
        self._layers = layers
        self._tapped_by: set[int] = set()

    @abstractmethod
    def _hooks(self, tap: AttentionTap) -> Iterable[Callable[[], RemovableHandle]]:
        """What registers the hooks with which a tap is reached, each `for_this_thread`."""

    @contextmanager
    def attending(self, tap: AttentionTap) -> Generator[None]:
        """While entered, keys and values are projected from what `tap` returns, in the thread that enters.

        A tap that returns the very tensor it was given leaves the layer as it is. The tokens it returns may be more or
        fewer than it was given (both views' are twice as many); batch and channels must be the same.

        Raises:
            ModelError: If the network has no self-attention, is tapped already, is compiled around a self-attention,
                or has its projections fused into one, so that keys and values cannot be projected from other tokens
                than queries.
        """
        self._refuse_unfit()
        thread = get_ident()
        self._tapped_by.add(thread)
        try:
            with ExitStack() as entered:
                for register in self._hooks(tap):
                    entered.enter_context(hooked(register))
                yield
        finally:
            self._tapped_by.discard(thread)

    def _refuse_unfit(self) -> None:
        if get_ident() in self._tapped_by:
            raise ModelError(
                "the network's self-attention is tapped already: leave the first `attending` before the next"
            )
        if not self._layers:
            raise ModelError("expected a network with self-attention (BasicTransformerBlock), got one without")
        if any(layer.fused_projections for layer in self._layers):
            raise ModelError(
                "expected separate query, key and value projections, got fused ones: call "
                "`pipe.unfuse_qkv_projections()` first"
            )
        tapped = set(self._layers)
        if any(not tapped.isdisjoint(module.modules()) for module in _compiled_in(self._network)):
            raise ModelError(
                "expected self-attention that is not compiled, alone or with what it is part of, got a compiled one: "
                "compiled code does not call PyTorch's hooks"
            )


class SelfAttention(TappedAttention):
    """The self-attention of one U-Net."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self._unet = unet
        found = self_attention_layers(unet)
        super().__init__(unet, [layer for _, layer in found])
        self._places: tuple[AttentionPlace, ...] = tuple(place for place, _ in found)

    @property
    def places(self) -> tuple[AttentionPlace, ...]:
        """Where each layer sits, in network order."""
        return self._places

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """(tokens, channels) of each layer for latents of `height` x `width` cells, in network order.

        Every level of the U-Net but the last halves the grid; what is left over of an odd length counts whole.
        """
        levels = len(self._unet.down_blocks)
        stages = [*enumerate(self._unet.down_blocks), (levels - 1, getattr(self._unet, "mid_block", None))]
        stages += [(levels - 1 - n, block) for n, block in enumerate(self._unet.up_blocks)]
        return tuple(
            (ceil(height / 2**level) * ceil(width / 2**level), block.attn1.query_dim)
            for level, stage in stages
            if stage is not None
            for block in _blocks_with_self_attention(stage)
        )

    def _hooks(self, tap: AttentionTap) -> Iterable[Callable[[], RemovableHandle]]:
        for index, layer in enumerate(self._layers):
            hook = for_this_thread(_KeysAndValuesFrom(tap, index))
            yield partial(layer.register_forward_pre_hook, hook, with_kwargs=True)


class _KeysAndValuesFrom:
    """A forward pre-hook: `Attention(hidden_states)` becomes `Attention(hidden_states, tap(hidden_states))`."""

    def __init__(self, tap: AttentionTap, index: int) -> None:
        self._tap = tap
        self._index = index

    def __call__(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        hidden_states: Tensor = args[0] if args else kwargs["hidden_states"]
        if len(args) > 1 or kwargs.get("encoder_hidden_states") is not None:
            raise ModelError(f"self-attention layer {self._index} is already fed other tokens by somebody else")
        tokens = self._tap(self._index, hidden_states)
        if tokens is hidden_states:
            return None
        check_tapped(self._index, hidden_states, tokens)
        return args, {**kwargs, "encoder_hidden_states": tokens}


def check_tapped(index: int, given: Tensor, tokens: Tensor) -> None:
    """Refuse tokens that a layer cannot project keys and values from.

    Args:
        index: Of the layer.
        given: The tokens that the tap was given, (b, n, c).
        tokens: What it returned.

    Raises:
        ModelError: If batch or channels differ.
    """
    batch, _, channels = given.shape
    if tokens.ndim != 3 or tokens.shape[0] != batch or tokens.shape[2] != channels:
        raise ModelError(
            f"self-attention layer {index} expected tokens of shape ({batch}, any, {channels}) from the tap, "
            f"got {tuple(tokens.shape)}"
        )


def _compiled_in(network: nn.Module) -> list[nn.Module]:
    """The modules of which `torch.compile(module)` or `module.compile()` was called."""
    return [
        module
        for module in network.modules()
        if getattr(module, "_compiled_call_impl", None) is not None or "_orig_mod" in dict(module.named_children())
    ]
