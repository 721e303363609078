"""What the readers of all data sets share: finding the folders of scenes, and reading a pair with its maps."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.errors import ConfigError, DatasetError, FormatError, GeometryError
from stereodiffusion.formats import RawMap, disparity_from_map, read_image, read_map
from stereodiffusion.geometry import Disparity

_DEEPEST = 6  # folders below the one that is opened: a release, a part, a size, a scene, and some to spare


def folders_where(root: Path, holds: Callable[[Path], bool]) -> tuple[str, ...]:
    """The folders at or below `root` for which `holds` says yes, as paths relative to it, in order.

    What lies inside such a folder is not looked at, nor is what is hidden.
    """
    return tuple(folder.relative_to(root).as_posix() for folder in _walk(root, holds, _DEEPEST))


def read_pair(
    name: str,
    left: Path,
    right: Path,
    *,
    scale: float | Callable[[RawMap], float] | None = None,
    disparity: Path | None = None,
    right_disparity: Path | None = None,
    occlusion: Path | None = None,
    only_positive: bool = False,
) -> StereoSample:
    """A pair from its files.

    Args:
        name: What the scene is called.
        left: The left eye's picture.
        right: The right eye's picture.
        scale: Of maps that hold integers, where 0 then means unknown: value / scale is in pixels. Maps of real
            numbers hold pixels; there what is not finite is unknown.
        disparity: Map of the left eye.
        right_disparity: Map of the right eye.
        occlusion: Picture of what the left eye does not see of the right one: white.
        only_positive: Whether the publisher's disparities are all above 0; what is not is then unknown.

    Raises:
        DatasetError: If a file is missing, damaged or of another size than the left picture. It names the file.
    """
    maps = {
        path: _read_disparity(path, scale, only_positive=only_positive)
        for path in (disparity, right_disparity)
        if path is not None
    }
    try:
        regions = [] if occlusion is None else [occlusion]
        pictures = {path: read_image(path) for path in (left, right, *regions)}
    except FormatError as refused:
        raise DatasetError(str(refused)) from refused
    height, width = pictures[left].shape[2:]
    sizes = {path: tuple(picture.shape[2:]) for path, picture in pictures.items()}
    sizes |= {path: found.size for path, found in maps.items()}
    for path, size in sizes.items():
        if size != (height, width):
            raise DatasetError(f"{path}: expected {height} x {width} like {left.name}, got {size[0]} x {size[1]}")
    return StereoSample(
        name=name,
        left=pictures[left],
        right=pictures[right],
        disparity=None if disparity is None else maps[disparity],
        right_disparity=None if right_disparity is None else maps[right_disparity],
        occlusion=None if occlusion is None else pictures[occlusion][:, :1] > 0.5,
    )


def first_existing(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first of several files that is there."""
    return next((folder / name for name in names if (folder / name).exists()), None)


def _read_disparity(path: Path, scale: float | Callable[[RawMap], float] | None, *, only_positive: bool) -> Disparity:
    try:
        raw = read_map(path)
        if only_positive:
            raw = replace(raw, values=raw.values.where(raw.values > 0, torch.nan))
        if not raw.is_integer:
            return disparity_from_map(raw, "disparity-px")
        levels = scale(raw) if callable(scale) else scale
        return disparity_from_map(raw, "disparity-px", scale=levels, unknown="zero")
    except (ConfigError, FormatError, GeometryError) as refused:
        raise DatasetError(str(refused)) from refused


def _walk(folder: Path, holds: Callable[[Path], bool], depth: int) -> Iterator[Path]:
    if holds(folder):
        yield folder
    elif depth > 0:
        try:
            inside = sorted(entry for entry in folder.iterdir() if entry.is_dir())
        except OSError as failed:
            raise DatasetError(f"{folder}: cannot be listed: {failed.strerror}") from failed
        for entry in inside:
            if not entry.name.startswith((".", "__MACOSX")):
                yield from _walk(entry, holds, depth - 1)
