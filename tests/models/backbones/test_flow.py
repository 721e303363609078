"""Stable Diffusion 3 and FLUX.1: pictures against diffusers' pipelines, shared attention against itself written out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from diffusers.models.embeddings import apply_rotary_emb
from einops import rearrange
from tests import tiny, tiny_flow
from torch import Tensor

from stereodiffusion.diffusion.attention import joining
from stereodiffusion.diffusion.backbone import Backbone, Embedding
from stereodiffusion.diffusion.trajectory import Recorder
from stereodiffusion.errors import GeometryError, ModelError, PromptError
from stereodiffusion.models.backbones import Flux, StableDiffusion3, load_backbone
from stereodiffusion.models.backbones.latent import LatentModel
from stereodiffusion.models.hub import Hub
from stereodiffusion.models.origin import family_in, parts_of
from stereodiffusion.settings import Sampling
from stereodiffusion.synthesis.conditioning import Prompted, condition
from stereodiffusion.synthesis.drawing import draw
from stereodiffusion.synthesis.noise import seeded_noise

STEPS = 3
PROMPT = "a red ball on a table"


def first(name: str) -> Any:
    """A pipeline by the name of what it is like."""
    return {
        "sd3": tiny_flow.sd3_pipeline,
        "sd3-without-t5": lambda: tiny_flow.sd3_pipeline(t5=False),
        "dev": tiny_flow.flux_pipeline,
        "schnell": lambda: tiny_flow.flux_pipeline(guidance=False),
    }[name]()


def around(pipe: Any) -> LatentModel:
    return (Flux if isinstance(pipe, FluxPipeline) else StableDiffusion3).from_pipeline(pipe, name="tiny")


def left_of(model: LatentModel, guidance: float, negative: str = "") -> Tensor:
    given = condition(model, Prompted(prompts=[PROMPT], negative=negative), guidance)
    start, _ = seeded_noise(model, 7, 1, model.native_size)
    steps = draw(model, start, [given] * STEPS, Sampling(steps=STEPS), Recorder(layers=(), indices=()), None)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


@pytest.mark.parametrize(
    ("name", "guidance", "told"),
    [
        ("sd3", 4.0, {"guidance_scale": 4.0, "negative_prompt": "a grey wall"}),
        ("sd3-without-t5", 1.0, {"guidance_scale": 1.0}),
        ("dev", 3.5, {"guidance_scale": 3.5}),
        ("schnell", 1.0, {"guidance_scale": 0.0, "max_sequence_length": 256}),
        ("schnell", 3.0, {"true_cfg_scale": 3.0, "negative_prompt": "a grey wall", "max_sequence_length": 256}),
    ],
)
def test_the_left_is_the_picture_of_diffusers(name: str, guidance: float, told: dict[str, Any]) -> None:
    pipe = first(name)
    pipe.set_progress_bar_config(disable=True)
    model = around(pipe)
    ours = left_of(model, guidance, told.get("negative_prompt", ""))
    generator = torch.Generator().manual_seed(7)
    sizes = {"height": 128, "width": 128, "num_inference_steps": STEPS}
    theirs = pipe(PROMPT, **sizes, **told, generator=generator, output_type="pt").images
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert ours.std() > 0.05
    assert isinstance(model, Backbone)


class _WrittenOut:
    """Joint attention whose keys and values of the picture are those of the views that a direction says."""

    def __init__(self, direction: str) -> None:
        self._direction = direction

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Any = None,
        attention_mask: Any = None,
        image_rotary_emb: Any = None,
    ) -> Any:
        del attention_mask
        prompt = PROMPT_TOKENS if encoder_hidden_states is None and image_rotary_emb is not None else 0
        heads = attn.heads

        def split(tokens: Tensor) -> Tensor:
            return rearrange(tokens, "b n (a d) -> b a n d", a=heads)

        def normed(norm: Any, tokens: Tensor) -> Tensor:
            return tokens if norm is None else norm(tokens)

        def placed(tokens: Tensor, begin: int) -> Tensor:
            if image_rotary_emb is None:
                return tokens
            turn = [each[begin : begin + tokens.shape[2]] for each in image_rotary_emb]
            return cast(Tensor, apply_rotary_emb(tokens, cast(Any, turn)))

        query = normed(attn.norm_q, split(attn.to_q(hidden_states)))
        key, value = normed(attn.norm_k, split(attn.to_k(hidden_states))), split(attn.to_v(hidden_states))
        said = 0 if encoder_hidden_states is None else encoder_hidden_states.shape[1]
        query, key = placed(query, said), placed(key, said)
        own_key, own_value = key[:, :, :prompt], value[:, :, :prompt]
        left_key, right_key = key[:, :, prompt:].chunk(2)
        left_value, right_value = value[:, :, prompt:].chunk(2)
        if self._direction == "unidirectional":
            keys, values = torch.cat([left_key, left_key]), torch.cat([left_value, left_value])
        else:
            keys = torch.cat([left_key, right_key], dim=2).repeat(2, 1, 1, 1)
            values = torch.cat([left_value, right_value], dim=2).repeat(2, 1, 1, 1)
        keys, values = torch.cat([own_key, keys], dim=2), torch.cat([own_value, values], dim=2)
        if encoder_hidden_states is not None:
            asked = placed(normed(attn.norm_added_q, split(attn.add_q_proj(encoder_hidden_states))), 0)
            told = placed(normed(attn.norm_added_k, split(attn.add_k_proj(encoder_hidden_states))), 0)
            query, keys = torch.cat([asked, query], dim=2), torch.cat([told, keys], dim=2)
            values = torch.cat([split(attn.add_v_proj(encoder_hidden_states)), values], dim=2)
        weights = (query @ keys.transpose(2, 3) / query.shape[-1] ** 0.5).softmax(dim=3)
        output = rearrange(weights @ values, "b a n d -> b n (a d)")
        words, picture = output[:, :said], output[:, said:]
        if hasattr(attn, "to_out"):
            picture = attn.to_out[0](picture)
        if encoder_hidden_states is None:
            return picture
        last = getattr(attn, "context_pre_only", False)
        return picture, words if last else attn.to_add_out(words)


PROMPT_TOKENS = 12


@pytest.fixture(params=["sd3", "dev"])
def pipe(request: pytest.FixtureRequest) -> Any:
    return first(request.param)


def views_of(model: LatentModel) -> tuple[Tensor, Embedding]:
    """Two views, and prompts of which the first tokens will do."""
    embedding = model.embed([PROMPT, PROMPT])
    short = replace(embedding, tokens=embedding.tokens[:, :PROMPT_TOKENS])
    x_t = torch.randn(2, 16, 8, 12, generator=torch.Generator().manual_seed(0))
    return x_t, replace(short, guidance=3.0) if model.guidance_built_in else short


@torch.no_grad()
@pytest.mark.parametrize("direction", ["unidirectional", "bidirectional"])
def test_shared_attention_is_attention_written_out(direction: Any, pipe: Any) -> None:
    model = around(pipe)
    x_t, given = views_of(model)
    alone = model.predict(x_t, 500.0, given)
    with model.attending(joining(direction, range(4), branches=1)):
        shared = model.predict(x_t, 500.0, given)
    torch.testing.assert_close(model.predict(x_t, 500.0, given), alone, rtol=0, atol=0)
    pipe.transformer.set_attn_processor(_WrittenOut(direction))
    torch.testing.assert_close(shared, model.predict(x_t, 500.0, given), rtol=1e-4, atol=1e-4)
    assert (shared - alone).abs().max() > 1e-2
    if direction == "unidirectional":
        torch.testing.assert_close(shared[0], alone[0], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_layers_are_numbered_as_they_run_and_nothing_stays_behind(pipe: Any) -> None:
    model = around(pipe)
    x_t, given = views_of(model)
    seen: list[tuple[int, torch.Size]] = []

    def watch(layer: int, tokens: Tensor) -> Tensor:
        seen.append((layer, tokens.shape[1:]))
        return tokens

    alone = model.predict(x_t, 500.0, given)
    with model.attending(watch):
        assert torch.equal(model.predict(x_t, 500.0, given), alone)
        with pytest.raises(ModelError, match="tapped already"), model.attending(watch):
            pass
    assert seen == [(number, torch.Size(size)) for number, size in enumerate(model.attention_sizes(8, 12))]
    assert model.attention_places == ("down", "down", "mid", "up")
    hooks = "_forward_pre_hooks", "_forward_hooks"
    assert not any(getattr(module, name) for module in model.network.modules() for name in hooks)


def test_a_folder_holds_the_same_model(pipe: Any, tmp_path: Path) -> None:
    folder = tiny_flow.save(tmp_path / "model", pipe)
    model = load_backbone(folder)
    assert type(model) is type(around(pipe))
    x_t, given = views_of(model)
    with torch.no_grad():
        assert torch.equal(model.predict(x_t, 500.0, given), around(pipe).predict(x_t, 500.0, given))
    family, parts = family_in(folder), parts_of(folder)
    (folder / "model_index.json").unlink()  # without it, by what is there
    assert (family_in(folder), parts_of(folder)) == (family, parts)


def test_t5_may_be_left_out(tmp_path: Path) -> None:
    model = load_backbone(tiny_flow.save(tmp_path / "model", first("sd3-without-t5")))
    tokens = model.embed([PROMPT]).tokens
    assert tokens.shape == (1, tiny.TOKENS + 256, tiny_flow.T5_STATES)
    assert not tokens[:, tiny.TOKENS :].any()
    with pytest.raises(PromptError, match="8 tokens too many"):
        model.embed(["ball " * 30])
    assert around(first("sd3")).embed(["ball " * 30]).tokens.isfinite().all()  # T5 reads it whole


def betas() -> Any:
    unfit = first("schnell")
    unfit.scheduler = tiny.scheduler()
    return unfit


def stochastic() -> Any:
    unfit = first("sd3")
    unfit.scheduler = FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
    return unfit


def narrower() -> Any:
    unfit = first("sd3")
    unfit.transformer.register_to_config(joint_attention_dim=64)
    return unfit


@pytest.mark.parametrize(
    ("unfit", "said"),
    [
        (betas, r"expected the scheduler of a flow .*, got a DDIMScheduler"),
        (stochastic, "got one with stochastic_sampling"),
        (narrower, "takes prompt tokens of 64 channels"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(unfit: Callable[[], Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        around(unfit())


def test_what_makes_no_sense_is_one_line(pipe: Any, tmp_path: Path) -> None:
    model = around(pipe)
    _, given = views_of(model)
    with pytest.raises(GeometryError, match="whole patches of 2 x 2 cells, got 3 x 4"):
        model.predict(torch.zeros(2, 16, 3, 4), 500.0, given)
    with pytest.raises(GeometryError, match="multiples of 16, got 24 x 32"):
        model.encode(torch.zeros(1, 3, 24, 32))
    with pytest.raises(ModelError, match="expected nothing beside the latents, got 1 more"):
        model.predict(torch.zeros(2, 16, 4, 4), 500.0, given, torch.zeros(2, 1, 4, 4))
    folder = tiny_flow.save(tmp_path / "model", pipe)
    next((folder / "transformer").glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"incomplete: transformer in .* has no \*.safetensors"):
        load_backbone(folder, hub=Hub(local_files_only=True))
