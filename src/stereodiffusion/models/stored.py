"""The models that need no network: with the package, put there by hand, or in the hub's cache. Nothing is loaded."""

import os
from dataclasses import dataclass
from pathlib import Path

from stereodiffusion.models.cards import ModelCard

WEIGHTS = Path(__file__).parents[1] / "weights"
"""The folder of the embedded models."""

_EMBEDDED = {"toybox": "toybox", "toybox-depth": "toybox/depth", "photo-depth": "photo-depth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisk:
    """A model that needs no network: its folder, and the room it takes there in megabytes of 10^6 bytes."""

    folder: Path
    size_mb: float


def models_folder() -> Path:
    """Where models may be put by hand, as `organisation/name`: `STEREODIFFUSION_MODELS`, or in the user's cache."""
    given = os.environ.get("STEREODIFFUSION_MODELS")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "stereodiffusion" / "models"


def on_disk(card: ModelCard) -> OnDisk | None:
    """Where all files of a model are already: with the package, put there by hand, or in the hub's cache."""
    for folder in _candidates(card):
        if all((folder / file).is_file() for file in card.files):
            return OnDisk(folder=folder, size_mb=_size_mb(folder, card.files))
    return None


def _candidates(card: ModelCard) -> list[Path]:
    if card.repository is None or card.revision is None:
        return [WEIGHTS / _EMBEDDED[card.name]]
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = Path(HF_HUB_CACHE) / f"models--{card.repository.replace('/', '--')}"
    branch = cached / "refs" / card.revision
    commit = branch.read_text(encoding="utf-8").strip() if branch.is_file() else card.revision
    return [models_folder() / card.repository, cached / "snapshots" / commit]


def _size_mb(folder: Path, files: tuple[str, ...]) -> float:
    """Of all files of the parts that the model has: of `unet`, say, also those that are not needed."""
    parts = {folder / Path(file).parts[0] for file in files}
    inside = [file for part in parts for file in (part.rglob("*") if part.is_dir() else [part])]
    return sum(file.stat().st_size for file in inside if file.is_file()) / 1e6
