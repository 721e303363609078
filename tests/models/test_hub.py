"""What of a repository is fetched, in which order, and by which of the hub's habits."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects
from tests import tiny

from stereodiffusion.errors import ConfigError, ModelError, ModelUnavailableError
from stereodiffusion.models.backbones.locating import locate
from stereodiffusion.models.hub import Hub
from stereodiffusion.models.origin import origin_of

PARTS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


class TheHub:
    """A hub with one repository, which notes what is asked of it."""

    def __init__(self, folder: Path, files: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fetched: list[set[str]] = []
        self._folder, self._files = folder, files
        monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path / "by-hand"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda token=None: SimpleNamespace(model_info=self._info))
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self._download)

    def _info(self, repository: str, **_: Any) -> Any:
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in self._files])

    def _download(
        self, repository: str, *, allow_patterns: list[str] | None = None, local_files_only: bool = False, **asked: Any
    ) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("nothing there yet")
        self.asked.append({"repository": repository, **asked})
        self.fetched.append(set(filter_repo_objects(self._files, allow_patterns=allow_patterns)))
        return str(self._folder)


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_index_is_fetched_first_and_other_classes_are_refused_by_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flux").mkdir()
    (tmp_path / "flux" / "model_index.json").write_text('{"_class_name": "FluxFillPipeline"}')
    hub = TheHub(tmp_path / "flux", files_of(folder), monkeypatch, tmp_path)
    with pytest.raises(ModelError, match="got a FluxFillPipeline"):
        locate("someone/flux")
    assert hub.fetched == [{"model_index.json"}]


def test_a_repository_with_pickles_alone_is_refused_before_it_is_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {file.replace(".safetensors", ".bin") for file in files_of(folder)}
    hub = TheHub(folder, files, monkeypatch, tmp_path)
    with pytest.raises(ModelError, match="someone/model has pickled weights only"):
        locate("someone/model")
    assert hub.fetched == [{"model_index.json"}]


def test_other_variants_are_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {file.replace(".safetensors", ".non_ema.safetensors") for file in files_of(folder)}
    TheHub(folder, files, monkeypatch, tmp_path)
    with pytest.raises(ModelError, match=r"no plain weights, but those of: non_ema \(in Python: hub=Hub"):
        locate("someone/model")


def test_a_variant_is_fetched_if_it_is_wanted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = files_of(folder)
    fp16 = {file.replace(".safetensors", ".fp16.safetensors") for file in plain if file.endswith(".safetensors")}
    hub = TheHub(folder, plain | fp16, monkeypatch, tmp_path)
    with pytest.raises(ModelError, match="no weights of the variant fp16"):  # this folder has the plain ones alone
        locate("someone/model", Hub(variant="fp16"))
    assert {file for file in hub.fetched[-1] if file.endswith(".safetensors")} == fp16


@pytest.mark.parametrize(
    ("name", "hub"), [("someone/model@v2", Hub(cache_dir="/there")), ("someone/model", Hub(revision="v2", token="t"))]
)
def test_a_revision_is_fetched_as_it_is_asked_for(
    name: str, hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = TheHub(folder, files_of(folder), monkeypatch, tmp_path)
    assert locate(name, hub) == (name, folder)
    expected = {"repository": "someone/model", "revision": "v2", "token": hub.token, "cache_dir": hub.cache_dir}
    assert there.asked == [expected] * 2


def test_the_revision_of_a_card_gives_way_to_the_one_that_is_asked_for() -> None:
    assert origin_of("sd1.4").hub.revision == "133a221b8aa7292a167afc5127cb63fb5005638b"
    assert origin_of("sd1.4@main").hub.revision == "main"
    assert origin_of("sd1.4", Hub(revision="main")).hub.revision == "main"
    with pytest.raises(ConfigError, match="expected one revision, got main and v2"):
        origin_of("sd1.4@main", Hub(revision="v2"))


def test_what_is_on_this_machine_has_no_revisions(folder: Path) -> None:
    with pytest.raises(ConfigError, match="only models of the hub have revisions"):
        origin_of(folder, Hub(revision="main"))


def test_local_files_only(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = TheHub(folder, files_of(folder), monkeypatch, tmp_path)
    with pytest.raises(ModelUnavailableError, match=r"cannot be fetched \(local_files_only is set\); put"):
        locate("someone/model", Hub(local_files_only=True))
    assert not hub.fetched


@pytest.mark.parametrize("wrong", [{"revision": ""}, {"variant": "a/b"}, {"revision": "a\nb"}, {"variant": ".fp16"}])
def test_habits_that_make_no_sense(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Hub(**wrong)  # pyright: ignore[reportArgumentType]
