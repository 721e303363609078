"""Where the files of a diffusion model are: embedded, in a folder, in a file, in the hub's cache or on the hub."""

import json
from pathlib import Path
from typing import Any, Final, cast

from stereodiffusion.backbones.sd import EXPECTED
from stereodiffusion.cards import WEIGHTS, find_card, models_folder
from stereodiffusion.errors import ModelError, ModelUnavailableError
from stereodiffusion.hub import PICKLES, fetch, pickle_refused

EMBEDDED: Final = "toybox"
"""The model that comes with the package."""

PARTS: Final = ("vae", "unet", "text_encoder", "tokenizer", "scheduler")
"""The folders of a model in diffusers' layout."""

PARTS_OF_SDXL: Final = ("text_encoder_2", "tokenizer_2")
"""The folders that SDXL has besides."""

_PIPELINES = frozenset(
    {
        "StableDiffusionPipeline",
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionDepth2ImgPipeline",
        "StableDiffusionXLPipeline",
        "StableDiffusionXLImg2ImgPipeline",
    }
)
_WEIGHTS = (
    "unet/diffusion_pytorch_model",
    "vae/diffusion_pytorch_model",
    "text_encoder/model",
    "text_encoder_2/model",
)
_SETTINGS = ["model_index.json", "*/config.json", "scheduler/*.json", "tokenizer*/*.json", "tokenizer*/*.txt"]


def locate(model: str | Path) -> tuple[str, Path]:
    """The model's name and the folder or file it is in, which is fetched if it has to be.

    Raises:
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If it is there and is of the wrong kind, incomplete or pickled.
    """
    name, path = str(model), Path(model).expanduser()
    if name == EMBEDDED:
        return name, _checked(name, WEIGHTS / EMBEDDED)
    card = find_card(name)
    if card is not None and card.kind == "depth-estimator":
        raise ModelError(f"{name}: expected {EXPECTED}, got a depth estimator")
    if path.is_dir():
        return path.resolve().name, _checked(name, path)
    if path.is_file() or path.suffix in {".safetensors", *PICKLES}:
        return path.stem, _checked_file(name, path)
    repository = card.repository if card is not None and card.repository is not None else name
    if isinstance(model, Path) or path.is_absolute() or name.startswith(".") or repository.count("/") != 1:
        raise ModelUnavailableError(
            f"there is no folder, file or known model {name}; `stereodiffusion models` lists what is known"
        )
    by_hand = models_folder() / repository
    if by_hand.is_dir():
        return name, _checked(name, by_hand)
    revision, half = (card.revision, card.half_precision) if card is not None else (None, False)
    return name, _checked(name, _fetch(repository, revision, by_hand, half=half))


def parts_of(folder: Path) -> tuple[str, ...]:
    """The folders that the model in `folder` has to have, by its index; without an index, by what is there."""
    kind = index_of(folder).get("_class_name")
    xl = (folder / "text_encoder_2").is_dir() if kind is None else str(kind).startswith("StableDiffusionXL")
    return (*PARTS, *PARTS_OF_SDXL) if xl else PARTS


def index_of(folder: Path) -> dict[str, Any]:
    """What a model says of itself in `model_index.json`; nothing if it has none.

    Raises:
        ModelError: If there is such a file and it cannot be read.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        return {}
    try:
        settings: Any = json.loads(index.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{index} cannot be read: {error}") from error
    return cast(dict[str, Any], settings) if isinstance(settings, dict) else {}


def missing_weights(folder: Path) -> list[str]:
    """The parts that should have weights in safetensors and have none."""
    parts = parts_of(folder)
    without = [weights.partition("/")[0] for weights in _WEIGHTS if variant_of(folder, weights) is None]
    return [part for part in without if part in parts]


def variant_of(folder: Path, weights: str) -> str | None:
    """Which of a part's safetensors to load: `""`, the only copy or the full one; `fp16`; None if there are none."""
    part, _, stem = weights.partition("/")
    for variant, infix in (("", ""), ("fp16", ".fp16")):
        if any((folder / part).glob(f"{stem}{infix}.safetensors")) or any(
            (folder / part).glob(f"{stem}{infix}-*-of-*.safetensors")
        ):
            return variant
    return None


def _checked(name: str, folder: Path) -> Path:
    if not folder.is_dir():
        raise ModelUnavailableError(f"{name} is missing from this installation: there is no folder {folder}")
    kind = index_of(folder).get("_class_name")
    if kind is not None and kind not in _PIPELINES:
        raise ModelError(f"{name}: expected {EXPECTED}, got a {kind}")
    absent = [part for part in parts_of(folder) if not (folder / part).is_dir()]
    if absent:
        raise ModelError(f"{name}: expected {EXPECTED} in diffusers' layout, got no {', '.join(absent)} in {folder}")
    without = missing_weights(folder)
    if without:
        if any(file.suffix in PICKLES for part in without for file in (folder / part).iterdir()):
            raise pickle_refused(name)
        raise ModelError(f"{name} is incomplete: {', '.join(without)} in {folder} has no *.safetensors")
    return folder


def _checked_file(name: str, path: Path) -> Path:
    if path.suffix in PICKLES:
        raise pickle_refused(name)
    if not path.is_file():
        raise ModelUnavailableError(f"there is no file {path}")
    if path.suffix != ".safetensors":
        raise ModelError(f"{name}: expected a folder or a .safetensors file, got a {path.suffix or 'nameless'} file")
    return path


def _fetch(repository: str, revision: str | None, by_hand: Path, *, half: bool) -> Path:
    """From the hub; with `half`, weights in half precision are preferred to full ones where there are both."""
    return fetch(
        repository,
        revision,
        complete=lambda folder: (
            all((folder / part).is_dir() for part in parts_of(folder)) and not missing_weights(folder)
        ),
        wanted=lambda files: [
            *_SETTINGS,
            *(pattern for weights in _WEIGHTS for pattern in _weight_patterns(weights, files, half)),
        ],
        otherwise=f"put its folders {', '.join(PARTS)} (SDXL: also {', '.join(PARTS_OF_SDXL)}) and model_index.json "
        f"into {by_hand}, or use the embedded model {EMBEDDED}",
    )


def _weight_patterns(weights: str, files: set[str], half: bool) -> list[str]:
    """The weights in full or, if there are none or `half` is preferred, in half precision; whole or in shards."""

    def there(infix: str) -> bool:
        return any(file.startswith((f"{weights}{infix}.safe", f"{weights}{infix}-0")) for file in files)

    infix = ".fp16" if there(".fp16") and (half or not there("")) else ""
    return [
        f"{weights}{infix}.safetensors",
        f"{weights}{infix}-*-of-*.safetensors",
        f"{weights}.safetensors.index*.json",
    ]
