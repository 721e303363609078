"""Self-attention fed other tokens, against attention written out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from tests import tiny
from torch import Tensor, nn

from stereodiffusion.diffusion.backbone import Embedding
from stereodiffusion.errors import ModelError
from stereodiffusion.models.backbones.attention import self_attention_layers
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL


class LiteralProcessor:
    """Attention as the paper writes it, softmax(QK^T / sqrt(d)) V, sharing nothing with diffusers' processors.

    `mode` says whose keys and values the second view of each batch of two attends to.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        left, right = hidden_states.chunk(2)
        heads = cast(int, attn.heads)
        shared = {"off": None, "unidirectional": left, "bidirectional": torch.cat([left, right], dim=1)}[self.mode]
        views: list[Tensor] = []
        for view in (left, right):
            source = view if shared is None else shared
            rows: list[Tensor] = []
            for query, keys in zip(view, source, strict=True):
                q, k, v = attn.to_q(query), attn.to_k(keys), attn.to_v(keys)
                width = q.shape[-1] // heads
                out: list[Tensor] = []
                for head in range(heads):
                    part = slice(head * width, (head + 1) * width)
                    weights = torch.softmax(q[:, part] @ k[:, part].T / width**0.5, dim=-1)
                    out.append(weights @ v[:, part])
                rows.append(attn.to_out[0](torch.cat(out, dim=-1)))
            views.append(torch.stack(rows))
        return torch.cat(views)


def unidirectional(_: int, tokens: Tensor) -> Tensor:
    left, _right = tokens.chunk(2)
    return torch.cat([left, left])


def bidirectional(_: int, tokens: Tensor) -> Tensor:
    left, right = tokens.chunk(2)
    both = torch.cat([left, right], dim=1)
    return torch.cat([both, both])


Build = Callable[[], StableDiffusion]


def sd() -> StableDiffusion:
    return StableDiffusion.from_pipeline(tiny.pipeline())


def sdxl() -> StableDiffusion:
    return StableDiffusionXL.from_pipeline(tiny.xl_pipeline())


@pytest.fixture(scope="module", params=[sd, sdxl])
def build(request: pytest.FixtureRequest) -> Build:
    return request.param


@pytest.fixture(scope="module")
def backbone(build: Build) -> StableDiffusion:
    return build()


@pytest.fixture
def views(build: Build) -> tuple[Tensor, Embedding]:
    """A batch of two left and two right latents, and their prompts."""
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(4, 4, 8, 12, generator=generator)
    channels = tiny.EMBEDDING if build is sd else tiny.EMBEDDING + tiny.EMBEDDING_2
    tokens = torch.randn(4, tiny.TOKENS, channels, generator=generator)
    return latents, Embedding(
        tokens=tokens, pooled=None if build is sd else torch.randn(4, tiny.POOLED, generator=generator)
    )


def hooks_of(module: nn.Module) -> int:
    return sum(
        len(vars(part)[table])
        for part in module.modules()
        for table in ("_forward_pre_hooks", "_forward_hooks", "_forward_pre_hooks_with_kwargs")
    )


@pytest.mark.parametrize(("mode", "tap"), [("unidirectional", unidirectional), ("bidirectional", bidirectional)])
@torch.no_grad()
def test_shared_attention_is_attention_written_out(
    build: Build,
    backbone: StableDiffusion,
    views: tuple[Tensor, Embedding],
    mode: str,
    tap: Callable[[int, Tensor], Tensor],
) -> None:
    with backbone.attending(tap):
        tapped = backbone.predict(views[0], 500, views[1])

    literal = build()
    for _, layer in self_attention_layers(literal.unet):
        layer.set_processor(cast(Any, LiteralProcessor(mode)))
    expected = literal.predict(views[0], 500, views[1])

    plain = backbone.predict(views[0], 500, views[1])
    torch.testing.assert_close(tapped, expected, rtol=0, atol=2e-5)
    assert (tapped - plain).abs().max() > 1e-3  # the tap did something


