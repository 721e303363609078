"""Plain files of a model's own folder, and the settings in them."""

import json
import stat
from pathlib import Path
from typing import Any, Final, cast

from stereodiffusion.errors import ModelError, first_line

PICKLES: Final = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})
"""Suffixes of weights that are refused."""

_TEXTS: Final = ("*.json", "*.txt", "*.model", "*.jinja")
_MOST_TEXT_BYTES: Final = 64_000_000
"""CLIP's vocabulary takes 4 MB, the largest in use 35."""
_DEEPEST: Final = 32


def pickle_refused(name: str) -> ModelError:
    """What is said of a model that is there as a pickle only."""
    return ModelError(
        f"{name} has pickled weights only, which are refused: loading a pickle can run code that it carries; "
        "convert them to safetensors, or take a model that is published so"
    )


def check_regular(path: Path) -> None:
    """Refuse what is no regular file, followed through links, before anybody waits for a pipe or reads a device.

    Raises:
        ModelError: If it is none, or cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} cannot be read: {_why(error)}") from error
    if not stat.S_ISREG(mode):
        raise ModelError(f"{path}: expected a regular file, got {_kind(mode)}")


def check_own(path: Path, root: Path) -> None:
    """Refuse a file of a model that is not a regular one of the model's own.

    Args:
        path: The file.
        root: The model's folder. A link may lead anywhere inside, and to the blobs of the hub's cache that it is in:
            its repository's own, or those that repositories share.

    Raises:
        ModelError: If it is no regular file, or a link out of the folder.
    """
    check_regular(path)
    homes = {root.resolve()} | {
        above.resolve() / "blobs"
        for folder in (root.absolute(), root.resolve())
        if folder.parent.name == "snapshots"
        for above in folder.parents[1:3]
    }
    if not any(path.resolve().is_relative_to(home) for home in homes):
        raise ModelError(f"{path} is a link that leads out of the model's folder: put the file itself there")


def check_texts(folder: Path, root: Path) -> None:
    """Refuse a folder whose configurations and vocabularies are not plain files, or hold more than such files do.

    Raises:
        ModelError: If one is not.
    """
    for path in sorted(path for pattern in _TEXTS for path in folder.glob(pattern)):
        check_own(path, root)
        if path.stat().st_size > _MOST_TEXT_BYTES:
            raise ModelError(f"{path}: expected at most {_MOST_TEXT_BYTES:,} bytes, got {path.stat().st_size:,}")
        if path.suffix == ".json":
            _check_named(path, _parsed(path))


def read_settings(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ModelError: If there is no such regular file, it is no JSON, nested too deep, or holds something else.
    """
    check_regular(path)
    settings = _parsed(path)
    if not isinstance(settings, dict):
        raise ModelError(f"{path} must hold an object, got {type(settings).__name__}")
    return cast(dict[str, Any], settings)


def _check_named(path: Path, content: object) -> None:
    """Refuse settings that name a file of another folder, which a library would open."""
    named = cast(dict[str, Any], content) if isinstance(content, dict) else {}
    for key in ("vocab_file", "merges_file", "tokenizer_file"):
        name = named.get(key)
        if name is not None and (
            not isinstance(name, str) or "\\" in name or name.removeprefix("./") != Path(name).name
        ):
            raise ModelError(f"{path}: expected {key} to name a file in the same folder, got {str(name)[:80]!r}")


def _parsed(path: Path) -> object:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {_why(error)}") from error
    if _deeper_than(content, _DEEPEST):
        raise ModelError(f"{path} cannot be read: expected values nested at most {_DEEPEST} deep, got deeper ones")
    return content


def _deeper_than(content: object, levels: int) -> bool:
    layer = [content]
    for _ in range(levels):
        inner: list[object] = []
        for value in layer:
            if isinstance(value, dict):
                inner += cast(dict[str, object], value).values()
            elif isinstance(value, list):
                inner += cast(list[object], value)
        layer = [value for value in inner if isinstance(value, dict | list)]
        if not layer:
            return False
    return True


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its values are nested too deep"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return first_line(error)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((kind for of_kind, kind in kinds if of_kind(mode)), "something else")
