"""Which estimator a picture gets where nobody says which."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from stereodiffusion.models.cards import find_card
from stereodiffusion.models.estimators.choosing import choose

CARD = find_card("depth-anything-v2-small")


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path / "by-hand"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def test_what_is_asked_for_is_taken() -> None:
    assert choose("dpt-large").name == "dpt-large"
    assert choose(Path("here/mine")).name == "here/mine"


def test_toybox_has_its_own_for_what_it_draws_and_not_for_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert choose("auto", drawn_by="toybox").name == "toybox-depth"
    assert choose("auto", drawn_by="sd1.5").name == "photo-depth"
    assert choose("auto").name == "photo-depth"


def test_the_weights_on_disk_are_taken_without_a_word(tmp_path: Path) -> None:
    assert CARD is not None
    folder = tmp_path / "by-hand" / str(CARD.repository)
    folder.mkdir(parents=True)
    for file in CARD.files:
        (folder / file).touch()
    found = choose("auto")
    assert (found.name, found.note) == ("depth-anything-v2-small", None)


def test_a_download_that_fails_half_way_leaves_the_embedded_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Hub:
        def __init__(self, token: str | None = None) -> None:
            del token

        def model_info(self, repository: str, **asked: Any) -> Any:
            files = [("config.json", 900), ("model.safetensors", 99_000_000), ("README.md", 5_000_000)]
            return type("Info", (), {"siblings": [type("F", (), {"rfilename": n, "size": s}) for n, s in files]})

    def download(repository: str, *, local_files_only: bool = False, allow_patterns: Any = None, **_: Any) -> str:
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("nothing there yet")
        folder = tmp_path / "cache" / "half"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        if allow_patterns != ["config.json"]:
            (folder / "model.safetensors.incomplete").write_bytes(b"half")
            raise ConnectionResetError("connection reset by peer")
        return str(folder)

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with caplog.at_level("INFO", "stereodiffusion"):
        found = choose("auto")
    assert found.name == "photo-depth"
    assert found.note is not None
    assert "cannot be fetched (connection reset by peer)" in found.note
    assert "\n" not in found.note
    said = "fetching depth-anything/Depth-Anything-V2-Small-hf from the Hugging Face hub (99 MB)"
    assert [record.getMessage() for record in caplog.records] == [said]