@torch.no_grad()
def test_unidirectional_attention_leaves_the_left_view_as_it_is(
    backbone: StableDiffusion, views: tuple[Tensor, Embedding]
) -> None:
    plain = backbone.predict(views[0], 500, views[1])
    with backbone.attending(unidirectional):
        tapped = backbone.predict(views[0], 500, views[1])
    torch.testing.assert_close(tapped[:2], plain[:2], rtol=0, atol=1e-6)
    assert (tapped[2:] - plain[2:]).abs().max() > 1e-3


@torch.no_grad()
def test_a_tap_that_returns_its_tokens_changes_nothing(
    backbone: StableDiffusion, views: tuple[Tensor, Embedding]
) -> None:
    plain = backbone.predict(views[0], 500, views[1])
    with backbone.attending(lambda _, tokens: tokens):
        assert torch.equal(backbone.predict(views[0], 500, views[1]), plain)


@torch.no_grad()
def test_layers_are_numbered_in_the_order_they_run(
    build: Build, backbone: StableDiffusion, views: tuple[Tensor, Embedding]
) -> None:
    calls: list[int] = []
    sizes: list[int] = []

    def tap(index: int, tokens: Tensor) -> Tensor:
        calls.append(index)
        sizes.append(tokens.shape[1])
        return tokens

    with backbone.attending(tap):
        backbone.predict(views[0], 500, views[1])
    places = backbone.attention_places
    assert calls == list(range(len(places)))
    if build is sd:
        assert list(places) == ["down"] + ["mid"] + ["up"] * 2
        assert sizes == [96, 24, 96, 96]
    else:
        assert list(places) == ["down"] * 3 + ["mid"] * 2 + ["up"] * 6
        assert sizes == [24, 6, 6, 6, 6, 6, 6, 6, 6, 24, 24]


