"""The output formats by name, and the names of their files.

One format goes exactly to the path that was asked for; its suffix must be one that holds the format, and a path
without a suffix gets the format's own. Several formats go to `<stem>-<format><suffix>`, with the suffix of the path
where it fits. The two separate eyes are always `<stem>-left` and `<stem>-right`, and extras `<stem>-<extra>`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import check_name, check_targets
from stereodiffusion.formats.layouts.anaglyph import anaglyph
from stereodiffusion.formats.layouts.sbs import cross_eyed, side_by_side, top_bottom
from stereodiffusion.formats.limits import check_frame
from stereodiffusion.formats.pictures.image import STILL_SUFFIXES, encode_image
from stereodiffusion.formats.stereo.mpo import encode_mpo
from stereodiffusion.formats.stereo.wiggle import encode_wiggle

OneImage: TypeAlias = Float[Tensor, "1 3 h w"]
Extra = Literal["disparity", "occlusion", "left", "right"]
"""What can be saved beside the formats: see `StereoPair.save`."""

Encode: TypeAlias = Callable[[OneImage, OneImage, str, Mapping[str, object]], bytes]
"""(left, right, suffix, settings) -> the content of the file."""

Frame: TypeAlias = Callable[[int, int], tuple[int, int]]
"""(height, width) of an eye -> (height, width) of the picture in the file."""


def _one_eye(height: int, width: int) -> tuple[int, int]:
    return height, width


def _beside(height: int, width: int) -> tuple[int, int]:
    return height, 2 * width


def _half_beside(height: int, width: int) -> tuple[int, int]:
    return height, 2 * ((width + 1) // 2)


def _above(height: int, width: int) -> tuple[int, int]:
    return 2 * height, width


def _half_above(height: int, width: int) -> tuple[int, int]:
    return 2 * ((height + 1) // 2), width


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """One way to keep a stereo pair.

    Attributes:
        about: what it is for, in a line.
        suffixes: of the files that can hold it; the first is its own.
        parts: what is encoded, by the end of the file's stem; one part named "" for all but the separate eyes.
        frame: (height, width) of an eye to those of the picture in the file.
    """

    about: str
    suffixes: tuple[str, ...]
    parts: Mapping[str, Encode]
    frame: Frame = _one_eye


def _still(
    about: str,
    compose: Callable[[OneImage, OneImage], OneImage],
    frame: Frame = _one_eye,
) -> OutputFormat:
    def encode(left: OneImage, right: OneImage, suffix: str, settings: Mapping[str, object]) -> bytes:
        return encode_image(compose(left, right), suffix, settings)

    return OutputFormat(about=about, suffixes=tuple(STILL_SUFFIXES), parts=MappingProxyType({"": encode}), frame=frame)


def _left(left: OneImage, right: OneImage, suffix: str, settings: Mapping[str, object]) -> bytes:
    return encode_image(left, suffix, settings)


def _right(left: OneImage, right: OneImage, suffix: str, settings: Mapping[str, object]) -> bytes:
    return encode_image(right, suffix, settings)


def _mpo(left: OneImage, right: OneImage, suffix: str, settings: Mapping[str, object]) -> bytes:
    return encode_mpo(left, right, settings)


def _wiggle_gif(left: OneImage, right: OneImage, suffix: str, settings: Mapping[str, object]) -> bytes:
    return encode_wiggle([left, right], ".gif", settings)


def _wiggle_webp(left: OneImage, right: OneImage, suffix: str, settings: Mapping[str, object]) -> bytes:
    return encode_wiggle([left, right], ".webp", settings)


OUTPUT_FORMATS: Mapping[str, OutputFormat] = MappingProxyType(
    {
        "sbs": _still("side by side, left eye left: headsets, 3D television, parallel viewing", side_by_side, _beside),
        "sbs-half": _still(
            "side by side, each eye squeezed to half its width", partial(side_by_side, size="half"), _half_beside
        ),
        "cross-eyed": _still("side by side, right eye left: for crossed eyes, without any device", cross_eyed, _beside),
        "top-bottom": _still("left eye above the right", top_bottom, _above),
        "top-bottom-half": _still(
            "left eye above, each squeezed to half its height", partial(top_bottom, size="half"), _half_above
        ),
        "anaglyph": _still("red-cyan glasses, Dubois' colours", anaglyph),
        "anaglyph-green-magenta": _still("green-magenta glasses, Dubois", partial(anaglyph, method="green-magenta")),
        "anaglyph-amber-blue": _still("amber-blue glasses, Dubois", partial(anaglyph, method="amber-blue")),
        "anaglyph-color": _still("red-cyan glasses, channels as they are", partial(anaglyph, method="color")),
        "anaglyph-half-color": _still("red-cyan glasses, left eye grey", partial(anaglyph, method="half-color")),
        "anaglyph-gray": _still("red-cyan glasses, both eyes grey", partial(anaglyph, method="gray")),
        "anaglyph-true": _still("red-blue glasses, both eyes grey, darkest", partial(anaglyph, method="true")),
        "mpo": OutputFormat(
            about="both eyes in one file, as 3D cameras write it",
            suffixes=(".mpo",),
            parts=MappingProxyType({"": _mpo}),
        ),
        "wiggle-gif": OutputFormat(
            about="the eyes in turn, endlessly: no glasses",
            suffixes=(".gif",),
            parts=MappingProxyType({"": _wiggle_gif}),
        ),
        "wiggle-webp": OutputFormat(
            about="the same in full colour", suffixes=(".webp",), parts=MappingProxyType({"": _wiggle_webp})
        ),
        "eyes": OutputFormat(
            about="two files, one for each eye",
            suffixes=tuple(STILL_SUFFIXES),
            parts=MappingProxyType({"left": _left, "right": _right}),
        ),
    }
)


def output_format(name: str) -> OutputFormat:
    """The format of that name."""
    if name not in OUTPUT_FORMATS:
        raise FormatError(f"expected a format out of {', '.join(OUTPUT_FORMATS)}, got {name!r}")
    return OUTPUT_FORMATS[name]


def plan_files(path: Path, formats: Sequence[str]) -> Mapping[Path, Encode]:
    """Which file is made by what, in the given order.

    Raises:
        FormatError: If the path names no file, a format is unknown, or the suffix cannot hold it.
    """
    check_name(path)
    plan: dict[Path, Encode] = {}
    for name in formats:
        plan |= _files_of(path, name, alone=len(formats) == 1)
    return plan


def check_files(path: Path, formats: Sequence[str], also: Collection[Extra], size: Sequence[int]) -> None:
    """Refuse, before any work, what could not be written after it: by the paths, the formats and the size of the eyes.

    Args:
        path: As `plan_files` takes it.
        formats: Names of output formats.
        also: Extras.
        size: (height, width) of each eye.

    Raises:
        FormatError: If a file cannot be written, or its format cannot hold a picture of that size.
    """
    extras = [file for extra in also for file in extra_files(path, extra)]
    check_targets([*plan_files(path, formats), *extras])
    for name in formats:
        frame = output_format(name).frame(*size)
        for file in _files_of(path, name, alone=len(formats) == 1):
            check_frame(file, *frame)
    for file in extras:
        check_frame(file, *size)


def _named(
    name: str, encode: Encode, left: OneImage, right: OneImage, suffix: str, settings: Mapping[str, object]
) -> bytes:
    """Encode, the format's name among the settings."""
    return encode(left, right, suffix, {**settings, "format": name} if settings else settings)


