"""One file in the original layout: every tensor in its place, the family told from the shapes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tests import tiny
from tests.models.backbones import original_layout
from tests.models.backbones.loaded import load_backbone
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from stereodiffusion.errors import ModelError
from stereodiffusion.models.backbones import single_file
from stereodiffusion.models.backbones.sd import StableDiffusion
from stereodiffusion.models.backbones.sdxl import StableDiffusionXL
from stereodiffusion.models.backbones.single_file import ask_prediction, clip_tokenizer

pytestmark = pytest.mark.long


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of tiny families in the place of the real ones."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "tokenizer").symlink_to(single_file.SETTINGS / "tokenizer")
    monkeypatch.setattr(single_file, "SETTINGS", tmp_path / "settings")
    return tmp_path / "settings"


def assert_same(backbone: StableDiffusion, parts: dict[str, nn.Module]) -> None:
    for name, part in parts.items():
        loaded = getattr(backbone, name).state_dict()
        assert loaded.keys() == part.state_dict().keys()
        for key, tensor in part.state_dict().items():
            torch.testing.assert_close(loaded[key], tensor, rtol=0, atol=0, msg=f"{name} {key}")


@pytest.mark.parametrize(
    ("family", "channels", "prediction"),
    [
        ("sd1", 4, "epsilon"),
        ("sd1", 9, "epsilon"),
        ("sd2", 4, "v_prediction"),
        ("sd2", 5, "epsilon"),
        ("sdxl", 4, "v_prediction"),
    ],
)
def test_every_tensor_arrives(
    family: original_layout.Family,
    channels: int,
    prediction: str,
    settings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    width = tiny.EMBEDDING + tiny.EMBEDDING_2 if family == "sdxl" else tiny.EMBEDDING
    monkeypatch.setattr(single_file, "FAMILIES", {width: family})
    parts = original_layout.save(tmp_path / "some-model.safetensors", settings, family, in_channels=channels)
    backbone = load_backbone(tmp_path / "some-model.safetensors", depth=channels == 5)
    assert_same(backbone, parts)
    assert backbone.name == "some-model"
    assert backbone.prediction == prediction
    assert backbone.embed(["a photo of a naïve astronaut"]).tokens.shape == (1, 77, width)
    assert backbone.tokenizer.pad_token == ("!" if family == "sd2" else "<|endoftext|>")
    assert isinstance(backbone, StableDiffusionXL) is (family == "sdxl")
    if isinstance(backbone, StableDiffusionXL):
        assert backbone.tokenizer_2.pad_token == "!"
        assert backbone.embed([""], unconditional=True).tokens.abs().max() == 0


def test_a_file_may_say_that_its_noise_levels_end_in_pure_noise(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_file, "FAMILIES", {tiny.EMBEDDING + tiny.EMBEDDING_2: "sdxl"})
    alphas: list[Tensor] = []
    for markers in ((), ("v_pred", "ztsnr")):
        original_layout.save(tmp_path / "model.safetensors", settings, "sdxl", markers=markers)
        alphas.append(load_backbone(tmp_path / "model.safetensors").alphas)
    assert alphas[0][-1] > 0.004
    assert alphas[1][-1] < 1e-6
    torch.testing.assert_close(alphas[1][:100], alphas[0][:100], rtol=0.01, atol=0)


def test_precision(settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_file, "FAMILIES", {32: "sd1"})
    original_layout.save(tmp_path / "model.safetensors", settings, "sd1")
    backbone = load_backbone(str(tmp_path / "model.safetensors"), dtype="bfloat16")
    assert {backbone.unet.dtype, backbone.vae.dtype, backbone.text_encoder.dtype} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("family", "prefix", "part"),
    [
        ("sd1", "first_stage_model", "autoencoder"),
        ("sd1", "cond_stage_model", "text encoder"),
        ("sdxl", "conditioner", "text encoder"),
    ],
)
def test_a_file_without_a_part(
    family: original_layout.Family,
    prefix: str,
    part: str,
    settings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single_file, "FAMILIES", {32: "sd1", tiny.EMBEDDING + tiny.EMBEDDING_2: "sdxl"})
    file = tmp_path / "model.safetensors"
    original_layout.save(file, settings, family)
    save_file({name: tensor for name, tensor in load_file(file).items() if not name.startswith(prefix)}, file)
    with pytest.raises(ModelError, match=f"model: expected a file with the whole model, got one without {part}"):
        load_backbone(file)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("lora_unet_down_blocks_0.lora_up.weight", "a LoRA; load it into a pipeline"),
        ("conditioner.embedders.0.weight", "SDXL's refiner or a part of SDXL"),
        ("double_blocks.0.weight", "a Flux model"),
        ("down_blocks.0.weight", "a part of a model in diffusers' layout"),
        ("encoder.down.0.weight", "an autoencoder alone"),
        ("anything", "something unknown"),
    ],
)
def test_other_files_are_named(key: str, kind: str, tmp_path: Path) -> None:
    save_file({key: torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=f"other: expected a Stable Diffusion .* got {kind}"):
        load_backbone(tmp_path / "other.safetensors")


def test_a_file_that_is_no_safetensors(tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"not a file of tensors")
    with pytest.raises(ModelError, match="expected safetensors, got a damaged or truncated file") as caught:
        load_backbone(tmp_path / "damaged.safetensors")
    assert "\n" not in str(caught.value)


def test_a_model_with_other_noise_levels_is_named(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_file, "FAMILIES", {tiny.EMBEDDING + tiny.EMBEDDING_2: "sdxl"})
    original_layout.save(tmp_path / "playground.safetensors", settings, "sdxl", markers=("edm_mean", "edm_std"))
    with pytest.raises(ModelError, match=r"playground: .* got a model with EDM's noise levels"):
        load_backbone(tmp_path / "playground.safetensors")


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_network_is_asked_what_it_predicts(kind: str) -> None:
    """The perfect answers for a world with one picture in it."""
    picture = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(9))
    alpha = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)

    class Perfect(UNet2DConditionModel):
        def forward(self, sample: Tensor, timestep: int, *_: Any, **__: Any) -> tuple[Tensor]:
            signal, noise = alpha[timestep].sqrt(), (1 - alpha[timestep]).sqrt()
            epsilon = (sample - signal * picture) / noise
            return (epsilon if kind == "epsilon" else signal * epsilon - noise * picture,)

    pipe = tiny.pipeline()
    pipe.unet = cast(Any, Perfect).from_config(pipe.unet.config)
    assert ask_prediction(StableDiffusion.from_pipeline(pipe)) == kind


@pytest.mark.parametrize(
    ("family", "unet", "text", "text_2"),
    [
        ("sd1", 859_520_964, 123_060_480, 0),
        ("sd2", 865_910_724, 340_387_840, 0),
        ("sdxl", 2_567_463_684, 123_060_480, 694_659_840),
    ],
)
def test_the_settings_are_stable_diffusions(family: str, unet: int, text: int, text_2: int) -> None:
    """As many parameters as the published models have."""

    def build(kind: Any, part: str) -> int:
        folder = str(single_file.SETTINGS / family / part)
        with torch.device("meta"):
            if kind in (CLIPTextModel, CLIPTextModelWithProjection):
                return sum(weights.numel() for weights in kind(CLIPTextConfig.from_pretrained(folder)).parameters())
            return sum(weights.numel() for weights in kind.from_config(kind.load_config(folder)).parameters())

    assert build(UNet2DConditionModel, "unet") == unet
    assert build(AutoencoderKL, "vae") == 83_653_863
    assert build(CLIPTextModel, "text_encoder") == text
    assert not text_2 or build(CLIPTextModelWithProjection, "text_encoder_2") == text_2


def test_the_tokenizer_is_clips() -> None:
    tokenizer = clip_tokenizer(pad_token="!")
    assert len(tokenizer) == 49_408
    assert tokenizer.pad_token_id == 0
    tokens = tokenizer("A photo of an astronaut riding a horse on Mars").input_ids
    assert tokens == [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496, 49407]
    assert (
        tokenizer.decode(tokenizer("naïve café №5, 日本").input_ids, skip_special_tokens=True)
        == "naïve café № 5 , 日本"
    )


# --- incomplete and unusual files -----------------------------------------------------------------------------------


@pytest.fixture
def sd1(settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small SD 1.x file, to be changed."""
    monkeypatch.setattr(single_file, "FAMILIES", {tiny.EMBEDDING: "sd1"})
    original_layout.save(tmp_path / "model.safetensors", settings, "sd1")
    return tmp_path / "model.safetensors"


