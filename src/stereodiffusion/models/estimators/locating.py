"""Where the files of a depth estimator are: with the package, in a folder, in the hub's cache or on the hub."""

from dataclasses import replace
from pathlib import Path

from stereodiffusion.errors import ModelError, ModelUnavailableError
from stereodiffusion.models.cards import CARDS, ModelCard, find_card
from stereodiffusion.models.checkpoint.files import PICKLES, pickle_refused
from stereodiffusion.models.hub import DEFAULT, Hub, fetch, split_revision
from stereodiffusion.models.stored import models_folder, on_disk

EMBEDDED = "toybox-depth"
"""The estimator of toys that comes with the package."""

EMBEDDED_FOR_PHOTOGRAPHS = "photo-depth"
"""The one of photographs."""

_ALTERNATIVE = f"use the embedded {EMBEDDED_FOR_PHOTOGRAPHS}"
_FILES = ["config.json", "preprocessor_config.json", "processor_config.json", "*.safetensors", "*.index.json"]


def locate(name_or_path: str | Path, hub: Hub = DEFAULT) -> tuple[str, Path]:
    """The model's name and the folder that holds its files, which are fetched if they have to be.

    Args:
        name_or_path: As for `load_depth_estimator`.
        hub: What is wanted of a repository.

    Raises:
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If only pickled weights are there, or the name means nothing.
    """
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    base, revision = split_revision(name)
    card = find_card(base)
    if card is not None:
        return card.name, _checked(card.name, _of_card(card, _wanted(hub, revision)))
    if path.suffix in PICKLES:
        raise pickle_refused(name)
    if path.is_dir():
        return path.resolve().name, _checked(name, path)
    if path.exists():
        raise ModelError(f"a depth estimator is a folder in transformers' format, got the file {name}")
    if isinstance(name_or_path, Path) or path.is_absolute() or name.startswith(".") or base.count("/") > 1:
        raise ModelUnavailableError(f"there is no folder {name}; {_ALTERNATIVE}")
    if "/" not in base:
        raise ModelError(f"there is no depth estimator {name!r}; there are {_known()}, and those of the hub")
    return name, _checked(name, _of_repository(base, _wanted(hub, revision)))


def check_name(name_or_path: object) -> None:
    """Refuse what can be no depth estimator, without fetching or loading one.

    Raises:
        ModelError: If it is neither a name nor a path, a name of something else, or a path that is not there.
    """
    if not isinstance(name_or_path, str | Path) or not str(name_or_path).strip() or "\0" in str(name_or_path):
        raise ModelError(f"expected a depth estimator's name or folder, got {name_or_path!r}")
    locally = Hub(local_files_only=True)
    try:
        locate(name_or_path, locally)
    except ModelUnavailableError as error:
        if not isinstance(error.__cause__, ConnectionError):
            raise


def _wanted(hub: Hub, revision: str | None) -> Hub:
    return hub if revision is None else replace(hub, revision=revision)


def _of_card(card: ModelCard, hub: Hub) -> Path:
    if card.kind != "depth-estimator":
        raise ModelError(f"{card.name} is no depth estimator; there are {_known()}, and those of the hub")
    if hub.revision is None:
        found = on_disk(card)
        if found is not None:
            return found.folder
    if card.repository is None:
        raise ModelUnavailableError(f"{card.name} is missing from this installation, which is incomplete")
    return _of_repository(card.repository, replace(hub, revision=hub.revision or card.revision))


def _of_repository(repository: str, hub: Hub) -> Path:
    by_hand = models_folder() / repository
    return by_hand if by_hand.is_dir() else _fetch(repository, hub, by_hand)


def _checked(name: str, folder: Path) -> Path:
    if not any(folder.glob("*.safetensors")):
        if any(file.suffix in PICKLES for file in folder.iterdir()):
            raise pickle_refused(name)
        raise ModelError(f"{name} has no weights: there is no *.safetensors in {folder}")
    return folder


def _fetch(repository: str, hub: Hub, by_hand: Path) -> Path:
    def wanted(files: set[str], _: Path) -> list[str]:
        here = [Path(file) for file in files if "/" not in file]
        if not any(file.suffix == ".safetensors" for file in here) and any(file.suffix in PICKLES for file in here):
            raise pickle_refused(repository)
        return _FILES

    return fetch(
        repository,
        hub,
        complete=lambda folder: (folder / "config.json").is_file() and any(folder.glob("*.safetensors")),
        first="config.json",
        wanted=wanted,
        otherwise=f"put config.json, preprocessor_config.json and model.safetensors into {by_hand}, or {_ALTERNATIVE}",
    )


def _known() -> str:
    return ", ".join(card.name for card in CARDS if card.kind == "depth-estimator")
