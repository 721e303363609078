"""Data sets by name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.eth3d import open_eth3d
from stereodiffusion.datasets.folder import open_folder
from stereodiffusion.datasets.kitti import open_kitti
from stereodiffusion.datasets.middlebury import open_middlebury
from stereodiffusion.datasets.procedural import open_scenes
from stereodiffusion.datasets.webdataset import open_webdataset
from stereodiffusion.errors import DatasetError

DatasetName = Literal["middlebury", "kitti", "eth3d", "folder", "webdataset", "scenes", "auto"]

_ON_DISK: Mapping[str, Callable[[Path], StereoDataset]] = MappingProxyType(
    {
        "middlebury": open_middlebury,
        "kitti": open_kitti,
        "eth3d": open_eth3d,
        "folder": open_folder,
        "webdataset": open_webdataset,
    }
)


def open_dataset(
    name: str,
    folder: Path | None = None,
    *,
    count: int | None = None,
    seed: int = 0,
    size: tuple[int, int] = (512, 512),
) -> StereoDataset:
    """A data set, of which only the names of the scenes are read yet.

    Args:
        name: One of `DatasetName`. `auto` finds out which of those on disk lies in the folder.
        folder: Where it lies; any folder above will do. Not for `scenes`, which are drawn.
        count: At most so many scenes, the first ones; all by default, of `scenes` 20.
        seed: Of the first of `scenes`.
        size: (height, width) of `scenes`.

    Raises:
        DatasetError: If there is no such data set, or no scene of it in the folder.
    """
    if name not in get_args(DatasetName):
        raise DatasetError(f"expected a data set out of {', '.join(get_args(DatasetName))}, got {name!r}")
    if count is not None and count < 1:
        raise DatasetError(f"expected a count of at least 1, got {count}")
    if name == "scenes":
        return open_scenes(20 if count is None else count, seed=seed, size=size)
    if folder is None or not folder.is_dir():
        raise DatasetError(f"{name} needs the folder where it lies" if folder is None else f"{folder}: no such folder")
    found = (_recognise(folder) if name == "auto" else _ON_DISK[name])(folder)
    if not found.scenes:
        raise DatasetError(f"{folder}: no scene of {name} in it; its layout is told in stereodiffusion.datasets.{name}")
    return replace(found, scenes=found.scenes[:count])


def _recognise(folder: Path) -> Callable[[Path], StereoDataset]:
    """ETH3D's scenes have the names of Middlebury's of 2014: what tells them apart is the archive's own."""
    two_view = any("two_view" in str(path) for path in (folder.resolve(), *folder.glob("*"), *folder.glob("*/*")))
    candidates = [name for name in _ON_DISK if name != ("middlebury" if two_view else "eth3d")]
    found = [name for name in candidates if _ON_DISK[name](folder).scenes]
    if len(found) != 1:
        raise DatasetError(
            f"{folder}: expected one data set, got {' and '.join(found)}: say which"
            if found
            else f"{folder}: no scene of {', '.join(_ON_DISK)} in it"
        )
    return _ON_DISK[found[0]]