def change(file: Path, edit: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    tensors = edit({name: tensor.clone() for name, tensor in load_file(file).items()})
    file.unlink()
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("part", "sign"),
    [
        ("the network", "output_blocks"),
        ("the network", "output_blocks.0.0.in_layers.0.weight"),
        ("the autoencoder", "decoder.up.0"),
        ("the autoencoder", "post_quant_conv.weight"),
        ("the text encoder", "layers.1."),
        ("the text encoder", "final_layer_norm.bias"),
    ],
)
def test_missing_tensors_are_not_made_up(part: str, sign: str, sd1: Path) -> None:
    change(sd1, lambda tensors: {name: tensor for name, tensor in tensors.items() if sign not in name})
    with pytest.raises(ModelError, match=rf"{part} of model is incomplete: .* missing, among them") as caught:
        load_backbone(sd1)
    assert "\n" not in str(caught.value)


def test_tensors_of_a_wrong_shape(sd1: Path) -> None:
    change(sd1, lambda tensors: tensors | {"model.diffusion_model.out.2.weight": torch.zeros(4, 8, 3, 3)})
    with pytest.raises(ModelError, match=r"network of model has 1 tensor of a wrong shape: conv_out.weight: expected"):
        load_backbone(sd1)


def test_names_with_a_prefix_are_refused_by_it(sd1: Path) -> None:
    change(sd1, lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()})
    with pytest.raises(ModelError, match=r"model: the names of its tensors begin with 'module\.'"):
        load_backbone(sd1)


