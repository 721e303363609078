"""The names of the files that a command writes, settled before any work is done."""

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from stereodiffusion.cli.checking import Common
from stereodiffusion.cli.paths import usable
from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import check_targets
from stereodiffusion.formats.image import STILL_SUFFIXES
from stereodiffusion.formats.outputs import OUTPUT_FORMATS, plan_files
from stereodiffusion.formats.quilt import quilts_of
from stereodiffusion.views import checked_path, view_file

_LONGEST_STEM = 60


def settle_output(output: Path | None, stem: str, common: Common, *, inputs: Sequence[Path] = ()) -> Path:
    """Where to write.

    Args:
        output: What the user asked for: a file, a folder or nothing.
        stem: The name of the file if the user gave none; numbered as soon as one of the files is there already.
        common: Formats and what to write besides.
        inputs: Files that must not be replaced.

    Raises:
        FormatError: If the folder is missing or locked, a suffix cannot hold the format, or an input would be replaced.
    """
    with usable(output or Path(stem)):
        if output is None or output.is_dir():
            return _free(Path() if output is None else output, stem, common)
        return _asked_for(output, common, inputs)


def _free(folder: Path, stem: str, common: Common) -> Path:
    """The first numbered name of which no file is there."""
    _check_folder(folder)
    # Spelled out, so that what follows a dot in the stem is not taken for a suffix.
    alone = len(common.formats) == 1 and common.positions is None
    suffix = OUTPUT_FORMATS[common.formats[0]].suffixes[0] if alone else ".png"
    numbered = (folder / f"{stem}{'' if number == 1 else f'-{number}'}{suffix}" for number in count(1))
    return next(path for path in numbered if not any(file.exists() for file in written_files(path, common)))


def _asked_for(output: Path, common: Common, inputs: Sequence[Path]) -> Path:
    """The very file, if it can be written."""
    _check_folder(output.parent)
    if common.positions is not None:
        output = checked_path(output, common.formats)
    elif output.suffix and not any(output.suffix.lower() in OUTPUT_FORMATS[name].suffixes for name in common.formats):
        suffixes = dict.fromkeys(suffix for name in common.formats for suffix in OUTPUT_FORMATS[name].suffixes)
        raise FormatError(f"{output}: {', '.join(common.formats)} goes into {', '.join(suffixes)}, got {output.suffix}")
    taken = {file.resolve() for file in inputs}
    for file, target in check_targets(written_files(output, common)).items():
        if target in taken:
            raise FormatError(f"{file} is read by this command and would be replaced: choose another --output")
    return output


def written_files(path: Path, common: Common) -> list[Path]:
    """All files that saving to `path` writes, or that it would replace."""
    if common.positions is not None:
        count = len(common.positions)
        views = [view_file(path, number, count) for number in range(count)] if "views" in common.formats else []
        return [*views, *(quilts_of(path) if "quilt" in common.formats else [])]
    still = path.suffix if path.suffix.lower() in STILL_SUFFIXES else ".png"
    suffixes = {"disparity": ".pfm", "occlusion": ".png", "left": still, "right": still}
    extras = [path.with_name(f"{path.stem}-{extra}{suffixes[extra]}") for extra in common.also]
    return [*plan_files(path, common.formats), *extras]


def stem_of(prompt: str) -> str:
    """A file name from a prompt: its words, joined with hyphens."""
    words = "".join(letter if letter.isalnum() else " " for letter in prompt.lower()).split()
    stem = ""
    for word in words:
        if stem and len(stem) + 1 + len(word) > _LONGEST_STEM:
            break
        stem = f"{stem}-{word}" if stem else word[:_LONGEST_STEM]
    return stem or "stereo"


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise FormatError(f"the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise FormatError(f"the folder {folder} cannot be written to")
