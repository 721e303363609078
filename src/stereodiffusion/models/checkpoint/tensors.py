"""What a file of weights says it holds: names, shapes and formats, read from its header alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from safetensors import SafetensorError, safe_open

from stereodiffusion.errors import ModelError, first_line
from stereodiffusion.models.checkpoint.files import check_regular


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor that a file holds: its shape, and its format as safetensors names it, `F16` say."""

    shape: tuple[int, ...]
    dtype: str


Tensors: TypeAlias = Mapping[str, Stored]
"""The tensors of a file, or of several, by name."""

_QUANTISED: Final = ("scale_weight", "weight_scale", "scaled_fp8", ".absmax", ".qweight", ".SCB", "quant_state")


def read_header(path: Path) -> dict[str, Stored]:
    """The tensors that a file of safetensors holds.

    Raises:
        ModelError: If the file is something else, damaged, or holds quantised weights.
    """
    check_regular(path)
    try:
        with safe_open(path, framework="pt") as file:
            slices = ((name, file.get_slice(name)) for name in file.keys())  # noqa: SIM118 - no dictionary
            tensors = {name: Stored(tuple(part.get_shape()), part.get_dtype()) for name, part in slices}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: expected safetensors, got {_guess(path, error)}") from error
    _refuse_quantised(path, tensors)
    return tensors


def _refuse_quantised(path: Path, names: Iterable[str]) -> None:
    sign = next((name for name in names if any(part in name for part in _QUANTISED)), None)
    if sign is not None:
        raise ModelError(
            f"{path}: expected weights as they are, got quantised ones with scales beside them ({sign}): take the "
            "model in float16 or bfloat16"
        )


def _guess(path: Path, error: Exception) -> str:
    """What a file is that is no safetensors, by how it begins."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as refusal:
        return f"what cannot be read: {first_line(refusal)}"
    if not start:
        return "an empty file"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS in its place: fetch the file itself (`git lfs pull`)"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "a pickle by that name, which is refused: loading one can run code that it carries"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page in its place: fetch the file itself"
    if start.startswith(b"GGUF"):
        return "a GGUF file by that name"
    if start.lstrip()[:1] in (b"{", b"["):
        return "a text in its place: fetch the file itself"
    return f"a damaged or truncated file ({first_line(error)})"
