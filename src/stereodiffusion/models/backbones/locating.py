"""Where the files of a diffusion model are: embedded, in a folder, in a file, in the hub's cache or on the hub."""

from pathlib import Path

from stereodiffusion.errors import ModelError
from stereodiffusion.models.checkpoint.files import PICKLES, pickle_refused
from stereodiffusion.models.hub import DEFAULT, Hub, fetch
from stereodiffusion.models.origin import (
    EMBEDDED,
    PARTS,
    T5_OF_SD3,
    Origin,
    check_kind,
    check_layout,
    origin_of,
    parts_of,
)
from stereodiffusion.models.stored import models_folder

_WEIGHTS = (
    "unet/diffusion_pytorch_model",
    "transformer/diffusion_pytorch_model",
    "vae/diffusion_pytorch_model",
    "text_encoder/model",
    "text_encoder_2/model",
    "text_encoder_3/model",
)
_VARIANTS = ("", "fp16", "bf16")
"""Copies of the same weights, which may stand for each other."""
_SETTINGS = [
    "model_index.json",
    "*/config.json",
    "scheduler/*.json",
    "tokenizer*/*.json",
    "tokenizer*/*.txt",
    "tokenizer*/*.model",
]


def locate(model: str | Path, hub: Hub = DEFAULT) -> tuple[str, Path]:
    """The model's name and the folder or file it is in, which is fetched if it has to be.

    Args:
        model: As for `load_backbone`.
        hub: What is wanted of a repository.

    Raises:
        ModelUnavailableError: If the model is not on disk and cannot be fetched.
        ModelError: If it is there and is of the wrong kind, incomplete or pickled.
        ConfigError: If a revision is asked for of what has none.
    """
    origin = origin_of(model, hub)
    path = _fetch(origin) if origin.path is None else origin.path
    return origin.name, path if path.is_file() else _checked(origin.name, path, origin.hub.variant)


def missing_weights(folder: Path, variant: str | None = None) -> list[str]:
    """The parts that should have weights in safetensors and have none."""
    parts = parts_of(folder)
    without = [weights.partition("/")[0] for weights in _WEIGHTS if variant_of(folder, weights, variant) is None]
    return [part for part in without if part in parts]


def variant_of(folder: Path, weights: str, wanted: str | None = None) -> str | None:
    """Which of a part's safetensors to load: the one that is wanted, or else the full copy `""` before others.

    None if there are none.
    """
    part, _, stem = weights.partition("/")
    for variant in _VARIANTS if wanted is None else (wanted,):
        infix = f".{variant}" if variant else ""
        if any((folder / part).glob(f"{stem}{infix}.safetensors")) or any(
            (folder / part).glob(f"{stem}{infix}-*-of-*.safetensors")
        ):
            return variant
    return None


def _checked(name: str, folder: Path, variant: str | None) -> Path:
    check_layout(name, folder)
    without = missing_weights(folder, variant)
    if without:
        files = {f"{part}/{file.name}" for part in without for file in (folder / part).iterdir() if file.exists()}
        raise _no_weights(name, files, without, f"{', '.join(without)} in {folder} has", variant)
    return folder


def _no_weights(name: str, files: set[str], without: list[str], where: str, variant: str | None) -> ModelError:
    """Why parts have no weights that can be loaded: there are other variants, or pickles, or nothing."""
    inside = [Path(file) for file in sorted(files) if file.partition("/")[0] in without]
    variants = sorted({file.stem.partition(".")[2] for file in inside if file.suffix == ".safetensors"} - {""})
    if any(file.suffix == ".safetensors" for file in inside):
        there = ", ".join(word.partition("-0")[0] for word in variants) or "the one without a name"
        wanted = f"weights of the variant {variant}" if variant else "plain weights"
        return ModelError(f"{name}: {where} no {wanted}, but those of: {there} (in Python: hub=Hub(variant=...))")
    if any(file.suffix in PICKLES for file in inside):
        return pickle_refused(name)
    return ModelError(f"{name} is incomplete: {where} no *.safetensors")


def _fetch(origin: Origin) -> Path:
    """From the hub; what is no such model, or has no weights that can be loaded, is refused before they are fetched."""
    by_hand, variant = models_folder() / origin.repository, origin.hub.variant

    def wanted(files: set[str], folder: Path) -> list[str]:
        check_kind(origin.name, folder)
        parts = parts_of(folder)
        weights = [stem for stem in _WEIGHTS if stem.partition("/")[0] in parts]
        infixes = {stem: _infix(stem, files, variant, half=origin.half) for stem in weights}
        without = [stem.partition("/")[0] for stem, infix in infixes.items() if infix is None]
        if without:
            raise _no_weights(origin.name, files, without, f"{', '.join(without)} of {origin.repository} has", variant)
        return [*_SETTINGS, *(pattern for stem, infix in infixes.items() for pattern in _patterns(stem, infix or ""))]

    return fetch(
        origin.repository,
        origin.hub,
        complete=lambda folder: (
            all((folder / part).is_dir() for part in parts_of(folder)) and not missing_weights(folder, variant)
        ),
        first="model_index.json",
        wanted=wanted,
        otherwise=f"put its folders {', '.join(PARTS['sd'])} (SDXL: also text_encoder_2, tokenizer_2; SD 3 and FLUX: "
        f"transformer in the place of unet; SD 3: also {', '.join(T5_OF_SD3)}) and model_index.json into {by_hand}, or "
        f"use the embedded model {EMBEDDED}",
    )


def _infix(weights: str, files: set[str], variant: str | None, *, half: bool) -> str | None:
    """What stands between a part's name and its suffix: the variant that is wanted, or half precision first or last."""
    order = [variant] if variant is not None else sorted(_VARIANTS, key=lambda name: half and name != "fp16")
    for infix in (f".{name}" if name else "" for name in order):
        if any(file.startswith((f"{weights}{infix}.safe", f"{weights}{infix}-0")) for file in files):
            return infix
    return None


def _patterns(weights: str, infix: str) -> list[str]:
    """The weights of a part, whole or in shards."""
    return [
        f"{weights}{infix}.safetensors",
        f"{weights}{infix}-*-of-*.safetensors",
        f"{weights}.safetensors.index*.json",
    ]
