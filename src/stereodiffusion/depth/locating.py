"""Where the files of a depth estimator are: with the package, in a folder, in the hub's cache or on the hub."""

from pathlib import Path

from stereodiffusion.cards import CARDS, ModelCard, find_card, models_folder, on_disk
from stereodiffusion.errors import ModelError, ModelUnavailableError
from stereodiffusion.hub import PICKLES, fetch, pickle_refused

EMBEDDED = "toybox-depth"
"""The estimator that comes with the package."""

_ALTERNATIVE = f"use the embedded {EMBEDDED}"
_FILES = ["config.json", "preprocessor_config.json", "processor_config.json", "*.safetensors", "*.index.json"]


def locate(name_or_path: str | Path) -> tuple[str, Path]:
    """The model's name and the folder that holds its files, which are fetched if they have to be.

    Raises:
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If only pickled weights are there, or the name means nothing.
    """
    card = find_card(str(name_or_path))
    if card is not None:
        return card.name, _checked(card.name, _of_card(card))
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if path.suffix in PICKLES:
        raise pickle_refused(name)
    if path.is_dir():
        return path.resolve().name, _checked(name, path)
    if path.is_file():
        raise ModelError(f"a depth estimator is a folder in transformers' format, got the file {name}")
    if isinstance(name_or_path, Path) or path.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise ModelUnavailableError(f"there is no folder {name}; {_ALTERNATIVE}")
    if "/" not in name:
        raise ModelError(f"there is no depth estimator {name!r}; there are {_known()}, and those of the hub")
    return name, _checked(name, _of_repository(name, None))


def _of_card(card: ModelCard) -> Path:
    if card.kind != "depth-estimator":
        raise ModelError(f"{card.name} is no depth estimator; there are {_known()}, and those of the hub")
    found = on_disk(card)
    if found is not None:
        return found.folder
    if card.repository is None:
        raise ModelUnavailableError(f"{card.name} is missing from this installation, which is incomplete")
    return _of_repository(card.repository, card.revision)


def _of_repository(repository: str, revision: str | None) -> Path:
    by_hand = models_folder() / repository
    return by_hand if by_hand.is_dir() else _fetch(repository, revision, by_hand)


def _checked(name: str, folder: Path) -> Path:
    if not any(folder.glob("*.safetensors")):
        if any(file.suffix in PICKLES for file in folder.iterdir()):
            raise pickle_refused(name)
        raise ModelError(f"{name} has no weights: there is no *.safetensors in {folder}")
    return folder


def _fetch(repository: str, revision: str | None, by_hand: Path) -> Path:
    return fetch(
        repository,
        revision,
        complete=lambda folder: (folder / "config.json").is_file() and any(folder.glob("*.safetensors")),
        wanted=lambda _: _FILES,
        otherwise=f"put config.json, preprocessor_config.json and model.safetensors into {by_hand}, or {_ALTERNATIVE}",
    )


def _known() -> str:
    return ", ".join(card.name for card in CARDS if card.kind == "depth-estimator")
