"""Folders that are no model, or not all of one: refused in one line, before anything waits, runs or is made up."""

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests import tiny
from tests.models.backbones.loaded import load_backbone

from stereodiffusion.errors import ModelError

pytestmark = pytest.mark.long

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def weights_of(folder: Path, part: str) -> Path:
    return next((folder / part).glob("*.safetensors"))


def change(file: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write other tensors in the place of a file, which may still be mapped into memory."""
    tensors = edit({name: tensor.clone() for name, tensor in load_file(file).items()})
    file.unlink()
    save_file(tensors, file, {"format": "pt"})


def replaced(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_backbone(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


# --- incomplete weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_missing_tensors_are_not_made_up(part: str, copy: Path) -> None:
    file = weights_of(copy, part)
    name = sorted(load_file(file))[3]
    change(file, lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name})
    assert refusal(copy) == f"copy/{part} is incomplete: 1 tensor missing, among them {name}"


def test_half_a_network_is_not_made_up(copy: Path) -> None:
    file = weights_of(copy, "unet")
    change(file, lambda tensors: {key: tensor for key, tensor in tensors.items() if not key.startswith("up_blocks")})
    assert "tensors missing, among them up_blocks.0" in refusal(copy)


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
@pytest.mark.parametrize("prefix", ["model.", "module."])
def test_names_with_a_prefix_are_refused_by_it(part: str, prefix: str, copy: Path) -> None:
    change(weights_of(copy, part), lambda tensors: {prefix + key: tensor for key, tensor in tensors.items()})
    assert f"copy/{part}: the names of its tensors begin with '{prefix}" in refusal(copy)


def test_tensors_of_a_wrong_shape(copy: Path) -> None:
    change(weights_of(copy, "unet"), lambda tensors: tensors | {"conv_out.weight": torch.zeros(3, 5)})
    message = "copy/unet has 1 tensor of a wrong shape, among them conv_out.weight: expected (4, 16, 3, 3), got (3, 5)"
    assert refusal(copy) == message


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors | {"conv_in.scale_weight": torch.ones(1)}, "quantised ones with scales beside them"),
        (lambda tensors: tensors | {"conv_in.weight": torch.zeros(16, 4, 3, 3, dtype=torch.int8)}, "quantised weights"),
        (lambda tensors: tensors | {"conv_in.weight": torch.full((16, 4, 3, 3), torch.nan)}, "not finite"),
    ],
)
def test_weights_that_are_no_plain_numbers(edit: Any, message: str, copy: Path) -> None:
    change(weights_of(copy, "unet"), edit)
    assert message in refusal(copy)


def test_plain_fp8_is_loaded(copy: Path) -> None:
    expected = load_file(weights_of(copy, "unet"))["conv_out.weight"].to(torch.float8_e4m3fn).float()
    change(weights_of(copy, "unet"), lambda tensors: {key: t.to(torch.float8_e4m3fn) for key, t in tensors.items()})
    torch.testing.assert_close(load_backbone(copy).unet.conv_out.weight, expected, rtol=0, atol=0)


# --- words ----------------------------------------------------------------------------------------------------------


def test_an_empty_vocabulary_is_none(copy: Path) -> None:
    shutil.rmtree(copy / "tokenizer")
    (copy / "tokenizer").mkdir()
    assert "copy/tokenizer has no vocabulary: there is no vocab.json and no merges.txt in" in refusal(copy)


def test_a_vocabulary_without_words(copy: Path) -> None:
    shutil.rmtree(copy / "tokenizer")
    (copy / "tokenizer").mkdir()
    (copy / "tokenizer" / "vocab.json").write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1}')
    (copy / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    assert "expected words, got 2 tokens without any" in refusal(copy)


def test_a_vocabulary_without_merges(copy: Path) -> None:
    words = json.loads((copy / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    shutil.rmtree(copy / "tokenizer")
    (copy / "tokenizer").mkdir()
    (copy / "tokenizer" / "vocab.json").write_text(json.dumps(words))
    (copy / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    assert "no merges for its vocabulary" in refusal(copy)


def test_a_vocabulary_of_another_model(copy: Path) -> None:
    config = copy / "text_encoder" / "config.json"
    rows = json.loads(config.read_text())["vocab_size"] - 1
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": rows}))

    def shortened(tensors: dict[str, Any]) -> dict[str, Any]:
        name = next(key for key in tensors if key.endswith("token_embedding.weight"))
        return tensors | {name: tensors[name][:rows].clone()}

    change(weights_of(copy, "text_encoder"), shortened)
    assert f"the text encoder knows {rows}: they are of two models" in refusal(copy)


# --- other files in the place of weights ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><body>Not found", "a web page in its place"),
        (b"\n <HTML>", "a web page in its place"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3", "a pointer of Git LFS in its place"),
        (pickle.dumps({"a": 1}), "a pickle by that name, which is refused"),
        (b"PK\x03\x04 and so on", "a pickle by that name, which is refused"),
        (b'{"error": "not found"}', "a text in its place"),
        (b"GGUF\x03", "a GGUF file by that name"),
        (b"", "an empty file"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{}", "a damaged or truncated file"),
    ],
)
def test_what_is_no_safetensors_is_named(content: bytes, message: str, copy: Path) -> None:
    replaced(weights_of(copy, "unet"), content)
    assert f"expected safetensors, got {message}" in refusal(copy)


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def link(target: str) -> Damage:
    def make(file: Path) -> None:
        file.unlink()
        file.symlink_to(target)

    return make


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (pipe, "expected a regular file, got a pipe"),
        (link("/dev/zero"), "expected a regular file, got a device"),
        (link("/etc/passwd"), "leads out of the model's folder"),
    ],
)
@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer.json",
        "vae/*.safetensors",
    ],
)
def test_files_that_are_not_plain_ones_of_the_folder(damage: Damage, message: str, file: str, copy: Path) -> None:
    damage(next(copy.glob(file)))
    assert message in refusal(copy)


def test_links_in_the_cache_of_the_hub_are_followed(whole: Path, tmp_path: Path) -> None:
    """Snapshots are links to the repository's blobs, and these may be links to blobs that repositories share."""
    blobs, shared = tmp_path / "hub" / "models--a--b" / "blobs", tmp_path / "hub" / "blobs" / "00"
    snapshot = blobs.parent / "snapshots" / "1234"
    for folder in (blobs, shared):
        folder.mkdir(parents=True)
    for number, file in enumerate(path for path in whole.rglob("*") if path.is_file()):
        target = snapshot / file.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, (shared if number % 2 else blobs) / str(number))
        if number % 2:
            (blobs / str(number)).symlink_to(os.path.relpath(shared / str(number), blobs))
        target.symlink_to(os.path.relpath(blobs / str(number), target.parent))
    assert load_backbone(snapshot).name == "1234"


