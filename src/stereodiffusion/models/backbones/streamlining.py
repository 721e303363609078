"""The same network in fewer passes through memory, for the processor.

At Stable Diffusion's size a processor that multiplies in bfloat16 spends more time between its products than in them.
oneDNN brings the weights of a convolution into order anew in every call, however few cells it has; a transformer turns
the layout of its cells around on the way out; a gated unit reads the two halves of one tensor in strides; a
feed-forward layer writes out many times what it is given. The layers here do the same sums with the same parameters
without that. Names, hooks, gradients and state stay what they are.
"""

from typing import Any, Final, cast

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention import FeedForward
from diffusers.models.transformers.transformer_2d import Transformer2DModel, Transformer2DModelOutput
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad

_FEW: Final = 1.2
"""Cells for each output channel up to which gathering neighbourhoods costs less than ordering weights (measured)."""
_PIECE: Final = 2048
"""Tokens that are widened at a time: few enough that memory just left is used again, enough for a product."""


def streamline(network: nn.Module) -> None:
    """Give the layers of a network the forms below, in place, and lay it out channels last.

    Layers of other classes, those with a LoRA among them, stay as they are. Nothing changes but rounding.
    """
    for module in network.modules():
        form = _FORMS.get(type(module))
        if form is not None:
            module.__class__ = form
    cast(Any, network).to(memory_format=torch.channels_last)


class MatrixConv2d(nn.Conv2d):
    """A convolution that is one matrix product where that is cheaper: over single cells, and over few of them."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """As `nn.Conv2d`: (b, c, h, w) to (b, c', h', w')."""
        if not self._is_product(input):
            return super().forward(input)
        cells = rearrange(input, "b c h w -> b h w c")
        if self.kernel_size != (1, 1):
            cells = _neighbourhoods(cells, self)
        weight = rearrange(self.weight, "o i kh kw -> o (kh kw i)")  # channels last: a view
        return rearrange(linear(cells, weight, self.bias), "b h w o -> b o h w")

    def _is_product(self, cells: Tensor) -> bool:
        plain = self.groups == 1 and self.dilation == (1, 1) and self.padding_mode == "zeros"
        if not plain or isinstance(self.padding, str) or cells.requires_grad:  # gradients: oneDNN knows a shorter way
            return False
        if not all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in (cells, self.weight)):
            return False
        if self.kernel_size == (1, 1):
            return self.stride == (1, 1) and self.padding == (0, 0)
        count = cells.shape[0] * (cells.shape[2] // self.stride[0]) * (cells.shape[3] // self.stride[1])
        return count <= _FEW * self.out_channels


def _neighbourhoods(cells: Tensor, conv: nn.Conv2d) -> Tensor:
    """What each output cell reads: (b, h, w, c) to (b, h', w', kh * kw * c)."""
    (down, across), (above, left) = conv.stride, cast(tuple[int, int], conv.padding)
    padded = pad(cells, (0, 0, left, left, above, above))
    windows = padded.unfold(1, conv.kernel_size[0], down).unfold(2, conv.kernel_size[1], across)
    return rearrange(windows, "b h w c kh kw -> b h w (kh kw c)")


class SplitGEGLU(GEGLU):
    """A gated unit whose halves are projected one after the other, each into a tensor of its own."""

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As `GEGLU`: x W + b, times GELU(x V + c) (Shazeer 2020)."""
        if type(self.proj) is not nn.Linear:  # wrapped by a LoRA
            return super().forward(hidden_states, *args, **kwargs)
        value, gate = self.proj.weight.chunk(2)
        bias: Tensor | None = cast(Any, self.proj).bias
        value_bias, gate_bias = (None, None) if bias is None else bias.chunk(2)
        opened = gelu(linear(hidden_states, gate, gate_bias))
        return linear(hidden_states, value, value_bias) * opened


class PiecewiseFeedForward(FeedForward):
    """A feed-forward layer that widens some tokens at a time, so that what lies between its products stays near."""

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As `FeedForward`: (b, n, c) to (b, n, c'), each token by itself."""
        whole = super().forward
        if torch.is_grad_enabled():  # which keeps what lies between anyway
            return whole(hidden_states, *args, **kwargs)
        pieces = hidden_states.flatten(0, -2).split(_PIECE)
        return torch.cat([whole(piece, *args, **kwargs) for piece in pieces]).unflatten(0, hidden_states.shape[:-1])


class ChannelsLastTransformer(Transformer2DModel):
    """A transformer over a picture that hands its cells on as it keeps them, channels last."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - a U-Net's blocks pass the others by name
        self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **options: Any
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """As `Transformer2DModel`, which makes its output contiguous."""
        unusual = {name for name, value in options.items() if value is not None} - {"return_dict"}
        if unusual or not self.is_input_continuous:
            return super().forward(hidden_states, encoder_hidden_states, **options)
        height, width = hidden_states.shape[2:]
        cells = self.norm(hidden_states)
        if not self.use_linear_projection:
            cells = self.proj_in(cells)
        tokens = rearrange(cells, "b c h w -> b (h w) c")
        if self.use_linear_projection:
            tokens = self.proj_in(tokens)
        for block in self.transformer_blocks:
            tokens = block(tokens, encoder_hidden_states=encoder_hidden_states)
        if self.use_linear_projection:
            tokens = self.proj_out(tokens)
        cells = rearrange(tokens, "b (h w) c -> b c h w", h=height, w=width)
        if not self.use_linear_projection:
            cells = self.proj_out(cells)
        output = cells + hidden_states
        return Transformer2DModelOutput(sample=output) if options.get("return_dict", True) else (output,)


_FORMS: Final[dict[type[nn.Module], type[nn.Module]]] = {
    nn.Conv2d: MatrixConv2d,
    GEGLU: SplitGEGLU,
    FeedForward: PiecewiseFeedForward,
    Transformer2DModel: ChannelsLastTransformer,
}
