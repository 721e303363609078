"""What is loaded, what is refused, and what the refusals say."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from jaxtyping import TypeCheckError
from safetensors.torch import load_file, save_file

from stereodiffusion.errors import ConfigError, ModelError, ModelUnavailableError
from stereodiffusion.models.cards import find_card
from stereodiffusion.models.estimators import MonocularDepth, load_depth_estimator
from stereodiffusion.models.estimators.locating import locate


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub switched off, its cache empty, and an empty folder for models put there by hand."""
    monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path / "by-hand"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "by-hand"


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A DPT that a test may damage."""
    return Path(shutil.copytree(folders["dpt"], tmp_path / "dpt"))


def test_a_folder(folders: dict[str, Path]) -> None:
    assert load_depth_estimator(str(folders["dpt"])).name == "dpt"
    loaded = load_depth_estimator(folders["dpt"])
    assert isinstance(loaded, MonocularDepth)
    assert loaded.predicts == "inverse-depth"


def test_a_precision_that_does_not_exist(folders: dict[str, Path]) -> None:
    with pytest.raises((ConfigError, TypeCheckError)):
        load_depth_estimator(folders["dpt"], dtype="float8")  # pyright: ignore[reportArgumentType]


def test_offline_says_where_to_put_it_and_what_to_use_instead(offline: Path) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        load_depth_estimator("Intel/dpt-large")
    message = str(caught.value)
    assert message.startswith("Intel/dpt-large is not on disk and cannot be fetched (HF_HUB_OFFLINE is set)")
    assert str(offline / "Intel" / "dpt-large") in message
    assert message.endswith("or use the embedded photo-depth")
    assert "\n" not in message


def test_a_hub_that_does_not_answer_is_asked_once(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads would try again for half a minute, and print each time."""

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    def cached_only(*_: object, local_files_only: bool = False, **__: object) -> str:
        assert local_files_only, "a download was begun"
        raise LocalEntryNotFoundError("nothing there")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached_only)
    with pytest.raises(ModelUnavailableError, match=r"cannot be fetched \(Name or service not known\); put"):
        load_depth_estimator("Intel/dpt-large")


def test_offline_by_the_name_of_a_card(offline: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="Intel/dpt-hybrid-midas is not on disk and cannot be fetched"):
        load_depth_estimator("dpt-hybrid-midas")


def test_the_cache_of_the_hub_is_enough(offline: Path, tmp_path: Path, folders: dict[str, Path]) -> None:
    card = find_card("depth-anything-v2-small")
    assert card is not None
    assert card.revision is not None
    shutil.copytree(
        folders["depth-anything"],
        tmp_path / "cache" / "models--depth-anything--Depth-Anything-V2-Small-hf" / "snapshots" / card.revision,
    )
    assert load_depth_estimator(card.name).name == card.name


def test_a_model_put_there_by_hand(offline: Path, folders: dict[str, Path]) -> None:
    shutil.copytree(folders["dpt"], offline / "Intel" / "dpt-large")
    estimator = load_depth_estimator("Intel/dpt-large")
    assert estimator.name == load_depth_estimator("dpt-large").name == "dpt-large"
    assert estimator(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 32, 32)


@pytest.mark.parametrize("name", ["/nowhere/dpt", "./dpt-of-mine", "models/depth/dpt"])
def test_a_folder_that_is_not_there(name: str, offline: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=f"there is no folder {name}"):
        locate(name)


@pytest.mark.parametrize("name", ["dpt", "not a repository"])
def test_a_name_that_means_nothing(name: str) -> None:
    with pytest.raises(ModelError, match=f"there is no depth estimator '{name}'; there are toybox-depth, photo-depth"):
        load_depth_estimator(name)


def test_a_model_that_estimates_no_depth() -> None:
    with pytest.raises(ModelError, match=r"sd1\.5 is no depth estimator; there are toybox-depth"):
        load_depth_estimator("sd1.5")


@pytest.mark.parametrize("name", ["no/such?name", "no/such name"])
def test_a_name_that_the_hub_cannot_have(name: str, offline: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="cannot be fetched"):
        load_depth_estimator(name)


@pytest.mark.parametrize("name", ["dpt.pt", "weights/dpt_hybrid.ckpt", "pytorch_model.bin"])
def test_pickles_are_refused_by_name(name: str) -> None:
    with pytest.raises(ModelError, match="loading a pickle can run code"):
        load_depth_estimator(name)


def test_pickles_in_a_folder_are_refused(copy: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    load_depth_estimator(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="dpt has pickled weights only, which are refused"):
        load_depth_estimator(copy)


def test_a_single_file_is_not_a_depth_estimator(copy: Path) -> None:
    with pytest.raises(ModelError, match="is a folder in transformers' format, got the file"):
        load_depth_estimator(copy / "model.safetensors")


def test_without_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"there is no \*.safetensors in"):
        load_depth_estimator(copy)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "has no config.json"), ("{", "cannot be read"), ("[]", "must hold an object")]
)
def test_without_a_configuration(content: str | None, message: str, copy: Path) -> None:
    (copy / "config.json").unlink()
    if content is not None:
        (copy / "config.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        load_depth_estimator(copy)


def test_without_an_image_processor(copy: Path) -> None:
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="the image processor of dpt cannot be loaded"):
        load_depth_estimator(copy)


def test_a_family_that_is_not_known(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "clip"}))
    with pytest.raises(ModelError, match="of the family 'clip', of which it is not known"):
        load_depth_estimator(copy)
    with pytest.raises(ModelError, match="cannot be loaded as a depth estimator"):
        load_depth_estimator(copy, predicts="depth")


def test_incomplete_weights_are_not_made_up(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    unused = [key for key in weights if key.startswith("neck.fusion_stage.layers.0.residual_layer1.")]
    assert unused
    for key in unused:  # the published files of DPT lack them
        del weights[key]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    load_depth_estimator(copy)
    del weights["head.head.0.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"incomplete: 1 tensor missing, among them head\.head\.0\.weight"):
        load_depth_estimator(copy)


def test_damaged_weights(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="expected safetensors, got a damaged or truncated file"):
        load_depth_estimator(copy)


def test_loading_is_quiet_and_leaves_the_settings(folders: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_depth_estimator(folders["dpt"])
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_the_global_generator_is_left_alone(folders: dict[str, Path]) -> None:
    before = torch.get_rng_state()
    load_depth_estimator(folders["dpt"])(torch.zeros(1, 3, 64, 64))
    assert torch.equal(torch.get_rng_state(), before)
