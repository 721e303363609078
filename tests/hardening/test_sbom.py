"""The bill of materials names every model with its licence, and the weights that are there by their hashes."""

import hashlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stereodiffusion.models.cards import CARDS
from stereodiffusion.models.stored import WEIGHTS

pytest.importorskip("cyclonedx", reason="left out: cyclonedx-bom is not installed")
SCRIPT = Path(__file__).parents[2] / "scripts" / "sbom_models.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom_models", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_models_are_added_to_packages(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEREODIFFUSION_MODELS", str(tmp_path))
    package = {"type": "library", "name": "torch", "version": "2.6", "bom-ref": "torch"}
    bill = json.loads(
        script.with_models(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [package]}))
    )
    models = {each["name"]: each for each in bill["components"] if each["type"] == "machine-learning-model"}
    assert {each["name"] for each in bill["components"]} - models.keys() == {"torch"}
    assert models.keys() == {card.name for card in CARDS}
    for card in CARDS:
        licence: dict[str, Any] = models[card.name]["licenses"][0]["license"]
        assert card.licence in (licence.get("id"), licence.get("name"))
        assert models[card.name]["version"] == (card.revision or "embedded")
    (weights,) = models["photo-depth"]["components"]
    content = (WEIGHTS / "photo-depth" / "model.safetensors").read_bytes()
    assert weights["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
