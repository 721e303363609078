"""Stable Diffusion XL against diffusers' own pipeline."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from tests import tiny
from torch import Tensor, nn

from stereodiffusion.diffusion.backbone import Backbone, Embedding, stack_rows
from stereodiffusion.diffusion.denoise import Conditioning, denoise
from stereodiffusion.diffusion.schedule import ddim_schedule
from stereodiffusion.errors import ModelError, PromptError
from stereodiffusion.models.backbones import load_backbone, single_file
from stereodiffusion.models.backbones.attention import self_attention_layers
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL

PROMPTS = ["a red ball, in front of a striped blue box", "a dragon"]
NEGATIVE = "a grey wall"


@pytest.fixture(scope="module")
def pipe() -> StableDiffusionXLPipeline:
    return tiny.xl_pipeline()


@pytest.fixture(scope="module")
def backbone(pipe: StableDiffusionXLPipeline) -> StableDiffusion:
    return StableDiffusionXL.from_pipeline(pipe)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def encoded(pipe: StableDiffusionXLPipeline, negative: str | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the pipeline makes of the prompts: tokens, negative tokens, pooled, negative pooled."""
    return cast(Any, pipe).encode_prompt(PROMPTS, device="cpu", negative_prompt=negative)


def test_it_is_a_backbone(backbone: StableDiffusion) -> None:
    protocol: Backbone = backbone
    assert protocol.name == "StableDiffusionXLPipeline"
    assert protocol.pixels_per_latent == 8
    assert protocol.latent_channels == 4
    assert protocol.native_size == (128, 128)
    assert protocol.prediction == "epsilon"
    assert not protocol.depth_conditioned


def test_all_of_sdxls_self_attention_is_found() -> None:
    """Of the published network, built without weights: transformers of 2 and 10 blocks, none at the first level."""
    with torch.device("meta"):
        settings = cast(Any, UNet2DConditionModel).load_config(str(single_file.SETTINGS / "sdxl" / "unet"))
        network = cast(Any, UNet2DConditionModel).from_config(settings)
    places = [place for place, _ in self_attention_layers(network)]
    assert places == ["down"] * (2 * 2 + 2 * 10) + ["mid"] * 10 + ["up"] * (3 * 10 + 3 * 2)


# --- prompts --------------------------------------------------------------------------------------------------------