def test_scaled_weights_are_refused(sd1: Path) -> None:
    name = "model.diffusion_model.out.2.scale_weight"
    change(sd1, lambda tensors: tensors | {name: torch.ones(1)})
    with pytest.raises(ModelError, match="quantised ones with scales beside them"):
        load_backbone(sd1)


def test_whole_numbers_are_no_weights(sd1: Path) -> None:
    name = "model.diffusion_model.out.2.weight"
    change(sd1, lambda tensors: tensors | {name: tensors[name].to(torch.int8)})
    with pytest.raises(ModelError, match=rf"model has quantised weights: {name} holds whole numbers \(I8\)"):
        load_backbone(sd1)


@pytest.mark.parametrize(
    ("markers", "prediction", "last"), [(("v_pred",), "v_prediction", 0.0047), (("v_pred", "ztsnr"), "v_prediction", 0)]
)
def test_markers_say_what_a_file_of_sd1_predicts(
    markers: tuple[str, ...], prediction: str, last: float, sd1: Path
) -> None:
    change(sd1, lambda tensors: tensors | {marker: torch.zeros(1) for marker in markers})
    backbone = load_backbone(sd1)
    assert backbone.prediction == prediction
    assert float(backbone.alphas[-1]) == pytest.approx(last, abs=1e-4)


@pytest.mark.parametrize("smooth", [True, False])
def test_a_network_of_sd1_predicts_the_velocity_only_if_it_plainly_does(smooth: bool) -> None:
    class Answer(UNet2DConditionModel):
        def forward(self, sample: Tensor, *_: Any, **__: Any) -> tuple[Tensor]:
            noise = torch.randn(sample.shape, generator=torch.Generator().manual_seed(4))
            return (torch.nn.functional.avg_pool2d(noise, 15, 1, 7) if smooth else noise,)

    pipe = tiny.pipeline()
    pipe.unet = cast(Any, Answer).from_config(pipe.unet.config)
    backbone = StableDiffusion.from_pipeline(pipe)
    assert ask_prediction(backbone, doubtful=False) == ("v_prediction" if smooth else "epsilon")
    assert ask_prediction(backbone) == "v_prediction"


def test_a_consistency_model_is_told_its_guidance(sd1: Path) -> None:
    told = torch.randn(16, 256, generator=torch.Generator().manual_seed(5))
    change(sd1, lambda tensors: tensors | {"model.diffusion_model.time_embed.cond_proj.weight": told})
    backbone = load_backbone(sd1)
    assert backbone.guidance_built_in
    projection: Any = backbone.unet.time_embedding.cond_proj
    assert torch.equal(projection.weight, told)
