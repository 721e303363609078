"""The names of the files that a command writes, settled before any work is done."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

from stereodiffusion.cli.choices import BUNDLES, EXTRAS, FORMATS, NAMES, VIEW_FORMATS, Bundle, Extra, Names
from stereodiffusion.cli.lists import listed
from stereodiffusion.cli.paths import usable
from stereodiffusion.errors import FormatError
from stereodiffusion.request import Request, Views

_LONGEST_STEM = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What is written.

    Attributes:
        formats: Names of output formats, of pairs or of views.
        also: What is written besides.
        views: How many views there are; None for a pair.
        names: How the files of a pair are named.
        window: Whether a pair gets a floating window.
        bundle: The layout of the research bundle beside the files of pairs, if there is to be one.
    """

    formats: tuple[str, ...]
    also: tuple[Extra, ...] = ()
    views: int | None = None
    names: Names = "plain"
    window: bool = False
    bundle: Bundle | None = None

    @classmethod
    def of(
        cls,
        formats: Sequence[str],
        also: Sequence[str],
        request: Request,
        *,
        names: str = "plain",
        window: bool = False,
        bundle: str | None = None,
    ) -> "Files":
        """What was asked for, checked against what is made.

        Raises:
            FormatError: If a name is unknown, or is not for what is made.
        """
        views = len(request.wanted.positions) if isinstance(request.wanted, Views) else None
        asked = listed(formats, (*FORMATS, *VIEW_FORMATS), "--format")
        wrong = [name for name in asked if (name in VIEW_FORMATS) != (views is not None)]
        if wrong and views is not None:
            raise FormatError(f"several views go into {' and '.join(VIEW_FORMATS)}, got --format {', '.join(wrong)}")
        if wrong:
            raise FormatError(
                f"--format {', '.join(wrong)} is for several views: say which with --views or --baselines"
            )
        extras = listed(also, EXTRAS, "--also")
        if extras and views is not None:
            raise FormatError(f"--also is for a pair, not for several views, got {', '.join(extras)}")
        if window and views is not None:
            raise FormatError("--floating-window is for a pair, not for several views")
        layout = checked_bundle(bundle, window=window)
        if layout is not None and views is not None:
            raise FormatError("--bundle is for a pair, not for several views")
        default = ("sbs",) if views is None else ("views",)
        return cls(
            formats=asked or default,
            also=cast(tuple[Extra, ...], extras),
            views=views,
            names=checked_names(names),
            window=window,
            bundle=layout,
        )

    def check_size(self, path: Path) -> Callable[[int, int], None]:
        """What refuses eyes of a (height, width) that the files of a pair at a path cannot hold."""

        def check(height: int, width: int) -> None:
            from stereodiffusion.formats.naming import check_files

            if self.views is None:
                check_files(path, self.formats, self.also, (height, width), self.names)

        return check


def checked_names(asked: str) -> Names:
    """How files are named.

    Raises:
        FormatError: If there is no such way.
    """
    for known in NAMES:
        if asked == known:
            return known
    raise FormatError(f"--names must be one of {', '.join(NAMES)}, got {asked!r}")


def checked_bundle(asked: str | None, *, window: bool) -> Bundle | None:
    """The layout of a bundle.

    Args:
        asked: Its name.
        window: Whether pairs get a floating window, whose bars lie over what a bundle tells of.

    Raises:
        FormatError: If there is no such layout, or the bars would cover what it tells of.
    """
    if asked is not None and window:
        raise FormatError("--floating-window lays bars over the pictures that --bundle tells of: leave one of them out")
    for known in BUNDLES:
        if asked == known:
            return known
    if asked is not None:
        raise FormatError(f"--bundle must be one of {', '.join(BUNDLES)}, got {asked!r}")
    return None


def settle_output(output: Path | None, stem: str, files: Files, *, inputs: Sequence[Path] = ()) -> Path:
    """Where to write.

    Args:
        output: What the user asked for: a file, a folder or nothing.
        stem: The name of the file if the user gave none; numbered as soon as one of the files is there already.
        files: What is written.
        inputs: Files that must not be replaced.

    Raises:
        FormatError: If the folder is missing or locked, a suffix cannot hold the format, or an input would be replaced.
    """
    with usable(output or Path(stem)):
        if output is None or output.is_dir():
            return _free(Path() if output is None else output, stem, files)
        return _asked_for(output, files, inputs)


def _free(folder: Path, stem: str, files: Files) -> Path:
    """The first numbered name of which no file is there."""
    _check_folder(folder)
    # Spelled out, so that what follows a dot in the stem is not taken for a suffix.
    from stereodiffusion.formats.outputs import OUTPUT_FORMATS

    alone = len(files.formats) == 1 and files.views is None
    suffix = OUTPUT_FORMATS[files.formats[0]].suffixes[0] if alone else ".png"
    numbered = (folder / f"{stem}{'' if number == 1 else f'-{number}'}{suffix}" for number in count(1))
    return next(
        path
        for path in numbered
        if not any(file.exists() for file in (*written_files(path, files), *_bundles(path, files)))
    )


def _asked_for(output: Path, files: Files, inputs: Sequence[Path]) -> Path:
    """The very file, if it can be written."""
    from stereodiffusion.bundles import check_free
    from stereodiffusion.formats.files import check_targets
    from stereodiffusion.formats.outputs import OUTPUT_FORMATS
    from stereodiffusion.views import checked_path

    _check_folder(output.parent)
    if files.views is not None:
        output = checked_path(output, files.formats)
    elif output.suffix and not any(output.suffix.lower() in OUTPUT_FORMATS[name].suffixes for name in files.formats):
        suffixes = dict.fromkeys(suffix for name in files.formats for suffix in OUTPUT_FORMATS[name].suffixes)
        raise FormatError(f"{output}: {', '.join(files.formats)} goes into {', '.join(suffixes)}, got {output.suffix}")
    for folder in _bundles(output, files):
        check_free(folder)
    taken = {file.resolve() for file in inputs}
    for file, target in check_targets(written_files(output, files)).items():
        if target in taken:
            raise FormatError(f"{file} is read by this command and would be replaced: choose another --output")
    return output


def bundle_folder(path: Path, layout: Bundle) -> Path:
    """Where the bundle beside a file goes."""
    return path.with_name(f"{path.stem}-{layout}")


def _bundles(path: Path, files: Files) -> list[Path]:
    return [] if files.bundle is None else [bundle_folder(path, files.bundle)]


def written_files(path: Path, files: Files) -> list[Path]:
    """All files that saving to `path` writes, or that it would replace."""
    from stereodiffusion.formats.layouts.quilt import quilts_of
    from stereodiffusion.formats.naming import extra_files, plan_files
    from stereodiffusion.views import view_file

    if files.views is not None:
        views = [view_file(path, number, files.views) for number in range(files.views)]
        return [*(views if "views" in files.formats else []), *(quilts_of(path) if "quilt" in files.formats else [])]
    return [
        *plan_files(path, files.formats, files.names),
        *(file for extra in files.also for file in extra_files(path, extra)),
    ]


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
