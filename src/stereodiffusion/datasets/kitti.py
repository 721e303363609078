"""KITTI stereo 2012 and 2015, https://www.cvlibs.net/datasets/kitti, as the archives unpack.

    2015    image_2 image_3 disp_occ_0
    2012    colored_0 colored_1, or grey image_0 image_1; disp_occ

side by side in `training`, and without disparity in `testing`; each holds `000000_10.png` and so on. Disparity is
stored as 256 d in 16 bits, 0 is unknown; it was measured with a laser scanner and covers a fifth of a picture
(see `densify`). `disp_noc` serves where `disp_occ` was not unpacked: it leaves out what the right eye does not see.
`disp_occ_1` is no map of the right eye but of the next moment, as are the pictures `_11.png`; none of them is read.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.reading import first_existing, folders_where, read_pair
from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.errors import DatasetError
from stereodiffusion.formats import RawMap

_SCALE = 256.0
_FRAMES = "*_10.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    """Folders of (left, right) pictures and of disparity, the preferred first."""

    views: tuple[tuple[str, str], ...]
    disparity: tuple[str, ...]

    @property
    def pictures(self) -> tuple[str, ...]:
        return tuple(eye for pair in self.views for eye in pair)


_RELEASES = (
    _Release(views=(("image_2", "image_3"),), disparity=("disp_occ_0", "disp_noc_0")),
    _Release(views=(("colored_0", "colored_1"), ("image_0", "image_1")), disparity=("disp_occ", "disp_noc")),
)


def open_kitti(folder: Path) -> StereoDataset:
    """All KITTI pairs at or below a folder; named by their paths, such as `2015/training/000046_10`."""
    scenes = [
        (Path(part) / frame).as_posix()
        for part in folders_where(folder, lambda inside: _release_of(inside) is not None)
        for frame in _frames(folder / part)
    ]
    return StereoDataset(name="kitti", scenes=tuple(scenes), reader=partial(_read, folder))


def _read(root: Path, scene: str) -> StereoSample:
    part, picture = (root / scene).parent, f"{Path(scene).name}.png"
    release = _release_of(part)
    if release is None:
        raise DatasetError(f"{part}: the folders of the pictures are gone")
    present = (pair for pair in release.views if any((part / eye / picture).exists() for eye in pair))
    left, right = next(present, release.views[0])
    truth = first_existing(part, release.disparity)
    return read_pair(
        scene,
        part / left / picture,
        part / right / picture,
        scale=_scale,
        only_positive=True,
        disparity=None if truth is None else truth / picture,
    )


def _scale(stored: RawMap) -> float:
    if stored.bits != 16:
        raise DatasetError(f"{stored.name}: expected disparity in 16 bits as KITTI has it, got {stored.bits} bits")
    return _SCALE


def _release_of(folder: Path) -> _Release | None:
    """Which release lies in a folder such as `training`."""
    return next((release for release in _RELEASES if first_existing(folder, release.pictures)), None)


def _frames(part: Path) -> list[str]:
    """The frames of which a picture or a disparity exists: a file that is missing beside the others is found out."""
    release = _release_of(part)
    folders = () if release is None else release.pictures + release.disparity
    return sorted({path.stem for name in folders for path in (part / name).glob(_FRAMES)})
