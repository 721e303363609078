"""What is written of each result, and how it appears whole."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stereodiffusion import temporary
from stereodiffusion.errors import FormatError
from stereodiffusion.request import Request, Views

if TYPE_CHECKING:
    from stereodiffusion.bundles import BundleName
    from stereodiffusion.pair import StereoPair
    from stereodiffusion.synthesis import ViewRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What is written, and all besides the request that it depends on.

    Attributes:
        formats: Names of output formats, of pairs or of views; if none, side by side or single views.
        also: What is written besides of pairs.
        window: Whether pairs get a floating window.
        bundle: The layout in which pairs are gathered, with all that is known of them; None for none.
        dtype: The precision that was asked for.
        tiles: Whether the autoencoder works in tiles.
    """

    formats: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    window: bool = False
    dtype: str = "auto"
    tiles: bool = False
    bundle: "BundleName | None" = None

    def formats_of(self, request: Request) -> tuple[str, ...]:
        """The formats of what a request makes.

        Raises:
            FormatError: If what was asked for is not for that.
        """
        from stereodiffusion.formats.outputs import OUTPUT_FORMATS

        views = isinstance(request.wanted, Views)
        wrong = [name for name in self.formats if (name not in OUTPUT_FORMATS) != views]
        if wrong:
            raise FormatError(f"the format {', '.join(wrong)} is for {'a pair' if views else 'several views'}")
        if views and (self.also or self.window or self.bundle):
            raise FormatError(
                "what is written besides, bundles and the floating window are for a pair, not for several views"
            )
        return self.formats or (("views",) if views else ("sbs",))

    def check(self, request: Request) -> None:
        """Refuse, before any work, what cannot be written of a request.

        Raises:
            ConfigError: If the layout of the bundle cannot hold what its settings make.
            FormatError: If what was asked for is not for what it makes.
        """
        from stereodiffusion.bundles import check_layout

        self.formats_of(request)
        if self.bundle is not None:
            check_layout(self.bundle, request.settings())

    def suffix_of(self, request: Request) -> str:
        """The suffix of a result of one file."""
        from stereodiffusion.formats.outputs import OUTPUT_FORMATS

        formats = self.formats_of(request)
        alone = len(formats) == 1 and formats[0] in OUTPUT_FORMATS
        return OUTPUT_FORMATS[formats[0]].suffixes[0] if alone else ".png"

    def check_size(self, target: Path, request: Request, size: tuple[int, int]) -> None:
        """Refuse eyes of a (height, width) that the files of a pair cannot hold.

        Raises:
            FormatError: If they cannot.
        """
        from stereodiffusion.formats.naming import check_files

        if not isinstance(request.wanted, Views):
            check_files(target, self.formats_of(request), cast(Any, self.also), size)

    def write_pair(self, pair: "StereoPair", request: Request, target: Path) -> Path:
        """Write a pair, whole; gives its file, or the folder of its files.

        Raises:
            FormatError: If it cannot be written.
        """
        pair = pair.with_floating_window() if self.window else pair
        staged = temporary.folder_beside(target)
        try:
            pair.save(staged / target.name, format=self.formats_of(request), also=cast(Any, self.also))
            if self.bundle is not None:
                _add_to_bundle(pair, request, self.bundle, staged, target.stem)
            return publish(staged, target)
        finally:
            temporary.remove(staged)

    def write_views(self, run: "ViewRun", request: Request, target: Path) -> Path:
        """Make views and write each as it comes; they appear together. Gives the file or the folder of them.

        Raises:
            FormatError: If they cannot be written.
        """
        from stereodiffusion.views import save_views

        staged = temporary.folder_beside(target)
        try:
            for _ in save_views(run, run.positions, staged / target.name, cast(Any, self.formats_of(request))):
                pass
            return publish(staged, target)
        finally:
            temporary.remove(staged)


def _add_to_bundle(pair: "StereoPair", request: Request, layout: "BundleName", staged: Path, name: str) -> None:
    from stereodiffusion.bundles import annotate_all, camera_of, write_loose

    for each in annotate_all(pair, name, camera_of(request, pair)):
        write_loose(each, layout, staged)


def publish(staged: Path, target: Path) -> Path:
    """Let what is in a temporary folder appear beside it, in one step.

    Args:
        staged: The folder, in the folder of `target`.
        target: A single file replaces what has its own name there; several appear in a folder of the name of `target`
            without its suffix, unless that is there already.

    Returns:
        The file, or the folder.

    Raises:
        FormatError: If the disk says no.
    """
    try:
        with temporary.kept_whole(staged):
            return _renamed(staged, target)
    except OSError as failed:
        raise FormatError(f"{target}: cannot be written: {failed.strerror}") from failed


def _renamed(staged: Path, target: Path) -> Path:
    files = list(staged.iterdir())
    if len(files) == 1:
        return files[0].replace(target.with_name(files[0].name))
    final = target.with_name(target.stem)
    if final.is_symlink():
        final.unlink()
    try:
        return staged.rename(final)
    except OSError:
        if final.is_dir():  # also if another worker was quicker: whatever has this name has the same content
            return final
        raise


def find_result(target: Path) -> Path | None:
    """The result that would be written to `target`: its file, or the folder of its files; None if it is not there.

    A name that leads elsewhere is no result; it is replaced.
    """
    for path in (target, target.with_name(target.stem)):
        if os.path.lexists(path) and not path.is_symlink():
            return path
    return None
