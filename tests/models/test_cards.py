"""The cards say what is needed to load a model, and loading them needs none of the heavy libraries."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from huggingface_hub import constants

from stereodiffusion.models import cards, stored
from stereodiffusion.models.cards import CARDS, ModelCard, find_card
from stereodiffusion.models.stored import on_disk
from stereodiffusion.settings import Mode
from stereodiffusion.settings.presets import preset, preset_names


@pytest.fixture(autouse=True)
def _empty_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path / "by-hand"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(stored, "WEIGHTS", tmp_path / "weights")


def write(card: ModelCard, folder: Path, *, without: str = "") -> None:
    for file in card.files:
        if file != without:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(bytes(1000))


def test_importing_the_cards_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'diffusers', 'transformers', 'huggingface_hub', 'numpy'}"
    program = f"import sys, stereodiffusion.models.cards; sys.exit(', '.join({heavy} & sys.modules.keys()) or None)"
    source = str(Path(cards.__file__).parents[2])
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": source})
    assert answer.returncode == 0, answer.stderr


def test_names_are_unique_and_found() -> None:
    assert len({card.name for card in CARDS}) == len(CARDS)
    for card in CARDS:
        assert find_card(card.name) is card
        if card.repository is not None:
            assert find_card(card.repository) is card
    assert find_card("sd9") is None


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_complete(card: ModelCard) -> None:
    assert card.licence
    assert card.note
    assert any(file.endswith(".safetensors") for file in card.files)
    assert not any(file.endswith((".bin", ".ckpt", ".pt")) for file in card.files)
    if card.repository is None:
        assert card.revision is None
        assert card.download_mb == 0
    else:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", card.repository)
        assert card.download_mb > 50


def test_all_but_the_converted_model_are_pinned_to_a_commit() -> None:
    (loose,) = (card for card in CARDS if not card.pinned)
    assert loose.name == "dpt-hybrid-midas"
    assert "not pinned to a commit" in loose.note


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_what_is_on_disk(card: ModelCard, tmp_path: Path) -> None:
    assert on_disk(card) is None
    folder = tmp_path / "weights" / "toybox"
    if card.repository is not None:
        folder = tmp_path / "by-hand" / card.repository
    elif card.name == "photo-depth":
        folder = tmp_path / "weights" / "photo-depth"
    elif card.kind == "depth-estimator":
        folder = folder / "depth"
    write(card, folder, without=card.files[-1])
    assert on_disk(card) is None  # an interrupted download is no model
    write(card, folder)
    found = on_disk(card)
    assert found is not None
    assert found.folder == folder
    assert found.size_mb == pytest.approx(len(card.files) / 1000)


def test_the_estimator_inside_the_embedded_folder_is_not_counted(tmp_path: Path) -> None:
    toybox, estimator = find_card("toybox"), find_card("toybox-depth")
    assert toybox is not None
    assert estimator is not None
    write(toybox, tmp_path / "weights" / "toybox")
    write(estimator, tmp_path / "weights" / "toybox" / "depth")
    found = on_disk(toybox)
    assert found is not None
    assert found.size_mb == pytest.approx(len(toybox.files) / 1000)


def test_the_hubs_cache_by_commit_and_by_branch(tmp_path: Path) -> None:
    pinned, branch = find_card("dpt-large"), find_card("dpt-hybrid-midas")
    assert pinned is not None
    assert branch is not None
    cached = tmp_path / "hub" / "models--Intel--dpt-large" / "snapshots" / str(pinned.revision)
    write(pinned, cached)
    found = on_disk(pinned)
    assert found is not None
    assert found.folder == cached

    cached = tmp_path / "hub" / "models--Intel--dpt-hybrid-midas"
    write(branch, cached / "snapshots" / ("a" * 40))
    assert on_disk(branch) is None
    (cached / "refs" / "refs" / "pr").mkdir(parents=True)
    (cached / "refs" / "refs" / "pr" / "5").write_text("a" * 40)
    found = on_disk(branch)
    assert found is not None
    assert found.folder == cached / "snapshots" / ("a" * 40)


def test_the_folder_for_models_put_there_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEREODIFFUSION_MODELS", "~/models")
    assert stored.models_folder() == Path.home() / "models"
    monkeypatch.delenv("STEREODIFFUSION_MODELS")
    assert stored.models_folder() == Path.home() / ".cache" / "stereodiffusion" / "models"


@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_preset_takes_the_guidance_of_the_card_where_the_model_draws(mode: Mode) -> None:
    (toybox,) = (card for card in CARDS if card.name == "toybox")
    assert toybox.suits == {"guidance.scale": 4.0}
    for name in preset_names():
        plain = preset(name, mode)
        drawing = name != "paper" and mode != "photo"
        expected = plain.changed(toybox.suits) if drawing else plain
        assert cards.preset_for("toybox", name, mode) == expected
        for unsaid in ("sd1.5", "organisation/model", Path("toybox"), object()):
            assert cards.preset_for(unsaid, name, mode) == plain


def test_what_nobody_has_measured_is_no_preset_but_can_be_asked_for() -> None:
    diffusion = [card for card in CARDS if card.kind != "depth-estimator"]
    assert {card.name for card in diffusion if not card.untried} == {"toybox"}  # its late start is measured
    for card in diffusion:
        for mode in get_args(Mode):
            late = cards.preset_for(card.name, "best", mode)
            assert late.shift.at == 0.8
            early = late.changed(card.untried)
            assert early.shift_index <= late.shift_index
            assert (early == late) == (card.name == "toybox")


def test_a_repository_is_its_card() -> None:
    by_repository = cards.preset_for("stabilityai/sdxl-turbo", "fast", "text")
    by_name = cards.preset_for("sdxl-turbo", "best", "text")
    for turbo in (by_repository, by_name):
        assert (turbo.guidance.scale, turbo.sampling.steps, turbo.sampling.spacing) == (1, 4, "trailing")