@torch.no_grad()
def test_leaving_restores_the_network_bit_for_bit(backbone: StableDiffusion, views: tuple[Tensor, Embedding]) -> None:
    before = backbone.predict(views[0], 500, views[1])
    weights = {name: tensor.clone() for name, tensor in backbone.unet.state_dict().items()}
    processors = dict(backbone.unet.attn_processors)
    with backbone.attending(bidirectional):
        backbone.predict(views[0], 500, views[1])
    with pytest.raises(ZeroDivisionError), backbone.attending(lambda index, _: torch.ones(1 // index)):
        backbone.predict(views[0], 500, views[1])
    assert hooks_of(backbone.unet) == 0
    assert torch.equal(backbone.predict(views[0], 500, views[1]), before)
    assert all(torch.equal(weights[name], tensor) for name, tensor in backbone.unet.state_dict().items())
    assert backbone.unet.attn_processors == processors


@torch.no_grad()
def test_a_users_processor_and_adapters_stay_in_place(build: Build, views: tuple[Tensor, Embedding]) -> None:
    class LowRank(nn.Module):
        """A linear layer as PEFT wraps it: the layer, and a low-rank correction beside it."""

        def __init__(self, layer: nn.Linear) -> None:
            super().__init__()
            self.base_layer = layer
            self.down = nn.Linear(layer.in_features, 2, bias=False)
            self.up = nn.Linear(2, layer.out_features, bias=False)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.base_layer(tokens) + self.up(self.down(tokens))

    torch.manual_seed(0)
    seen: list[str] = []

    class Spy(LiteralProcessor):
        def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            seen.append(self.mode)
            return super().__call__(attn, hidden_states, *args, **kwargs)

    def with_adapters() -> StableDiffusion:
        torch.manual_seed(0)
        backbone = build()
        for _, layer in self_attention_layers(backbone.unet):
            for projection in ("to_q", "to_k", "to_v"):
                setattr(layer, projection, LowRank(getattr(layer, projection)))
        return backbone

    adapted, literal = with_adapters(), with_adapters()
    for _, layer in self_attention_layers(literal.unet):
        layer.set_processor(cast(Any, Spy("unidirectional")))
    with adapted.attending(unidirectional):
        tapped = adapted.predict(views[0], 500, views[1])
    torch.testing.assert_close(tapped, literal.predict(views[0], 500, views[1]), rtol=0, atol=2e-5)
    seen.clear()
    with literal.attending(lambda _, tokens: tokens.clone()):
        literal.predict(views[0], 500, views[1])
    assert len(seen) == len(literal.attention_places)


def test_gradients_reach_the_embedding_through_a_tap(
    backbone: StableDiffusion, views: tuple[Tensor, Embedding]
) -> None:
    tokens = views[1].tokens.clone().requires_grad_()
    with backbone.attending(bidirectional):
        loss = backbone.predict(views[0], 500, replace(views[1], tokens=tokens)).square().mean()
    (gradient,) = torch.autograd.grad(loss, tokens)
    assert gradient.abs().max() > 0


def test_entering_twice_is_refused(backbone: StableDiffusion) -> None:
    with backbone.attending(unidirectional):
        with pytest.raises(ModelError, match="tapped already"), backbone.attending(unidirectional):
            pass
        assert hooks_of(backbone.unet) == 2 * len(backbone.attention_places)  # the first tap is still there
    assert hooks_of(backbone.unet) == 0


@torch.no_grad()
@pytest.mark.parametrize("build", [sd], indirect=True)
def test_two_backbones_around_one_network_do_not_tap_it_at_once(views: tuple[Tensor, Embedding]) -> None:
    pipe = tiny.pipeline()
    first, second = StableDiffusion.from_pipeline(pipe), StableDiffusion.from_pipeline(pipe)
    with (
        first.attending(unidirectional),
        second.attending(unidirectional),
        pytest.raises(ModelError, match="somebody else"),
    ):
        first.predict(views[0], 500, views[1])
    assert hooks_of(pipe.unet) == 0


@torch.no_grad()
def test_fused_projections_are_refused(build: Build, views: tuple[Tensor, Embedding]) -> None:
    backbone = build()
    plain = backbone.predict(views[0], 500, views[1])
    backbone.unet.fuse_qkv_projections()
    with pytest.raises(ModelError, match="unfuse_qkv_projections"), backbone.attending(unidirectional):
        pass
    torch.testing.assert_close(backbone.predict(views[0], 500, views[1]), plain, rtol=0, atol=1e-5)


def test_a_network_without_self_attention_is_refused() -> None:
    pipe = tiny.pipeline()
    pipe.unet = cast(Any, type(pipe.unet)).from_config(
        {
            **{key: value for key, value in pipe.unet.config.items() if not key.startswith("_")},
            "down_block_types": ("DownBlock2D",) * 2,
            "mid_block_type": None,
            "up_block_types": ("UpBlock2D",) * 2,
        }
    )
    backbone = StableDiffusion.from_pipeline(pipe)
    assert list(backbone.attention_places) == []
    with pytest.raises(ModelError, match="without"), backbone.attending(unidirectional):
        pass


def test_a_compiled_network_is_refused() -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline())
    backbone.unet.compile(backend="eager")
    with pytest.raises(ModelError, match="compiled"), backbone.attending(unidirectional):
        pass


@pytest.mark.parametrize("shape", [(4, 96), (3, 96, 16), (4, 96, 15)])
@torch.no_grad()
def test_tokens_of_the_wrong_shape_are_refused(
    backbone: StableDiffusion, views: tuple[Tensor, Embedding], shape: Sequence[int]
) -> None:
    with (
        pytest.raises(ModelError, match=r"expected tokens of shape"),
        backbone.attending(lambda *_: torch.zeros(*shape)),
    ):
        backbone.predict(views[0], 500, views[1])
