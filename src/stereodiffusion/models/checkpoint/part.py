"""A network in a folder: its configuration and its weights, as their files say, before they are loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from stereodiffusion.errors import ModelError
from stereodiffusion.models.checkpoint.files import check_own, check_texts, read_settings
from stereodiffusion.models.checkpoint.tensors import Stored, Tensors, read_header

_ELSEWHERE: Final = ("quantization_config", "use_pretrained_backbone", "use_timm_backbone", "backbone", "auto_map")
"""Settings with which a library would fetch other weights, or code, or need another one to read them."""

_COUNTS: Final = ("layers", "depths", "num_", "bottleneck", "attractors")
_LARGEST: Final = 65_536
"""A picture's side, say, which no tensor has as a dimension."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of a network before it is loaded.

    Attributes:
        folder: Where it is.
        settings: Its `config.json`.
        tensors: What its weights' headers name.
    """

    folder: Path
    settings: dict[str, Any]
    tensors: Tensors


def read_part(root: Path, folder: Path, stem: str, variant: str = "") -> Part:
    """A network's configuration and the headers of its weights, all from plain files of the model's own folder.

    Args:
        root: The model's folder.
        folder: The network's, inside or the same.
        stem: How its weights are called: `model`, say, for `model.safetensors` or its shards.
        variant: Which of several copies: `fp16` for `model.fp16.safetensors`.

    Raises:
        ModelError: If a file is missing, damaged, or not a plain one, or if the configuration does not fit the weights.
    """
    check_texts(folder, root)
    settings = read_settings(folder / "config.json")
    for name in _ELSEWHERE:
        if settings.get(name):
            raise ModelError(
                f"{folder / 'config.json'}: expected a network that is all in its folder, got {name} = "
                f"{str(settings[name])[:80]!r}"
            )
    tensors: dict[str, Stored] = {}
    for file in _weight_files(root, folder, stem, variant):
        tensors |= read_header(file)
    _check_sizes(folder / "config.json", settings, tensors)
    return Part(folder, settings, tensors)


def _weight_files(root: Path, folder: Path, stem: str, variant: str) -> list[Path]:
    infix = f".{variant}" if variant else ""
    whole = folder / f"{stem}{infix}.safetensors"
    taken = {f"{stem}.safetensors.index{infix}.json", f"{stem}{infix}.safetensors.index.json"}
    files = [whole] if whole.exists() else []
    for index in sorted(folder.glob("*.index*.json")):
        shards = [folder / name for name in _named(index)]
        if index.name in taken:
            absent = [shard.name for shard in shards if not shard.exists()]
            if absent:
                raise ModelError(f"{folder} is incomplete: {index.name} names {absent[0]}, which is not there")
            files += shards
    if not files:
        raise ModelError(f"{folder} has no {whole.name}, and no index of its shards")
    for file in files:
        check_own(file, root)
    return files


def _named(index: Path) -> list[str]:
    """The files that an index of shards names: plain names of safetensors in the same folder."""
    named = read_settings(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise ModelError(f"{index}: expected a weight_map from tensors to files, got {str(named)[:80]!r}")
    files: list[str] = []
    for name in cast(dict[str, object], named).values():
        if not isinstance(name, str) or name != Path(name).name or not name.endswith(".safetensors") or "\\" in name:
            raise ModelError(
                f"{index}: expected names of .safetensors files in the same folder, got {str(name)[:80]!r}"
            )
        files.append(name)
    return sorted(set(files))


def _check_sizes(path: Path, settings: dict[str, Any], tensors: Tensors) -> None:
    """Refuse numbers that no network with these weights has: more layers than tensors, or wider than the widest."""
    widest = max((side for tensor in tensors.values() for side in tensor.shape), default=0)
    for name, number in _numbers(settings):
        counts = tensors and any(sign in name for sign in _COUNTS)
        most = len(tensors) if counts else max(widest, _LARGEST)
        if not abs(number) <= most:
            raise ModelError(f"{path}: {name} = {number:.6g} is out of reason: expected {most} at most")


def _numbers(settings: dict[str, Any]) -> list[tuple[str, float]]:
    """The numbers in a configuration, each with the name it has, or the list it is in."""
    found: list[tuple[str, float]] = []
    waiting: list[tuple[str, Any]] = list(settings.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += cast(dict[str, Any], value).items()
        elif isinstance(value, list):
            waiting += [(name, inner) for inner in cast(list[Any], value)]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((name, value))
    return found


def check_numbers(path: Path) -> None:
    """Refuse settings of pictures with sizes that no network takes.

    Raises:
        ModelError: If there is one.
    """
    _check_sizes(path, read_settings(path), {})
