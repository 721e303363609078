"""The backbone against direct calls of diffusers' own parts."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from diffusers import (
    AutoencoderTiny,
    ControlNetModel,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LatentConsistencyModelPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionPipeline,
)
from tests import tiny
from torch import Tensor

from stereodiffusion.diffusion.backbone import Backbone, Embedding
from stereodiffusion.errors import GeometryError, ModelError, PromptError
from stereodiffusion.models.backbones.sd import StableDiffusion, guidance_embedding


@pytest.fixture(scope="module")
def pipe() -> StableDiffusionPipeline:
    return cast(StableDiffusionPipeline, tiny.pipeline())


@pytest.fixture(scope="module")
def backbone(pipe: StableDiffusionPipeline) -> StableDiffusion:
    return StableDiffusion.from_pipeline(pipe)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def prompted() -> Embedding:
    """Two prompts that mean nothing."""
    return Embedding(tokens=noise(2, tiny.TOKENS, tiny.EMBEDDING))


def test_it_is_a_backbone(backbone: StableDiffusion) -> None:
    protocol: Backbone = backbone
    assert protocol.name == "StableDiffusionPipeline"
    assert protocol.pixels_per_latent == 8
    assert protocol.latent_channels == 4
    assert protocol.native_size == (64, 64)
    assert protocol.prediction == "epsilon"
    assert not protocol.depth_conditioned
    assert protocol.device == torch.device("cpu")


def test_sd2_depth_was_trained_at_512_whatever_its_configuration_says() -> None:
    pipe = tiny.pipeline("depth")
    backbone = StableDiffusion.from_pipeline(pipe)
    assert backbone.native_size == (64, 64)
    pipe.unet.register_to_config(sample_size=32, cross_attention_dim=1024)
    assert backbone.native_size == (512, 512)
    pipe.unet.register_to_config(sample_size=(64, 96))
    assert backbone.native_size == (512, 768)


def test_alphas_are_stable_diffusions(backbone: StableDiffusion) -> None:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    torch.testing.assert_close(backbone.alphas.double(), torch.cumprod(1 - betas, 0), rtol=1e-5, atol=0)
    assert backbone.alphas.dtype == torch.float32


def test_alphas_and_prediction_come_from_any_scheduler() -> None:
    pipe = tiny.pipeline("v_prediction")
    expected = StableDiffusion.from_pipeline(pipe)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    backbone = StableDiffusion.from_pipeline(pipe)
    assert backbone.prediction == "v_prediction"
    torch.testing.assert_close(backbone.alphas, expected.alphas, rtol=1e-6, atol=0)


@torch.no_grad()
def test_encode_is_the_scaled_posterior_mean(pipe: StableDiffusionPipeline, backbone: StableDiffusion) -> None:
    image = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    posterior = pipe.vae.encode(image * 2 - 1).latent_dist
    torch.testing.assert_close(backbone.encode(image), posterior.mean * 0.18215, rtol=0, atol=0)
    assert backbone.encode(image).shape == (2, 4, 8, 6)


@torch.no_grad()
def test_decode_is_the_clamped_picture(pipe: StableDiffusionPipeline, backbone: StableDiffusion) -> None:
    latents = 20 * noise(2, 4, 8, 6)
    pixels = pipe.vae.decode(latents / 0.18215).sample
    torch.testing.assert_close(backbone.decode(latents), (pixels / 2 + 0.5).clamp(0, 1), rtol=0, atol=1e-6)
    assert backbone.decode(latents).aminmax().max <= 1


@pytest.mark.parametrize("shape", [(1, 3, 64, 60), (1, 3, 63, 64)])
def test_encode_crops_nothing(backbone: StableDiffusion, shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="multiples of 8"):
        backbone.encode(torch.zeros(shape))


def test_decoding_what_is_not_finite_is_an_error(backbone: StableDiffusion) -> None:
    with pytest.raises(ModelError, match="latents are not finite"):
        backbone.decode(torch.full((1, 4, 8, 8), torch.nan))


@torch.no_grad()
def test_an_overflowing_autoencoder_is_an_error() -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline())
    backbone.vae.decoder.conv_out.weight.fill_(torch.inf)
    with pytest.raises(ModelError, match="float32 or bfloat16"):
        backbone.decode(noise(1, 4, 8, 8))


def test_embed_is_the_pipelines_own(pipe: StableDiffusionPipeline, backbone: StableDiffusion) -> None:
    prompts = ["a red ball, in front of a striped blue box", "a dragon", ""]
    with torch.no_grad():
        expected, unconditional = cast(Any, pipe).encode_prompt(prompts, "cpu", 1, True)
    tokens = backbone.embed(prompts).tokens
    torch.testing.assert_close(tokens, expected, rtol=0, atol=0)
    torch.testing.assert_close(tokens[2:], unconditional[:1], rtol=0, atol=1e-6)
    assert tokens.shape == (3, tiny.TOKENS, tiny.EMBEDDING)
    assert not tokens.requires_grad


def test_embed_obeys_an_attention_mask() -> None:
    pipe = tiny.pipeline()
    pipe.text_encoder.config.use_attention_mask = True
    with torch.no_grad():
        expected, _ = cast(Any, pipe).encode_prompt(["a red ball"], "cpu", 1, False)
    tokens = StableDiffusion.from_pipeline(pipe).embed(["a red ball"]).tokens
    torch.testing.assert_close(tokens, expected, rtol=0, atol=0)


def test_a_prompt_is_never_cut(backbone: StableDiffusion) -> None:
    backbone.embed(["red " * (tiny.TOKENS - 2)])
    with pytest.raises(PromptError, match=r"3 tokens too many .* takes 22: shorten it by about 'blue ball table'"):
        backbone.embed(["red " * (tiny.TOKENS - 2) + "blue ball table"])


def test_one_string_is_not_a_list_of_prompts(backbone: StableDiffusion) -> None:
    with pytest.raises(PromptError, match="expected a list"):
        backbone.embed("a red ball")
    with pytest.raises(PromptError, match="expected a list"):
        backbone.embed([])


def test_words_outside_a_closed_vocabulary_are_named() -> None:
    backbone = StableDiffusion.from_pipeline(tiny.pipeline(closed=True))
    assert backbone.embed(["A RED ball, in front of a striped cube."]).tokens.isfinite().all()
    with pytest.raises(PromptError, match=r"does not know 'Dragon', 'ed'; its words are: a, an, and, ball"):
        backbone.embed(["", "a red Dragon on ed, Dragon"])


def test_textual_inversion_works_through_the_pipeline() -> None:
    pipe = tiny.pipeline()
    pipe.tokenizer.add_tokens(["<toy>", "<toy>_1"])
    pipe.text_encoder.resize_token_embeddings(len(pipe.tokenizer), mean_resizing=False)
    backbone = StableDiffusion.from_pipeline(pipe)
    with torch.no_grad():
        expected, _ = cast(Any, pipe).encode_prompt(["a <toy>"], "cpu", 1, False)
    torch.testing.assert_close(backbone.embed(["a <toy>"]).tokens, expected, rtol=0, atol=0)
    assert not torch.equal(backbone.embed(["a toy"]).tokens, expected)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@torch.no_grad()
def test_predict_is_the_network(kind: tiny.Kind) -> None:
    pipe = tiny.pipeline(kind)
    backbone = StableDiffusion.from_pipeline(pipe)
    x_t, embedding = noise(2, 4, 8, 12), prompted()
    expected = pipe.unet(x_t, torch.tensor(321), encoder_hidden_states=embedding.tokens).sample
    torch.testing.assert_close(backbone.predict(x_t, 321, embedding), expected, rtol=0, atol=0)
    assert backbone.prediction == kind


@torch.no_grad()
def test_predict_puts_depth_in_the_fifth_channel() -> None:
    pipe = tiny.pipeline("depth")
    backbone = StableDiffusion.from_pipeline(pipe)
    x_t, depth, embedding = noise(2, 4, 8, 8), noise(2, 1, 8, 8, seed=1), prompted()
    expected = pipe.unet(torch.cat([x_t, depth], 1), 321, encoder_hidden_states=embedding.tokens).sample
    assert backbone.depth_conditioned
    torch.testing.assert_close(backbone.predict(x_t, 321, embedding, depth), expected, rtol=0, atol=0)
    with pytest.raises(ModelError, match="expected a depth map beside the latents, got nothing"):
        backbone.predict(x_t, 321, embedding)
    with pytest.raises(GeometryError, match=r"their grid of \(8, 8\), got \(8, 4\)"):
        backbone.predict(x_t, 321, embedding, depth[..., :4])


def test_predict_refuses_depth_that_is_not_wanted(backbone: StableDiffusion) -> None:
    with pytest.raises(ModelError, match="expected nothing beside the latents, got 1 more channels"):
        backbone.predict(noise(1, 4, 8, 8), 1, backbone.embed([""]), noise(1, 1, 8, 8))


def test_gradients_flow_to_the_embedding_and_only_there(backbone: StableDiffusion) -> None:
    tokens = backbone.embed([""]).tokens.requires_grad_()
    embedding = Embedding(tokens=tokens)
    loss = backbone.predict(noise(1, 4, 8, 8), 500, embedding).square().mean()
    (gradient,) = torch.autograd.grad(loss, tokens)
    assert gradient.abs().max() > 0
    assert all(parameter.grad is None for parameter in backbone.unet.parameters())


def test_latents_keep_their_dtype_when_the_network_is_in_half_precision() -> None:
    exact = StableDiffusion.from_pipeline(tiny.pipeline())
    halved = StableDiffusion.from_pipeline(tiny.pipeline().to(torch.bfloat16))
    x_t, image = noise(1, 4, 8, 8), torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    embedding = exact.embed(["a red ball"])
    with torch.no_grad():
        for dtype in (torch.float32, torch.float64):
            assert halved.predict(x_t.to(dtype), 5, embedding).dtype == dtype
            assert halved.encode(image.to(dtype)).dtype == dtype
            assert halved.decode(x_t.to(dtype)).dtype == dtype
        assert halved.embed(["a red ball"]).tokens.dtype == torch.float32
        torch.testing.assert_close(
            halved.predict(x_t, 5, embedding), exact.predict(x_t, 5, embedding), rtol=0, atol=0.1
        )


def test_a_pipeline_is_left_as_it_is(pipe: StableDiffusionPipeline) -> None:
    assert all(parameter.requires_grad for parameter in pipe.unet.parameters())
    backbone = StableDiffusion.from_pipeline(pipe, name="mine")
    assert backbone.name == "mine"
    assert backbone.unet is pipe.unet
    assert all(parameter.requires_grad for parameter in pipe.unet.parameters())


def test_offloaded_models_run_where_their_hooks_send_them() -> None:
    accelerate = pytest.importorskip("accelerate")
    pipe = tiny.pipeline()
    accelerate.cpu_offload(pipe.unet, torch.device("cpu"))
    assert next(pipe.unet.parameters()).device.type == "meta"
    backbone = StableDiffusion.from_pipeline(pipe)
    assert backbone.device == torch.device("cpu")
    expected = StableDiffusion.from_pipeline(tiny.pipeline())
    x_t, embedding = noise(2, 4, 8, 8), prompted()
    with torch.no_grad(), backbone.attending(lambda _, tokens: tokens.roll(1, 0)):
        moved = backbone.predict(x_t, 5, embedding)
    with torch.no_grad(), expected.attending(lambda _, tokens: tokens.roll(1, 0)):
        torch.testing.assert_close(moved, expected.predict(x_t, 5, embedding), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_channels": 8}, "U-Net for editing pictures with 8 input channels"),
        ({"in_channels": 7}, "U-Net with 7 input channels"),
        ({"cross_attention_dim": 16}, "takes prompt tokens of 16 channels, the text encoder makes 32"),
        ({"class_embed_type": "timestep"}, "class labels"),
        (
            {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 8,
            },
            "SDXL",
        ),
    ],
)
def test_networks_of_other_kinds_are_refused(
    pipe: StableDiffusionPipeline, changes: dict[str, Any], message: str
) -> None:
    config = {key: value for key, value in pipe.unet.config.items() if not key.startswith("_")}
    other = type(pipe.unet)(**(config | changes))
    with pytest.raises(ModelError, match=message):
        StableDiffusion(
            vae=pipe.vae,
            unet=other,
            text_encoder=pipe.text_encoder,
            tokenizer=pipe.tokenizer,
            scheduler=pipe.scheduler,
            name="other",
        )


def test_schedulers_of_other_kinds_are_refused() -> None:
    pipe = tiny.pipeline()
    pipe.scheduler = cast(Any, FlowMatchEulerDiscreteScheduler())
    with pytest.raises(ModelError, match="no ᾱ_t"):
        StableDiffusion.from_pipeline(pipe)
    pipe.scheduler = tiny.scheduler()
    pipe.scheduler.register_to_config(prediction_type="sample")
    with pytest.raises(ModelError, match="predicts 'sample'"):
        StableDiffusion.from_pipeline(pipe)


def test_pipelines_with_other_parts_are_refused() -> None:
    pipe = tiny.pipeline()
    control = ControlNetModel.from_unet(pipe.unet, conditioning_channels=3)
    controlled = cast(Any, StableDiffusionControlNetPipeline)(
        **pipe.components, controlnet=control, requires_safety_checker=False
    )
    with pytest.raises(ModelError, match="a StableDiffusionControlNetPipeline with controlnet"):
        StableDiffusion.from_pipeline(controlled)
    unet, pipe.unet = pipe.unet, None
    with pytest.raises(ModelError, match="a StableDiffusionPipeline without unet"):
        StableDiffusion.from_pipeline(pipe)
    pipe.unet, pipe.vae = unet, AutoencoderTiny()
    with pytest.raises(ModelError, match="vae AutoencoderTiny instead of AutoencoderKL"):
        StableDiffusion.from_pipeline(pipe)


def consistency_model() -> StableDiffusion:
    """A U-Net that is told the scale of guidance, as latent consistency models are."""
    pipe = tiny.pipeline()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipe.unet = cast(Any, type(pipe.unet)).from_config(pipe.unet.config, time_cond_proj_dim=16).eval()
        for weight in pipe.unet.time_embedding.cond_proj.parameters():
            torch.nn.init.normal_(weight)
    return StableDiffusion.from_pipeline(pipe)


@torch.no_grad()
def test_a_network_with_guidance_built_in_is_told_its_scale() -> None:
    backbone = consistency_model()
    assert backbone.guidance_built_in
    theirs = LatentConsistencyModelPipeline.get_guidance_scale_embedding
    x_t, embedding = (
        torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)),
        backbone.embed(["a red ball"] * 2),
    )
    seen: list[Tensor] = []
    for w in (1.0, 8.0):
        told = theirs(cast(Any, None), torch.tensor([w - 1]), embedding_dim=16)
        torch.testing.assert_close(guidance_embedding(w, 16)[None], told)
        expected = backbone.unet(
            x_t, 500, encoder_hidden_states=embedding.tokens, timestep_cond=told.expand(2, 16), return_dict=False
        )[0]
        seen.append(backbone.predict(x_t, 500, replace(embedding, guidance=w)))
        torch.testing.assert_close(seen[-1], expected)
    assert (seen[0] - seen[1]).abs().max() > 1e-4
    with pytest.raises(ModelError, match="expected an embedding with its scale"):
        backbone.predict(x_t, 500, embedding)


@pytest.mark.parametrize("words", [5, "a red ball", [1, 2]])
def test_words_of_a_tokenizer_that_are_no_list_of_words_are_refused(words: Any) -> None:
    pipe = tiny.pipeline()
    pipe.tokenizer.init_kwargs["words"] = words
    with pytest.raises(ModelError, match="expected the words of its tokenizer as a list, got "):
        StableDiffusion.from_pipeline(pipe, name="tiny")
