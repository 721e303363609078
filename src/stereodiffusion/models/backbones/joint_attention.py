"""The door through which Algorithm 1 reaches a diffusion transformer's joint attention.

In joint attention (Esser et al. 2024) the tokens of the picture and those of the prompt read both. Sharing concerns
the picture's: their keys and values are projected from other tokens of a picture (the left view's, or both views'),
while the prompt's own and all queries stay. Prompt tokens that read the left's picture become the left's; since they
are in each view's own rows, nothing else has to be said of them.

PyTorch's pre-hooks on the projections hand over what a tap returns. The attention processor, the norms of queries and
keys, the projections with their LoRAs and the positions stay in place: a token that stands in the left's place i is
read at place i. Rotary positions are multiplied into queries and keys of the same length; where keys are of both
views, queries are lengthened to match, and what comes of that is cut off.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from stereodiffusion.diffusion.backbone import AttentionPlace, AttentionTap
from stereodiffusion.errors import ModelError
from stereodiffusion.models.backbones.attention import TappedAttention, check_tapped
from stereodiffusion.models.backbones.own_thread import for_this_thread

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class JointLayer:
    """A layer of joint attention.

    Attributes:
        attention: diffusers' own; called with `hidden_states` by name, it projects by `to_q`, `to_k` and `to_v`.
        prompt_first: Whether the prompt's tokens stand before the picture's in those, as in FLUX's single stream.
        channels: Of a token.
    """

    attention: nn.Module
    prompt_first: bool
    channels: int


class JointAttention(TappedAttention):
    """The attention of one diffusion transformer.

    Args:
        network: Called with `encoder_hidden_states`, the prompt's tokens, by name.
        layers: In the order in which it runs them.
        patch: Cells along the side of a token's patch.
    """

    def __init__(self, network: nn.Module, layers: Sequence[JointLayer], patch: int) -> None:
        super().__init__(network, [layer.attention for layer in layers])
        self._joint = layers
        self._patch = patch

    @property
    def places(self) -> tuple[AttentionPlace, ...]:
        """The first, the middle and the last third of the layers, in network order."""
        thirds: tuple[AttentionPlace, ...] = ("down", "mid", "up")
        return tuple(thirds[3 * number // len(self._joint)] for number in range(len(self._joint)))

    def sizes(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """(tokens of the picture, channels) of each layer for latents of `height` x `width` cells."""
        tokens = (height // self._patch) * (width // self._patch)
        return tuple((tokens, layer.channels) for layer in self._joint)

    def _hooks(self, tap: AttentionTap) -> Iterable[Callable[[], RemovableHandle]]:
        prompt = _Prompt()
        yield partial(self._network.register_forward_pre_hook, for_this_thread(prompt.before), with_kwargs=True)
        for index, layer in enumerate(self._joint):
            shared = _Shared(tap, index, prompt if layer.prompt_first else None)
            yield from shared.hooks(layer.attention)


class _Prompt:
    """Counts the prompt's tokens when the network is called."""

    def __init__(self) -> None:
        self.tokens = 0

    def before(self, network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del network, args
        self.tokens = kwargs["encoder_hidden_states"].shape[1]


class _Shared:
    """The hooks of one layer: what a call of it projects queries, and keys and values, from."""

    def __init__(self, tap: AttentionTap, index: int, before_picture: _Prompt | None) -> None:
        self._tap, self._index, self._before_picture = tap, index, before_picture
        self._read: Tensor | None = None
        self._asking: Tensor | None = None

    def hooks(self, attention: nn.Module) -> Iterable[Callable[[], RemovableHandle]]:
        """What registers them."""
        yield partial(attention.register_forward_pre_hook, for_this_thread(self._begin), with_kwargs=True)
        for name, hook in (("to_q", self._queries), ("to_k", self._keys), ("to_v", self._keys)):
            projection: nn.Module = getattr(attention, name)
            yield partial(projection.register_forward_pre_hook, for_this_thread(hook))
        yield partial(attention.register_forward_hook, for_this_thread(self._end), with_kwargs=True)

    def _begin(self, attention: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
        del attention
        whole: Tensor = kwargs["hidden_states"]
        prompt = 0 if self._before_picture is None else self._before_picture.tokens
        picture = whole[:, prompt:]
        tokens = self._tap(self._index, picture)
        if tokens is picture:
            return None
        check_tapped(self._index, picture, tokens)
        self._read = torch.cat([whole[:, :prompt], tokens], dim=1)
        rotary: tuple[Tensor, Tensor] | None = kwargs.get("image_rotary_emb")
        times, rest = divmod(tokens.shape[1], picture.shape[1])
        if rotary is None or (times, rest) == (1, 0):
            return None
        if rest:
            raise ModelError(
                f"self-attention layer {self._index} has a position for each of the picture's {picture.shape[1]} "
                f"tokens: expected whole pictures from the tap, got {tokens.shape[1]} tokens"
            )
        again = [picture] * (times - 1)
        self._asking = torch.cat([whole, *again], dim=1)
        placed = tuple(torch.cat([turn, *[turn[-picture.shape[1] :]] * (times - 1)]) for turn in rotary)
        return args, {**kwargs, "image_rotary_emb": placed}

    def _keys(self, projection: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor] | None:
        del projection, args
        return None if self._read is None else (self._read,)

    def _queries(self, projection: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor] | None:
        del projection, args
        return None if self._asking is None else (self._asking,)

    def _end(self, attention: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Keep what the layer's own tokens got, and forget the call."""
        del attention, args
        lengthened = self._asking is not None
        self._read = self._asking = None
        if not lengthened:
            return None
        own = kwargs["hidden_states"].shape[1]
        return (output[0][:, :own], *output[1:]) if isinstance(output, tuple) else output[:, :own]
