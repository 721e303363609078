"""Any folder with pairs: subfolders `left` and `right`, and if there are any `disparity` and `right_disparity`.

There may be a `right_occlusion` as well, of pictures that are white where the right eye sees what the left does not.
Files that belong together have the same name up to the suffix. Pictures are of any kind that can be read. Maps of real
numbers (PFM, NPY, TIFF) hold pixels and are unknown where not finite; maps of integers are unknown where 0, and
elsewhere scale times the disparity. A file `scale.txt` beside the subfolders says the scale, a number such as 3; where
there is none, maps of 16 bits hold 256 d as this package and KITTI write them, and others are refused.
"""

from functools import partial
from math import inf, nan
from pathlib import Path

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.reading import folders_where, read_pair
from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.errors import DatasetError, FormatError
from stereodiffusion.formats import RawMap
from stereodiffusion.formats.files import read_bytes
from stereodiffusion.formats.maps import PNG_SCALE

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm")
_MAPS = (".pfm", ".npy", ".png", ".tif", ".tiff", ".pgm")
_SCALE_FILE = "scale.txt"
_SUFFIXES = {
    "left": _PICTURES,
    "right": _PICTURES,
    "disparity": _MAPS,
    "right_disparity": _MAPS,
    "right_occlusion": _PICTURES,
}


def open_folder(folder: Path, *, scale: float | None = None) -> StereoDataset:
    """All pairs in the folders `left` and `right` at or below a folder; named by path and file, such as `kitchen/07`.

    Args:
        folder: Where to look.
        scale: Of maps that hold integers: value / scale is in pixels. By default what `scale.txt` says.
    """
    scenes = [
        (Path(place) / stem).as_posix()
        for place in folders_where(folder, lambda inside: (inside / "left").is_dir() and (inside / "right").is_dir())
        for stem in sorted({*_files(folder / place, "left"), *_files(folder / place, "right")})
    ]
    return StereoDataset(name="folder", scenes=tuple(scenes), reader=partial(_read, folder, scale))


def _read(root: Path, scale: float | None, scene: str) -> StereoSample:
    place, stem = (root / scene).parent, Path(scene).name
    return read_pair(
        scene,
        _file(place, "left", stem),
        _file(place, "right", stem),
        scale=partial(_scale, scale, place / _SCALE_FILE),
        disparity=_file(place, "disparity", stem) if (place / "disparity").is_dir() else None,
        right_disparity=_files(place, "right_disparity").get(stem),
        occlusion=_files(place, "right_occlusion").get(stem),
    )


def _files(place: Path, part: str) -> dict[str, Path]:
    """The files of a subfolder by their names without suffix; none if there is no such folder."""
    folder = place / part
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.stem: path for path in inside if path.suffix.lower() in _SUFFIXES[part]}


def _file(place: Path, part: str, stem: str) -> Path:
    found = _files(place, part).get(stem)
    if found is None:
        raise DatasetError(f"{place / part / stem}: no such file with a suffix out of {', '.join(_SUFFIXES[part])}")
    return found


def _scale(said: float | None, file: Path, stored: RawMap) -> float:
    if said is not None:
        return said
    if file.exists():
        return _read_scale(file)
    if stored.bits != 16:
        raise DatasetError(
            f"{stored.name}: a map of {stored.bits}-bit integers needs scale, value / scale = pixels: "
            f"write it into {file}"
        )
    return PNG_SCALE


def _read_scale(file: Path) -> float:
    try:
        text = read_bytes(file).decode("ascii", "replace").strip()
    except FormatError as refused:
        raise DatasetError(str(refused)) from refused
    try:
        scale = float(text)
    except ValueError:
        scale = nan
    if not 0 < scale < inf:
        raise DatasetError(f"{file}: expected a number above 0, value / scale = pixels, got {text[:20]!r}")
    return scale