def extra_files(path: Path, extra: Extra) -> tuple[Path, ...]:
    """Where an extra goes that is saved beside `path`: disparity as an exact map, and as a picture of it."""
    match extra:
        case "disparity":
            suffixes = (".pfm", ".png")
        case "occlusion":
            suffixes = (".png",)
        case "left" | "right":
            suffixes = (path.suffix if path.suffix.lower() in STILL_SUFFIXES else ".png",)
        case _:
            raise FormatError(f"expected {', '.join(get_args(Extra))}, got {extra!r}")
    return tuple(path.with_name(f"{path.stem}-{extra}{suffix}") for suffix in suffixes)


def _files_of(path: Path, name: str, *, alone: bool) -> dict[Path, Encode]:
    """The files of one format, alone or among several."""
    kind = output_format(name)
    suffix = _suffix(path, name, kind, alone=alone)
    files: dict[Path, Encode] = {}
    for end, encode in kind.parts.items():
        ends = [end] if end else [] if alone else [name]
        files[path.with_name("-".join([path.stem, *ends]) + suffix)] = partial(_named, name, encode)
    return files


def _suffix(path: Path, name: str, kind: OutputFormat, *, alone: bool) -> str:
    if path.suffix.lower() in kind.suffixes:
        return path.suffix
    if alone and path.suffix:
        raise FormatError(f"{path}: {name} goes into {' or '.join(kind.suffixes)}, got {path.suffix}")
    return kind.suffixes[0]
