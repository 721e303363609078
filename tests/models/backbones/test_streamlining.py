"""Streamlined layers do what diffusers' do: to rounding, with their parameters, hooks and gradients."""

from copy import deepcopy
from typing import Any, cast

import pytest
import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention import FeedForward
from diffusers.models.upsampling import Upsample2D
from tests import tiny
from torch import Tensor, nn

from stereodiffusion.diffusion.backbone import Tokens
from stereodiffusion.models.backbones import streamlining
from stereodiffusion.models.backbones.attention import SelfAttention
from stereodiffusion.models.backbones.streamlining import (
    MatrixConv2d,
    PiecewiseFeedForward,
    SplitGEGLU,
    streamline,
    streamline_autoencoder,
)

CHANNELS_LAST = torch.channels_last


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [
        (3, 1, 1, (6, 4)),
        (3, 2, 1, (6, 4)),
        (3, 2, 1, (7, 5)),
        (3, 1, 0, (6, 4)),
        (1, 1, 0, (6, 4)),
        ((3, 1), 1, 0, (4, 6)),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_a_convolution_of_few_cells_is_a_product(
    monkeypatch: pytest.MonkeyPatch, kernel: Any, stride: int, padding: int, size: tuple[int, int], bias: bool
) -> None:
    conv = nn.Conv2d(5, 40, kernel, stride, padding, bias=bias, dtype=torch.float64)
    x = drawn(2, 5, *size).to(memory_format=CHANNELS_LAST)
    expected = conv(x)
    streamline(conv)
    monkeypatch.setattr(nn.Conv2d, "forward", None)  # so that it cannot be what answers
    found = conv(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.is_contiguous(memory_format=CHANNELS_LAST)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (16, 16)),  # many cells for four channels
        ({"groups": 2}, (2, 2)),
        ({"dilation": 2}, (4, 4)),
        ({"padding_mode": "reflect"}, (2, 2)),
        ({"padding": "same"}, (2, 2)),
    ],
)
@torch.no_grad()
def test_other_convolutions_are_torchs_own(options: dict[str, Any], size: tuple[int, int]) -> None:
    conv = cast(Any, nn.Conv2d)(4, 4, 3, dtype=torch.float64, **({"padding": 1} | options))
    x = drawn(1, 4, *size).to(memory_format=CHANNELS_LAST)
    other = deepcopy(conv).to(memory_format=CHANNELS_LAST)
    streamline(conv)
    assert type(conv) is MatrixConv2d
    assert torch.equal(conv(x), other(x))
    torch.testing.assert_close(conv(x.contiguous()), other(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_a_gated_unit_in_halves(bias: bool) -> None:
    unit, x = GEGLU(6, 10, bias=bias).double(), drawn(2, 7, 6)
    whole = deepcopy(unit)
    streamline(unit)
    assert type(unit) is SplitGEGLU
    torch.testing.assert_close(unit(x), whole(x), rtol=1e-12, atol=1e-12)
    for network in (unit, whole):
        network(x).square().sum().backward()
    torch.testing.assert_close(unit.proj.weight.grad, whole.proj.weight.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("activation", ["geglu", "gelu"])
@pytest.mark.parametrize("piece", [1, 5, 14, 100])
def test_tokens_are_widened_some_at_a_time(monkeypatch: pytest.MonkeyPatch, activation: str, piece: int) -> None:
    monkeypatch.setattr(streamlining, "_PIECE", piece)
    layer, x = FeedForward(6, 3, activation_fn=activation).double(), drawn(2, 7, 6).requires_grad_()
    whole = deepcopy(layer)
    streamline(layer)
    assert type(layer) is PiecewiseFeedForward
    widened: list[int] = []
    layer.net[0].register_forward_hook(lambda _, __, inner: widened.append(inner[..., 0].numel()))
    with torch.no_grad():
        torch.testing.assert_close(layer(x), whole(x), rtol=1e-12, atol=1e-12)
    assert sum(widened) == 14
    assert max(widened) == min(piece, 14)
    gradients = [torch.autograd.grad(network(x).square().sum(), x)[0] for network in (layer, whole)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def test_a_projection_that_somebody_wrapped_is_asked() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
            return 2 * super().forward(input)

    unit, x = GEGLU(6, 10).double(), drawn(1, 3, 6)
    wrapped = Doubled(6, 20, dtype=torch.float64)
    wrapped.load_state_dict(unit.proj.state_dict())
    unit.proj = wrapped
    expected = unit(x)
    streamline(unit)
    assert torch.equal(unit(x), expected)


def networks(kind: tiny.Kind | str) -> tuple[Any, Any, dict[str, Any]]:
    """Diffusers' network and the same one streamlined, in float64, and what to call them with."""
    pipe: Any = tiny.xl_pipeline() if kind == "xl" else tiny.pipeline(kind)  # type: ignore[arg-type]
    plain = pipe.unet.double()
    lean = deepcopy(plain)
    streamline(lean)
    rows, size = 2, plain.config.sample_size
    given: dict[str, Any] = {
        "sample": drawn(rows, plain.config.in_channels, size, size),
        "timestep": 300,
        "encoder_hidden_states": drawn(rows, tiny.TOKENS, plain.config.cross_attention_dim, seed=1),
        "return_dict": False,
    }
    if kind == "xl":
        added = {"text_embeds": drawn(rows, tiny.POOLED, seed=2), "time_ids": torch.full((rows, 6), 128.0).double()}
        given["added_cond_kwargs"] = added
    return plain, lean, given


@pytest.mark.parametrize("kind", ["epsilon", "depth", "xl"])
def test_a_streamlined_network_predicts_the_same_with_the_same_gradients(kind: str) -> None:
    plain, lean, given = networks(kind)
    assert sum(isinstance(module, MatrixConv2d | SplitGEGLU) for module in lean.modules()) > 10
    outputs, gradients = [], []
    for network in (plain, lean):
        tokens = given["encoder_hidden_states"].clone().requires_grad_()
        output = network(**{**given, "encoder_hidden_states": tokens})[0]
        outputs.append(output.detach())
        gradients.append(torch.autograd.grad(output.square().sum(), tokens)[0])
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(lean(**given)[0], outputs[0], rtol=1e-9, atol=1e-9)
    state, expected = lean.state_dict(), plain.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], expected[name]) for name in expected)


@pytest.mark.parametrize("channels_last", [False, True])
@torch.no_grad()
def test_cells_that_are_copied_are_convolved_before(monkeypatch: pytest.MonkeyPatch, channels_last: bool) -> None:
    layer = Upsample2D(5, use_conv=True, out_channels=7).double()
    x = drawn(2, 5, 6, 4)
    if channels_last:
        x = x.to(memory_format=CHANNELS_LAST)
    expected = layer(x)
    streamline_autoencoder(layer)
    monkeypatch.setattr(Upsample2D, "forward", None)  # so that it cannot be what answers
    found = layer(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.is_contiguous(memory_format=CHANNELS_LAST) == channels_last


@pytest.mark.parametrize("unlike", ["nothing", "latents", "recorded"])
@torch.no_grad()
def test_halves_of_guidance_share_what_comes_before_the_prompt(unlike: str) -> None:
    plain, lean, given = networks("epsilon")
    given["sample"] = given["sample"][:1].repeat(2, 1, 1, 1)
    if unlike == "latents":
        given["sample"][1] += 1e-3
    other = drawn(2 if unlike == "recorded" else 1, 64, plain.config.block_out_channels[0], seed=3)
    read = other.expand(2, -1, -1)

    def tap(layer: int, tokens: Tokens) -> Tokens:
        return read if layer == 0 else tokens

    rows: list[int] = []
    first = lean.down_blocks[0]
    inside = first.resnets[0].conv1, first.attentions[0].transformer_blocks[0].attn1.to_q
    for module in inside:
        module.register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    outputs: list[Tensor] = []
    for network in (plain, lean):
        with SelfAttention(network).attending(tap):
            outputs.append(network(**given)[0])
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-9, atol=1e-9)
    assert rows == {"nothing": [1, 1], "latents": [2, 2], "recorded": [1, 2]}[unlike]


@torch.no_grad()
def test_half_precision_is_rounded_no_further() -> None:
    plain, lean, given = networks("epsilon")
    exact = plain(**given)[0]
    half = {name: value.bfloat16() if isinstance(value, Tensor) else value for name, value in given.items()}
    errors = [(network.bfloat16()(**half)[0].double() - exact).square().mean().sqrt() for network in (plain, lean)]
    assert errors[1] < 1.1 * errors[0]


@torch.no_grad()
def test_cells_stay_channels_last_through_every_block() -> None:
    _, lean, given = networks("epsilon")
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor | tuple[Tensor, ...]) -> None:
        outputs.append(output if isinstance(output, Tensor) else output[0])

    for module in lean.modules():
        if isinstance(module, nn.Conv2d) or hasattr(module, "transformer_blocks"):
            module.register_forward_hook(keep)
    lean(**given)
    assert len(outputs) > 20
    assert all(output.is_contiguous(memory_format=CHANNELS_LAST) for output in outputs)


@torch.no_grad()
def test_taps_of_attention_see_the_same_tokens() -> None:
    from stereodiffusion.models.backbones.attention import SelfAttention

    seen: list[dict[int, Tokens]] = []
    plain, lean, given = networks("epsilon")
    for network in (plain, lean):
        tokens: dict[int, Tokens] = {}

        def tap(layer: int, x: Tokens, tokens: dict[int, Tokens] = tokens) -> Tokens:
            tokens[layer] = x
            return x.flip(0)

        with SelfAttention(network).attending(tap):
            network(**given)
        seen.append(tokens)
    assert seen[0].keys() == seen[1].keys() != set()
    for layer, expected in seen[0].items():
        torch.testing.assert_close(seen[1][layer], expected, rtol=1e-9, atol=1e-9)
