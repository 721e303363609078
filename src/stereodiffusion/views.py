"""Views of a scene beside one source: what multi-baseline sets and light-field displays are made of."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.files import PathLike, check_name, write_files
from stereodiffusion.formats.layouts.quilt import Quilt
from stereodiffusion.formats.pictures.image import STILL_SUFFIXES, encode_image, encoding
from stereodiffusion.types import Image, Region

ViewFormat: TypeAlias = Literal["views", "quilt"]
"""A file for each view, or one picture of them all for a light-field display."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A picture of the scene from one place, or a batch of them.

    Attributes:
        position: In baselines to the right of the source; 0 is the source itself.
        picture: What is seen from there.
        occlusion: The cells that show what is not seen from the source.
        provenance: What made it, as JSON values; goes into the saved file.
    """

    position: float
    picture: Image
    occlusion: Region
    provenance: Mapping[str, object]


def save_views(
    views: Iterable[View], positions: Sequence[float], path: PathLike, formats: Collection[ViewFormat]
) -> Iterator[Path]:
    """Write views as they come, holding none; yields the path of each file once it is there, whole.

    Args:
        views: From left to right, single pictures.
        positions: Of these views.
        path: `views` go to `<stem>-00<suffix>`, `<stem>-01<suffix>` and so on, from the left; a `quilt` goes to
            `<stem>_qs<columns>x<rows>a<aspect><suffix>`. Without a suffix they are PNG. Existing files are replaced.
        formats: One or both of `views` and `quilt`.

    Raises:
        FormatError: If a format is unknown, a file cannot be written, or the views are batches.
    """
    path = checked_path(Path(path), formats)
    quilt: Quilt | None = None
    provenance: Mapping[str, object] = {}
    for number, view in enumerate(views):
        if len(view.picture) != 1:
            raise FormatError(
                f"expected views of one picture, got a batch of {len(view.picture)}: make them one by one"
            )
        if "views" in formats:
            file = view_file(path, number, len(positions))
            with encoding(file):
                content = encode_image(view.picture, file.suffix, {**view.provenance, "format": "views"})
            yield from write_files({file: content})
        if "quilt" in formats:
            quilt = quilt or Quilt(len(positions), *view.picture.shape[2:])
            quilt.put(number, view.picture)
            provenance = {**view.provenance, "position": list(positions), "format": "quilt"}
    if quilt is not None:
        file = quilt.named(path)
        with encoding(file):
            content = quilt.encode(file.suffix, provenance)
        yield from write_files({file: content})


def view_file(path: Path, number: int, count: int) -> Path:
    """The file of one of `count` views: numbers are padded with zeros, so that names sort as the views do."""
    digits = max(2, len(str(count - 1)))
    return path.with_name(f"{path.stem}-{number:0{digits}}{path.suffix}")


def checked_path(path: Path, formats: Collection[str]) -> Path:
    """The path with a suffix.

    Raises:
        FormatError: If a format is unknown or the suffix is of no still picture.
    """
    known = get_args(ViewFormat)
    if not formats or not set(formats) <= set(known):
        raise FormatError(f"several views go into {' or '.join(known)}, got {', '.join(formats) or 'no format'}")
    check_name(path)
    if path.suffix and path.suffix.lower() not in STILL_SUFFIXES:
        raise FormatError(f"{path}: views go into {', '.join(STILL_SUFFIXES)}, got {path.suffix}")
    return path if path.suffix else path.with_name(f"{path.name}.png")
