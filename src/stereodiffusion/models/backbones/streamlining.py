"""The same network in fewer passes through memory, for the processor.

At Stable Diffusion's size a processor that multiplies in bfloat16 spends more time between its products than in them.
oneDNN brings the weights of a convolution into order anew in every call, however few cells it has; a transformer turns
the layout of its cells around on the way out; a gated unit reads the two halves of one tensor in strides; a
feed-forward layer writes out many times what it is given. The layers here do the same sums with the same parameters
without that. Names, hooks, gradients and state stay what they are.

Some sums need not be done at all: an upsampled cell is its neighbour's copy, so a convolution over copies multiplies
the same numbers by several weights; and until a prompt is read both halves of guidance are the same.
"""

from typing import Any, Final, cast

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock, FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel, Transformer2DModelOutput
from diffusers.models.upsampling import Upsample2D
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, linear, pad

_FEW: Final = 1.2
"""Cells for each output channel up to which gathering neighbourhoods costs less than ordering weights (measured)."""
_PIECE: Final = 2048
"""Tokens that are widened at a time: few enough that memory just left is used again, enough for a product."""
_ENOUGH: Final = 0.25
"""Cells for each channel from which a convolution over copies costs more than adding up its weights (measured)."""


def streamline(network: nn.Module) -> None:
    """Give the layers of a network the forms below, in place, and lay it out channels last.

    Layers of other classes, those with a LoRA among them, stay as they are. Nothing changes but rounding.
    """
    for module in network.modules():
        form = _FORMS.get(type(module))
        if form is not None:
            module.__class__ = form
    _share_until_the_prompt(network)
    cast(Any, network).to(memory_format=torch.channels_last)


def streamline_autoencoder(autoencoder: nn.Module) -> None:
    """Give the layers that enlarge pictures the form below, in place; the layout stays what it is."""
    for module in autoencoder.modules():
        if type(module) is Upsample2D:
            module.__class__ = CopyingUpsample2D


def _share_until_the_prompt(network: nn.Module) -> None:
    """Mark what a U-Net does before it reads a prompt for the first time."""
    first = next((module for module in network.modules() if isinstance(module, BasicTransformerBlock)), None)
    down = getattr(network, "down_blocks", None)
    if first is None or down is None or first not in list(down[0].modules()):
        return
    forms = {ResnetBlock2D: SharedResnetBlock2D, Attention: SharedAttention}
    for module in cast(tuple[Any, ...], (down[0].resnets[0], first.attn1)):
        module.__class__ = forms.get(type(module), type(module))


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
        if not (_is_channels_last(cells) and _is_channels_last(self.weight)):
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


class CopyingUpsample2D(Upsample2D):
    """Cells copied to 2 x 2 and convolved by 3 x 3, as four convolutions by 2 x 2 of the cells themselves.

    Of the three copies that a row of the kernel meets two are of one cell, so their weights can be added up
    beforehand: four products instead of nine. In half precision such sums would be rounded, and it is left alone.
    """

    def forward(self, hidden_states: Tensor, output_size: Any = None, *args: Any, **kwargs: Any) -> Tensor:
        """As `Upsample2D`: (b, c, h, w) to (b, c', 2 h, 2 w)."""
        batch, _, height, width = hidden_states.shape
        if not self._is_copied(hidden_states) or output_size not in (None, (2 * height, 2 * width)):
            return super().forward(hidden_states, output_size, *args, **kwargs)
        conv = cast(nn.Conv2d, self.conv)
        layout = torch.channels_last if _is_channels_last(hidden_states) else torch.contiguous_format
        padded = pad(hidden_states, (1, 1, 1, 1))
        size = batch, conv.out_channels, 2 * height, 2 * width
        output = torch.empty(size, dtype=hidden_states.dtype, device=hidden_states.device, memory_format=layout)
        for row, rows in enumerate(_of_copies(conv.weight, 2)):
            for column, kernel in enumerate(_of_copies(rows, 3)):
                seen = padded[:, :, row : row + height + 1, column : column + width + 1]
                part = conv2d(seen, kernel.contiguous(memory_format=layout), conv.bias)
                output[:, :, row::2, column::2] = part
        return output

    def _is_copied(self, cells: Tensor) -> bool:
        plain = self.use_conv and self.interpolate and self.name == "conv" and self.norm is None
        conv: Any = getattr(self, "conv", None)
        if not plain or type(conv) not in (nn.Conv2d, MatrixConv2d) or torch.is_grad_enabled():
            return False
        if (conv.kernel_size, conv.stride, conv.padding, conv.padding_mode) != ((3, 3), (1, 1), (1, 1), "zeros"):
            return False
        enough = cells.numel() // cells.shape[1] >= _ENOUGH * conv.in_channels
        return enough and conv.groups == 1 and cells.dtype in (torch.float32, torch.float64)


def _is_channels_last(cells: Tensor) -> bool:
    return cells.is_contiguous(memory_format=torch.channels_last)


def _of_copies(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """What the three weights along a dimension come to for the first and for the second copy of a cell."""
    before, at, after = weight.split(1, dim)
    return torch.cat([before, at + after], dim), torch.cat([before + at, after], dim)


class SharedResnetBlock2D(ResnetBlock2D):
    """A residual block that does once what both halves of a batch ask for."""

    def forward(self, input_tensor: Tensor, temb: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As `ResnetBlock2D`, of which the halves of guidance are alike until they read their prompts."""
        if not _are_twice_the_same(input_tensor, temb):
            return super().forward(input_tensor, temb, *args, **kwargs)
        cells, level = input_tensor.chunk(2)[0], temb.chunk(2)[0]
        return torch.cat([super().forward(cells, level, *args, **kwargs)] * 2)


class SharedAttention(Attention):
    """Self-attention that does once what both halves of a batch ask for."""

    def forward(
        self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """As `Attention`, of which the halves of guidance are alike until they read their prompts."""
        read = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        unusual = any(value is not None for value in (*args, *kwargs.values()))
        if unusual or not _are_twice_the_same(hidden_states, read):
            return super().forward(hidden_states, encoder_hidden_states, *args, **kwargs)
        read = None if encoder_hidden_states is None else encoder_hidden_states.chunk(2)[0]
        return torch.cat([super().forward(hidden_states.chunk(2)[0], read)] * 2)


def _are_twice_the_same(*given: Tensor) -> bool:
    """Whether the second half of each batch repeats the first, and no gradients are asked for."""
    if torch.is_grad_enabled() or any(len(each) % 2 for each in given):
        return False
    return all(torch.equal(*each.chunk(2)) for each in given)


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
    Upsample2D: CopyingUpsample2D,
}