# --- what an index or a configuration names -------------------------------------------------------------------------


def sharded(folder: Path, name: object) -> Path:
    """A network whose index names one file; the true shard lies beside it, and so does a pickle."""
    whole = weights_of(folder, "unet")
    shard = whole.with_name("diffusion_pytorch_model-00001-of-00001.safetensors")
    tensors = load_file(whole)
    whole.rename(shard)
    torch.save(tensors, folder / "unet" / "x.bin")
    shutil.copy(shard, folder / "other.safetensors")
    index = whole.with_name("diffusion_pytorch_model.safetensors.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(tensors, name)}))
    return index


def test_shards_are_loaded(copy: Path) -> None:
    expected = load_file(weights_of(copy, "unet"))
    sharded(copy, "diffusion_pytorch_model-00001-of-00001.safetensors")
    loaded = load_backbone(copy).unet.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.items())


@pytest.mark.parametrize(
    "name",
    ["../other.safetensors", "/etc/passwd", "x.bin", "..\\x.safetensors", "a/../x.safetensors", 3, None, ["x"]],
)
def test_an_index_names_safetensors_beside_it_alone(name: object, copy: Path) -> None:
    sharded(copy, name)
    assert "index.json: expected names of .safetensors files in the same folder, got" in refusal(copy)


