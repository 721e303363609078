"""What a model's name means: a folder, a file, or a repository of the hub. Nothing is fetched or loaded to tell."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from stereodiffusion.errors import ConfigError, ModelError, ModelUnavailableError
from stereodiffusion.models.cards import find_card
from stereodiffusion.models.checkpoint.files import PICKLES, check_own, check_regular, pickle_refused, read_settings
from stereodiffusion.models.hub import DEFAULT, Hub, split_revision
from stereodiffusion.models.stored import WEIGHTS, models_folder

EMBEDDED: Final = "toybox"
"""The diffusion model that comes with the package."""

EXPECTED: Final = (
    "a Stable Diffusion 1.x, 2.x, XL or 3 model or a FLUX.1 (text, inpainting, or depth with a five-channel U-Net)"
)
"""What can be worked with, for messages."""


Family: TypeAlias = Literal["sd", "sdxl", "sd3", "flux"]
"""Models whose folders hold the same parts."""

PARTS: Final[Mapping[Family, tuple[str, ...]]] = {
    "sd": ("vae", "unet", "text_encoder", "tokenizer", "scheduler"),
    "sdxl": ("vae", "unet", "text_encoder", "tokenizer", "scheduler", "text_encoder_2", "tokenizer_2"),
    "sd3": ("vae", "transformer", "text_encoder", "tokenizer", "scheduler", "text_encoder_2", "tokenizer_2"),
    "flux": ("vae", "transformer", "text_encoder", "tokenizer", "scheduler", "text_encoder_2", "tokenizer_2"),
}
"""The folders of a model in diffusers' layout."""

FLOWS: Final[frozenset[Family]] = frozenset({"sd3", "flux"})
"""Families of flow matching, whose network is a transformer."""

T5_OF_SD3: Final = ("text_encoder_3", "tokenizer_3")
"""The folders that Stable Diffusion 3 has besides, unless its index says that T5 was left out."""

