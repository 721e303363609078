"""Compiled layers do what they did, and leave the door open through which the views share attention."""

import copy
from typing import Any, cast

import pytest
import torch
from diffusers.models.activations import GEGLU
from tests import tiny
from torch import Tensor

from stereodiffusion.backbones import StableDiffusion, load_backbone
from stereodiffusion.backbones.compiling import compile_layers
from stereodiffusion.backbones.streamlining import streamline
from stereodiffusion.errors import ConfigError, ModelError

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's


def of_the_left(_: int, tokens: Tensor) -> Tensor:
    left, _right = tokens.chunk(2)
    return torch.cat([left, left])


@torch.no_grad()
def test_a_compiled_network_predicts_the_same_and_shares_attention() -> None:
    plain = StableDiffusion.from_pipeline(tiny.pipeline())
    compiled = load_backbone(tiny.pipeline(), compiled=True)
    counted = cast(Any, torch)._dynamo.utils.counters["stats"]
    counted.clear()
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    embedding = plain.embed(["a red ball", "a blue box"])
    alone = plain.predict(x, 500, embedding)
    torch.testing.assert_close(compiled.predict(x, 500, embedding), alone, rtol=1e-4, atol=1e-5)
    assert counted["unique_graphs"] > 8, "after eight forms torch gives up, unless it is told not to"
    with plain.attending(of_the_left), compiled.attending(of_the_left):
        shared = plain.predict(x, 500, embedding)
        torch.testing.assert_close(compiled.predict(x, 500, embedding), shared, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(shared, alone, atol=1e-3)


def test_gradients_go_through_compiled_layers() -> None:
    plain = GEGLU(6, 10)
    compiled = copy.deepcopy(plain)
    streamline(compiled)
    compile_layers(compiled)
    gradients: list[Tensor] = []
    for unit in (plain, compiled):
        x = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
        gradients += torch.autograd.grad(unit(x).square().sum(), x)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("part", ["the block around it", "itself"])
def test_compiled_self_attention_is_refused(part: str) -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline())
    mid: Any = backbone.unet.mid_block
    block = mid.attentions[0].transformer_blocks[0]
    (block if part == "the block around it" else block.attn1).compile(backend="eager")
    with pytest.raises(ModelError, match="not compiled"), backbone.attending(of_the_left):
        pass


def test_without_a_compiler_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()  # what other tests have compiled is there
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nowhere/a-compiler",))
    with pytest.raises(ConfigError, match=r"^the network cannot be compiled here: .*compiler.*") as raised:
        load_backbone(tiny.pipeline(), compiled=True)
    assert "\n" not in str(raised.value)