def test_embed_is_the_pipelines_own(pipe: StableDiffusionXLPipeline, backbone: StableDiffusion) -> None:
    tokens, negative_tokens, pooled, negative_pooled = encoded(pipe, NEGATIVE)
    ours, against = backbone.embed(PROMPTS), backbone.embed([NEGATIVE] * 2)
    assert ours.pooled is not None
    assert against.pooled is not None
    for mine, theirs in (
        (ours.tokens, tokens),
        (ours.pooled, pooled),
        (against.tokens, negative_tokens),
        (against.pooled, negative_pooled),
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
        assert not mine.requires_grad
    assert ours.tokens.shape == (2, tiny.TOKENS, tiny.EMBEDDING + tiny.EMBEDDING_2)
    assert ours.pooled.shape == (2, tiny.POOLED)


@pytest.mark.parametrize("zeros", [True, False])
def test_the_unconditional_prompt_is_what_the_pipeline_takes_for_it(zeros: bool) -> None:
    pipe = tiny.xl_pipeline(zeros=zeros)
    _, tokens, _, pooled = encoded(pipe, None)
    embedding = StableDiffusionXL.from_pipeline(pipe).embed(["a red ball", ""], unconditional=True)
    assert embedding.pooled is not None
    torch.testing.assert_close(embedding.tokens[1], tokens[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(embedding.pooled[1], pooled[1], rtol=0, atol=1e-6)
    assert bool((embedding.tokens[1] == 0).all()) is zeros
    assert bool((embedding.pooled[1] == 0).all()) is zeros
    assert embedding.tokens[0].abs().max() > 0


@torch.no_grad()
def test_an_empty_prompt_is_encoded_as_the_pipeline_does(pipe: Any, backbone: StableDiffusion) -> None:
    tokens, negative, pooled, _ = pipe.encode_prompt(["", ""], device="cpu", negative_prompt=None)
    embedding = backbone.embed(["", ""])
    torch.testing.assert_close(embedding.tokens, tokens, rtol=0, atol=0)
    torch.testing.assert_close(embedding.pooled, pooled, rtol=0, atol=0)
    assert tokens.abs().max() > 0
    assert negative.abs().max() == 0


def test_a_prompt_is_never_cut(backbone: StableDiffusion) -> None:
    with pytest.raises(PromptError, match="3 tokens too many"):
        backbone.embed(["red " * (tiny.TOKENS - 2) + "blue ball table"])
    with pytest.raises(PromptError, match="expected a list"):
        backbone.embed("a red ball")


def test_textual_inversion_has_words_for_both_encoders() -> None:
    pipe = tiny.xl_pipeline()
    for tokenizer, encoder in ((pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2)):
        tokenizer.add_tokens(["<toy>", "<toy>_1"])
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    backbone = StableDiffusionXL.from_pipeline(pipe)
    with torch.no_grad():
        tokens, _, pooled, _ = cast(Any, pipe).encode_prompt(["a <toy>"], device="cpu")
    torch.testing.assert_close(backbone.embed(["a <toy>"]).tokens, tokens, rtol=0, atol=0)
    torch.testing.assert_close(backbone.embed(["a <toy>"]).pooled, pooled, rtol=0, atol=0)


# --- the network ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("negative", [None, NEGATIVE])
def test_predict_and_denoise_are_the_pipelines_own(
    negative: str | None, pipe: StableDiffusionXLPipeline, backbone: StableDiffusion
) -> None:
    """Every call that the pipeline makes of its U-Net, element by element, and the latents that it arrives at."""
    calls: list[tuple[Tensor, int, Tensor]] = []

    def keep(_: nn.Module, args: tuple[Any, ...], output: tuple[Tensor]) -> None:
        calls.append((args[0], int(args[1]), output[0]))

    x_T, steps, guidance = noise(2, 4, 16, 24), 4, 5.0
    hook = pipe.unet.register_forward_hook(keep)
    pipe.set_progress_bar_config(disable=True)
    theirs = cast(Any, pipe)(
        prompt=PROMPTS,
        negative_prompt=None if negative is None else [negative] * 2,
        height=128,
        width=192,
        latents=x_T,
        num_inference_steps=steps,
        guidance_scale=guidance,
        output_type="latent",
    ).images
    hook.remove()

    given = Conditioning(
        embedding=backbone.embed(PROMPTS),
        unconditional=backbone.embed([negative or ""] * 2, unconditional=True),
        guidance=guidance,
    )
    assert given.unconditional is not None
    both = stack_rows(given.unconditional, given.embedding)
    with torch.no_grad():
        for sample, timestep, output in calls:
            torch.testing.assert_close(backbone.predict(sample, timestep, both), output, rtol=0, atol=0)
    assert len(calls) == steps

    schedule = ddim_schedule(backbone.alphas, steps, offset=1)
    *_, last = denoise(backbone, x_T, [given] * steps, schedule)
    torch.testing.assert_close(last.latents, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", ["pooled", "size"])
@torch.no_grad()
def test_what_is_beside_the_tokens_matters(change: str, backbone: StableDiffusion) -> None:
    """The network would not tell a picture's size from its latents alone: all convolutions, they know no size."""
    given = backbone.embed(["a red ball"])
    plain = backbone.predict(noise(1, 4, 16, 16), 500, given)
    if change == "pooled":
        assert given.pooled is not None
        other = backbone.predict(noise(1, 4, 16, 16), 500, Embedding(tokens=given.tokens, pooled=-given.pooled))
    else:
        sizes = backbone.unet.add_time_proj
        handle = sizes.register_forward_pre_hook(lambda _, args: (args[0] + 64,))
        other = backbone.predict(noise(1, 4, 16, 16), 500, given)
        handle.remove()
    assert (other - plain).abs().max() > 1e-3


def test_an_embedding_of_another_family_is_refused(backbone: StableDiffusion) -> None:
    tokens = backbone.embed(["a red ball"]).tokens
    with pytest.raises(ModelError, match="with a pooled vector for each prompt, got one without"):
        backbone.predict(noise(1, 4, 16, 16), 500, Embedding(tokens=tokens))


def test_half_precision_is_near(backbone: StableDiffusion) -> None:
    halved = StableDiffusionXL.from_pipeline(tiny.xl_pipeline().to(torch.bfloat16))
    given, x_t = backbone.embed(["a red ball"]), noise(1, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(halved.predict(x_t, 5, given), backbone.predict(x_t, 5, given), rtol=0, atol=0.1)
    assert halved.embed(["a red ball"]).tokens.dtype == torch.float32


# --- the autoencoder ------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_encode_and_decode_are_the_autoencoders(pipe: StableDiffusionXLPipeline, backbone: StableDiffusion) -> None:
    image = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    scale = pipe.vae.config["scaling_factor"]
    latents = cast(Any, pipe.vae.encode(2 * image - 1)).latent_dist.mean * scale
    torch.testing.assert_close(backbone.encode(image), latents, rtol=0, atol=0)
    pixels = cast(Any, pipe.vae.decode(latents / scale)).sample
    torch.testing.assert_close(backbone.decode(latents), (pixels / 2 + 0.5).clamp(0, 1), rtol=0, atol=1e-6)


def overflowing(*, force_upcast: bool) -> StableDiffusion:
    """In float16, with activations beyond its 65504, which normalisation takes back."""
    pipe = tiny.xl_pipeline()
    with torch.no_grad():
        pipe.vae.decoder.conv_in.weight.mul_(1e5)
        pipe.vae.encoder.conv_in.weight.mul_(1e5)
    pipe.vae.register_to_config(force_upcast=force_upcast)
    pipe.vae.to(torch.float16)
    return StableDiffusionXL.from_pipeline(pipe)


def test_an_autoencoder_that_overflows_works_in_float32() -> None:
    backbone = overflowing(force_upcast=True)
    before = {name: tensor.clone() for name, tensor in backbone.vae.state_dict().items()}
    exact = overflowing(force_upcast=True)
    cast(nn.Module, exact.vae).to(torch.float32)
    image, latents = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)), noise(1, 4, 8, 8)
    torch.testing.assert_close(backbone.encode(image), exact.encode(image), rtol=0, atol=0)
    torch.testing.assert_close(backbone.decode(latents), exact.decode(latents), rtol=0, atol=0)
    with pytest.raises(ModelError, match="latents are not finite"):
        backbone.decode(torch.full((1, 4, 8, 8), torch.nan))
    after = backbone.vae.state_dict()
    assert all(tensor.dtype == torch.float16 and torch.equal(tensor, before[name]) for name, tensor in after.items())


def test_an_autoencoder_that_need_not_stays_in_float16() -> None:
    with pytest.raises(ModelError, match=r"overflowed in torch\.float16"):
        overflowing(force_upcast=False).decode(noise(1, 4, 8, 8))


# --- what it is made of ---------------------------------------------------------------------------------------------


def test_a_users_pipeline_is_taken_as_it_is(pipe: StableDiffusionXLPipeline) -> None:
    backbone = load_backbone(pipe, dtype="bfloat16")
    assert isinstance(backbone, StableDiffusionXL)
    assert backbone.unet is pipe.unet
    assert backbone.text_encoder_2 is pipe.text_encoder_2
    assert pipe.unet.dtype == torch.float32
    assert all(parameter.requires_grad for parameter in pipe.unet.parameters())
    with pytest.raises(ModelError, match="takes no depth map"):
        load_backbone(pipe, depth=True)


def with_plain_unet(pipe: StableDiffusionXLPipeline) -> None:
    pipe.unet = tiny.unet()


def as_refiner(pipe: StableDiffusionXLPipeline) -> None:
    """SDXL's refiner takes five numbers beside the pooled prompt, the last of them an aesthetic score."""
    pipe.unet.register_to_config(projection_class_embeddings_input_dim=5 * 8 + tiny.POOLED)


def with_narrow_tokens(pipe: StableDiffusionXLPipeline) -> None:
    pipe.unet.register_to_config(cross_attention_dim=32)


def without_second_tokenizer(pipe: StableDiffusionXLPipeline) -> None:
    pipe.tokenizer_2 = None


def with_one_encoder_twice(pipe: StableDiffusionXLPipeline) -> None:
    pipe.text_encoder_2 = pipe.text_encoder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_plain_unet, "a U-Net without SDXL's additional embeddings"),
        (as_refiner, r"takes 80 additional channels, the size \(48\) and the pooled prompt \(40\) make 88"),
        (with_narrow_tokens, "takes prompt tokens of 32 channels, the text encoder makes 80"),
        (without_second_tokenizer, "a StableDiffusionXLPipeline without tokenizer_2"),
        (with_one_encoder_twice, "text_encoder_2 CLIPTextModel instead of CLIPTextModelWithProjection"),
    ],
)
def test_models_of_other_kinds_are_refused(change: Callable[[Any], None], message: str) -> None:
    pipe = tiny.xl_pipeline()
    change(pipe)
    with pytest.raises(ModelError, match=message):
        StableDiffusionXL.from_pipeline(pipe)