_PIPELINES: Final[Mapping[str, Family]] = {
    "StableDiffusionPipeline": "sd",
    "StableDiffusionImg2ImgPipeline": "sd",
    "StableDiffusionDepth2ImgPipeline": "sd",
    "StableDiffusionInpaintPipeline": "sd",
    "LatentConsistencyModelPipeline": "sd",
    "LatentConsistencyModelImg2ImgPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLImg2ImgPipeline": "sdxl",
    "StableDiffusionXLInpaintPipeline": "sdxl",
    "StableDiffusion3Pipeline": "sd3",
    "StableDiffusion3Img2ImgPipeline": "sd3",
    "FluxPipeline": "flux",
    "FluxImg2ImgPipeline": "flux",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a model is.

    Attributes:
        name: What it is called in messages and metadata.
        path: Its folder or file, if that is on this machine.
        repository: On the hub, otherwise.
        hub: Its revision and variant, and how it is fetched.
        half: Whether weights in half precision are preferred to full ones where there are both.
    """

    name: str
    path: Path | None = None
    repository: str = ""
    hub: Hub = DEFAULT
    half: bool = False


def origin_of(model: object, hub: Hub = DEFAULT) -> Origin:
    """Where a diffusion model is.

    Args:
        model: `toybox`, the name of a card, a repository, a folder or a `.safetensors` file.
        hub: What is wanted of a repository.

    Raises:
        ModelUnavailableError: If it is on this machine by its name, and is not there.
        ModelError: If it is a name of nothing that can be loaded.
        ConfigError: If a revision is asked for of what has none.
    """
    if not isinstance(model, str | Path):
        raise ModelError(
            f"expected a model's name, folder or file, or a pipeline of diffusers, got {type(model).__name__}"
        )
    if isinstance(model, str) and (not model.strip() or "\0" in model):
        raise ModelError(f"expected a model's name, folder or file, got {model!r}")
    if str(model) == EMBEDDED:
        return _local(EMBEDDED, WEIGHTS / EMBEDDED, hub)
    path = Path(model).expanduser()
    base, revision = split_revision(str(model))
    card = find_card(base)
    if card is not None and card.kind == "depth-estimator":
        raise ModelError(f"{model}: expected {EXPECTED}, got a depth estimator")
    if _exists(path) or path.suffix in {".safetensors", *PICKLES}:
        return _on_disk(path, hub)
    repository = card.repository if card is not None and card.repository is not None else base
    if isinstance(model, Path) or path.is_absolute() or base.startswith((".", "~")) or repository.count("/") != 1:
        raise ModelUnavailableError(
            f"there is no folder, file or known model {model}; `stereodiffusion models` lists what is known"
        )
    if revision is not None and hub.revision not in (None, revision):
        raise ConfigError(f"expected one revision, got {revision} and {hub.revision}")
    wanted = revision or hub.revision
    by_hand = models_folder() / repository
    if wanted is None and by_hand.is_dir():
        return Origin(name=str(model), path=by_hand, hub=hub)
    return Origin(
        name=str(model),
        repository=repository,
        hub=replace(hub, revision=wanted or (card.revision if card is not None else None)),
        half=card is not None and card.half_precision,
    )


def check_layout(name: str, path: Path) -> None:
    """Refuse a folder that is not laid out as such a model, or a file that is no plain one.

    Raises:
        ModelUnavailableError: If it is not there.
        ModelError: If its index names another kind of model, or folders of parts are missing.
    """
    if not path.exists():
        raise ModelUnavailableError(f"{name} is missing from this installation: there is no folder {path}")
    if not path.is_dir():
        check_regular(path)
        return
    check_kind(name, path)
    absent = [part for part in parts_of(path) if not (path / part).is_dir()]
    if absent:
        raise ModelError(f"{name}: expected {EXPECTED} in diffusers' layout, got no {', '.join(absent)} in {path}")


def check_kind(name: str, folder: Path) -> None:
    """Refuse a folder whose index names another kind of model.

    Raises:
        ModelError: If it does, or cannot be read.
    """
    kind = index_of(folder).get("_class_name")
    if kind is not None and not (isinstance(kind, str) and kind in _PIPELINES):
        raise ModelError(f"{name}: expected {EXPECTED}, got a {str(kind)[:80]}")


def parts_of(folder: Path) -> tuple[str, ...]:
    """The folders that the model in `folder` has to have, by its index; without an index, by what is there."""
    family = family_in(folder)
    parts = PARTS[family]
    if family != "sd3":
        return parts
    said: object = index_of(folder).get(T5_OF_SD3[0], _there(folder, T5_OF_SD3[0]))
    return parts if said == [None, None] else (*parts, *T5_OF_SD3)


def family_in(folder: Path) -> Family:
    """The family of the model in `folder`, by its index; without an index, by what is there.

    Raises:
        ModelError: If a file that tells it cannot be read.
    """
    kind = index_of(folder).get("_class_name")
    if isinstance(kind, str):
        return _PIPELINES.get(kind, "sd")
    if not (folder / "transformer").is_dir():
        return "sdxl" if (folder / "text_encoder_2").is_dir() else "sd"
    settings = folder / "transformer" / "config.json"
    flux = settings.is_file() and read_settings(settings).get("_class_name") == "FluxTransformer2DModel"
    return "flux" if flux else "sd3"


def _there(folder: Path, part: str) -> list[str | None]:
    """What an index would say of a part, by whether it is there."""
    return ["", part] if (folder / part).is_dir() else [None, None]


def index_of(folder: Path) -> dict[str, Any]:
    """What a model says of itself in `model_index.json`; nothing if it has none.

    Raises:
        ModelError: If there is such a file and it cannot be read, or is a link out of the folder.
    """
    index = folder / "model_index.json"
    if not index.exists():
        return {}
    check_own(index, folder)
    return read_settings(index)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no file can have such a name
        return False


def _on_disk(path: Path, hub: Hub) -> Origin:
    if path.is_dir():
        return _local(path.resolve().name, path, hub)
    if path.suffix in PICKLES:
        raise pickle_refused(path.stem)
    if not path.exists():
        raise ModelUnavailableError(f"there is no file {path}")
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{path.stem}: expected a folder or a .safetensors file, got a {path.suffix or 'nameless'} file"
        )
    return _local(path.stem, path, hub)


def _local(name: str, path: Path, hub: Hub) -> Origin:
    if hub.revision is not None:
        raise ConfigError(f"only models of the hub have revisions: {path} has no {hub.revision!r}")
    return Origin(name=name, path=path, hub=hub)
