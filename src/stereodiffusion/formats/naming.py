"""The names of the files that a pair goes to, and what they hold.

One format goes exactly to the path that was asked for; its suffix must be one that holds the format, and a path
without a suffix gets the format's own. Several formats go to `<stem>-<format><suffix>`, with the suffix of the path
where it fits. The two separate eyes are always `<stem>-left` and `<stem>-right`, and extras `<stem>-<extra>`.

With names for players (`names="players"`) a stem ends as players expect it, such as `_LRF_Full_SBS`, alone or among
several; formats for which there is no such custom are named as above.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.extras import check_extra
from stereodiffusion.formats.eyes import Eyes
from stereodiffusion.formats.files import PathLike, check_name, check_targets, write_files
from stereodiffusion.formats.limits import check_frame
from stereodiffusion.formats.outputs import OutputFormat, encode, output_format
from stereodiffusion.formats.pictures.image import STILL_SUFFIXES, encoding

Extra = Literal["disparity", "disparity-kitti", "disparity-exr", "occlusion", "left", "right"]
"""What can be saved beside the formats: see `StereoPair.save`."""

Names = Literal["plain", "players"]


class Part(NamedTuple):
    """A format, and which of its files."""

    format: str
    part: str


def plan_files(path: Path, formats: Sequence[str], names: Names = "plain") -> Mapping[Path, Part]:
    """Which file is made by what, in the given order.

    Raises:
        FormatError: If the path names no file, a format is unknown, the suffix cannot hold it, two would have the
            same name, or a library that it needs is not installed.
    """
    check_name(path)
    plan: dict[Path, Part] = {}
    for name in formats:
        plan |= _files_of(path, name, alone=len(formats) == 1, names=names)
        if (extra := output_format(name).extra) is not None:
            check_extra(extra)
    return plan


def encode_files(path: Path, formats: Sequence[str], eyes: Eyes, names: Names = "plain") -> dict[Path, bytes]:
    """The content of every file of a pair.

    Raises:
        FormatError: As `plan_files`, or if a file cannot be encoded.
    """
    contents: dict[Path, bytes] = {}
    for target, (name, part) in plan_files(path, formats, names).items():
        with encoding(target):
            contents[target] = encode(name, eyes, target.suffix, part=part)
    return contents


def write_pair(path: PathLike, eyes: Eyes, formats: str | Sequence[str], *, names: Names = "plain") -> list[Path]:
    """Writes a pair, all files or none, and returns their paths.

    Args:
        path: Of a single format; several go beside it, see the module.
        eyes: The pair.
        formats: One or several of `OUTPUT_FORMATS`.
        names: How files are named.

    Raises:
        FormatError: If a file cannot be written, or the eyes have not what a format needs.
    """
    chosen = [formats] if isinstance(formats, str) else list(dict.fromkeys(formats))
    check_files(Path(path), chosen, (), eyes.size, names)
    return write_files(encode_files(Path(path), chosen, eyes, names))


def check_files(
    path: Path, formats: Sequence[str], also: Collection[Extra], size: Sequence[int], names: Names = "plain"
) -> None:
    """Refuse, before any work, what could not be written after it: by the paths, the formats and the size of the eyes.

    Args:
        path: As `plan_files` takes it.
        formats: Names of output formats.
        also: Extras.
        size: (height, width) of each eye.
        names: How files are named.

    Raises:
        FormatError: If a file cannot be written, or its format cannot hold a picture of that size.
    """
    extras = [file for extra in also for file in extra_files(path, extra)]
    plan = plan_files(path, formats, names)
    check_targets([*plan, *extras])
    for file, (name, _) in plan.items():
        check_frame(file, *output_format(name).frame(*size))
    for file in extras:
        check_frame(file, *size)


def extra_files(path: Path, extra: Extra) -> tuple[Path, ...]:
    """Where an extra goes that is saved beside `path`: disparity as an exact map, and as a picture of it."""
    match extra:
        case "disparity":
            ends = ("disparity.pfm", "disparity.png")
        case "disparity-kitti":
            ends = ("disparity-kitti.png",)
        case "disparity-exr":
            check_extra("exr")
            ends = ("disparity.exr",)
        case "occlusion":
            ends = ("occlusion.png",)
        case "left" | "right":
            ends = (extra + (path.suffix if path.suffix.lower() in STILL_SUFFIXES else ".png"),)
        case _:
            raise FormatError(f"expected {', '.join(get_args(Extra))}, got {extra!r}")
    return tuple(path.with_name(f"{path.stem}-{end}") for end in ends)


def _files_of(path: Path, name: str, *, alone: bool, names: Names) -> dict[Path, Part]:
    """The files of one format, alone or among several."""
    kind = output_format(name)
    suffix = _suffix(path, name, kind, alone=alone)
    files: dict[Path, Part] = {}
    for part in kind.parts:
        if part:
            end = f"-{part}"
        elif names == "players" and kind.ending:
            end = "" if path.stem.endswith(kind.ending) else kind.ending
        else:
            end = "" if alone else f"-{name}"
        files[path.with_name(path.stem + end + suffix)] = Part(name, part)
    return files


def _suffix(path: Path, name: str, kind: OutputFormat, *, alone: bool) -> str:
    if path.suffix.lower() in kind.suffixes:
        return path.suffix
    if alone and path.suffix:
        raise FormatError(f"{path}: {name} goes into {' or '.join(kind.suffixes)}, got {path.suffix}")
    return kind.suffixes[0]
