"""Shards of WebDataset: tar files in which the members of a sample lie side by side and share a key.

    KEY.left.png KEY.right.png, and if there are any KEY.disparity.npy KEY.right_disparity.npy KEY.right_occlusion.png

as `stereodiffusion.bundles` writes them. Disparity is in pixels, NaN where unknown. Nothing is unpacked: members are
read in memory, and their names are names only. A member that is a link or no plain file is passed over.
"""

import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.errors import ConfigError, DatasetError, FormatError, GeometryError, first_line
from stereodiffusion.formats.limits import MOST_FILE_BYTES
from stereodiffusion.formats.maps import decode_map, disparity_from_map
from stereodiffusion.formats.pictures.image import decode_image, decoding
from stereodiffusion.geometry import Disparity
from stereodiffusion.types import Image

_DEEPEST = 3
"""Folders below the one that is opened in which shards are looked for."""

_MOST_MEMBERS = 1_000_000
_LEFT, _RIGHT = "left.png", "right.png"
_DISPARITY, _RIGHT_DISPARITY, _OCCLUSION = "disparity.npy", "right_disparity.npy", "right_occlusion.png"


def open_webdataset(folder: Path) -> StereoDataset:
    """All pairs of the shards at or below a folder; named by shard and key, such as `train-000003/000042`.

    Raises:
        DatasetError: If a shard is damaged.
    """
    scenes = [
        f"{shard.relative_to(folder).with_suffix('').as_posix()}/{key}"
        for shard in _shards(folder)
        for key in _keys(shard)
    ]
    return StereoDataset(name="webdataset", scenes=tuple(scenes), reader=partial(_read, folder))


def _shards(folder: Path) -> list[Path]:
    patterns = ["/".join(["*"] * depth + ["*.tar"]) for depth in range(_DEEPEST + 1)]
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())


def _keys(shard: Path) -> list[str]:
    """The keys of a shard's pairs, in their order; of which one eye is missing is found out when it is read."""
    found: dict[str, None] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for number, member in enumerate(archive):
                if number >= _MOST_MEMBERS:
                    raise DatasetError(f"{shard}: expected at most {_MOST_MEMBERS} members, got more")
                key, _, part = member.name.partition(".")
                if member.isreg() and part in (_LEFT, _RIGHT) and "/" not in key:
                    found[key] = None
    except (tarfile.TarError, OSError, ValueError) as wrong:
        if isinstance(wrong, DatasetError):
            raise
        raise DatasetError(f"{shard}: expected a tar file: {first_line(wrong)}") from wrong
    return list(found)


def _read(root: Path, scene: str) -> StereoSample:
    place, _, key = scene.rpartition("/")
    shard = root / f"{place}.tar"
    parts = _members(shard, key)
    left, right = (_picture(shard, key, part, parts) for part in (_LEFT, _RIGHT))
    if left is None or right is None:
        raise DatasetError(f"{shard}: {key} has no {_RIGHT if right is None else _LEFT}")
    disparity, right_disparity = (_map(shard, key, part, parts) for part in (_DISPARITY, _RIGHT_DISPARITY))
    occlusion = _picture(shard, key, _OCCLUSION, parts)
    size = left.shape[2:]
    for part, found in {
        _RIGHT: right.shape[2:],
        _OCCLUSION: None if occlusion is None else occlusion.shape[2:],
    }.items():
        _check_size(shard, key, part, found, size)
    for part, found in {_DISPARITY: disparity, _RIGHT_DISPARITY: right_disparity}.items():
        _check_size(shard, key, part, None if found is None else found.size, size)
    return StereoSample(
        name=scene,
        left=left,
        right=right,
        disparity=disparity,
        right_disparity=right_disparity,
        occlusion=None if occlusion is None else occlusion[:, :1] > 0.5,
    )


def _members(shard: Path, key: str) -> Mapping[str, bytes]:
    """The members of a key that are meant, by what they are."""
    wanted = {f"{key}.{part}": part for part in (_LEFT, _RIGHT, _DISPARITY, _RIGHT_DISPARITY, _OCCLUSION)}
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.name not in wanted or not member.isreg() or member.issparse():
                    continue
                if member.size > MOST_FILE_BYTES:
                    raise DatasetError(f"{shard}: {member.name} is too large: {member.size} bytes")
                file = archive.extractfile(member)
                found[wanted[member.name]] = b"" if file is None else file.read()
    except (tarfile.TarError, OSError, ValueError) as wrong:
        if isinstance(wrong, DatasetError):
            raise
        raise DatasetError(f"{shard}: expected a tar file: {first_line(wrong)}") from wrong
    return found


def _picture(shard: Path, key: str, part: str, parts: Mapping[str, bytes]) -> Image | None:
    if part not in parts:
        return None
    try:
        with decoding(shard / f"{key}.{part}"):
            return decode_image(parts[part])
    except FormatError as refused:
        raise DatasetError(str(refused)) from refused


def _map(shard: Path, key: str, part: str, parts: Mapping[str, bytes]) -> Disparity | None:
    if part not in parts:
        return None
    name = shard / f"{key}.{part}"
    try:
        with decoding(name):
            raw = decode_map(parts[part], str(name))
        return disparity_from_map(raw, "disparity-px")
    except (ConfigError, FormatError, GeometryError) as refused:
        raise DatasetError(str(refused)) from refused


def _check_size(shard: Path, key: str, part: str, found: tuple[int, ...] | None, expected: tuple[int, ...]) -> None:
    if found is not None and tuple(found) != tuple(expected):
        raise DatasetError(
            f"{shard}: expected {key}.{part} of {expected[0]} x {expected[1]} like the left eye's, got {found[0]} x "
            f"{found[1]}"
        )