def test_an_index_of_what_is_not_there(copy: Path) -> None:
    sharded(copy, "diffusion_pytorch_model-00002-of-00002.safetensors")
    assert "names diffusion_pytorch_model-00002-of-00002.safetensors, which is not there" in refusal(copy)


@pytest.mark.parametrize("content", ["{}", "[]", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_without_names(content: str, copy: Path) -> None:
    sharded(copy, "x").write_text(content)
    assert "index.json" in refusal(copy)


@pytest.mark.parametrize("name", ["/etc/passwd", "../vae/config.json", 3])
def test_a_tokenizer_names_files_beside_it_alone(name: object, copy: Path) -> None:
    config = copy / "tokenizer" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_file": name}))
    assert "expected vocab_file to name a file in the same folder" in refusal(copy)


@pytest.mark.parametrize(
    "file",
    ["model_index.json", "unet/config.json", "tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json"],
)
@pytest.mark.parametrize("depth", [40, 35_000])
def test_deep_nesting(depth: int, file: str, copy: Path) -> None:
    (copy / file).write_text('{"a":' * depth + "1" + "}" * depth)
    assert "deep" in refusal(copy)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("unet", {"layers_per_block": 1_000_000}, "layers_per_block = 1e+06 is out of reason"),
        ("unet", {"cross_attention_dim": 10**12}, "cross_attention_dim = 1e+12 is out of reason"),
        ("unet", {"block_out_channels": "wide"}, "expected block_out_channels to be"),
        ("unet", {"sample_size": -8}, "expected a picture size above 0, got -64 x -64"),
        ("unet", {"encoder_hid_dim_type": "image_proj", "encoder_hid_dim": 8}, "copy/unet is incomplete"),
        ("unet", {"quantization_config": {"load_in_8bit": True}}, "a network that is all in its folder"),
        ("vae", {"scaling_factor": "small"}, "expected scaling_factor to be float, got 'small'"),
        ("vae", {"scaling_factor": 0}, "not finite"),
        ("text_encoder", {"num_hidden_layers": 500_000}, "num_hidden_layers = 500000 is out of reason"),
        ("text_encoder", {"hidden_act": "nothing"}, "copy cannot be loaded as"),
        ("scheduler", {"num_train_timesteps": 10**9}, "expected num_train_timesteps between 1 and 10000"),
        ("scheduler", {"trained_betas": "none"}, "expected trained_betas to be"),
        ("scheduler", {"beta_end": -1.0}, "copy"),
        ("scheduler", {"prediction_type": "sample"}, "got a model that predicts 'sample'"),
    ],
)
def test_settings_that_fit_no_weights(file: str, changes: dict[str, Any], message: str, copy: Path) -> None:
    path = copy / file / ("scheduler_config.json" if file == "scheduler" else "config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert message in refusal(copy)


def test_a_network_that_does_not_say_its_size_has_diffusers_default(copy: Path) -> None:
    path = copy / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sample_size": None}))
    assert load_backbone(copy).native_size == (512, 512)


_VALUES: list[Any] = [None, "x", "", -1, 0, 3, 1e308, 10**6, 2**70, True, [], [1], {}, {"a": 1}, [[1]], -0.5, "../../x"]


def test_whatever_a_configuration_says_the_model_works_or_is_refused(whole: Path, tmp_path: Path) -> None:
    generator = random.Random(0)
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*.json")) if path.name != "tokenizer.json"]
    for case in range(16):
        folder = Path(shutil.copytree(whole, tmp_path / str(case)))
        file = folder / generator.choice(files)
        settings = json.loads(file.read_text())
        name = generator.choice(sorted(settings))
        if generator.random() < 0.2:
            del settings[name]
        else:
            settings[name] = generator.choice(_VALUES)
        file.write_text(json.dumps(settings))
        try:
            backbone = load_backbone(folder)
        except ModelError:
            continue
        assert backbone.decode(torch.zeros(1, 4, 8, 8)).isfinite().all()
        assert backbone.embed(["a red ball"]).tokens.isfinite().all()
