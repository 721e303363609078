"""Middlebury stereo data, https://vision.middlebury.edu/stereo/data, as its archives unpack.

    2001, 2003          im2 im6 disp2 disp6, as .png, or .ppm and .pgm
    2005, 2006          view1.png view5.png disp1.png disp5.png (dmin.txt only serves to compute depth)
    2014, 2021, Eval3   im0.png im1.png disp0.pfm disp1.pfm (disp0GT.pfm in MiddEval3; calib.txt is not needed)

Folders above that of a scene may be called anything; a 2014 scene is called `-perfect` or `-imperfect` as unpacked.

PFM maps hold pixels; inf is unknown, and so is 0 or less, which some tools write for it. In the others 0 is unknown and
a value is `scale` times the disparity. The scale belongs to the size of the picture, so the size tells it:

    2001                380 to 383 rows                 8
    2003                375 / 750 / 1500 rows           4 / 2 / 1
    2005, 2006          370 / 555 / 1110 rows           3 / 2 / 1

For pictures of any other size (cut out of one, say) the names of the folders above decide, the innermost first:
`2001` 8, `2003` 4, `FullSize` 1, `HalfSize` 2, `ThirdSize` 3. If they say nothing either, the scene is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.reading import first_existing, folders_where, read_pair
from stereodiffusion.datasets.sample import StereoSample
from stereodiffusion.errors import DatasetError
from stereodiffusion.formats import RawMap


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What the files are called; where there are several names, the first that exists counts."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    disparity: tuple[str, ...]
    right_disparity: tuple[str, ...]
    scales: Mapping[int, float]

    def is_in(self, folder: Path) -> bool:
        return first_existing(folder, self.left + self.right + self.disparity) is not None


_LAYOUTS = (
    _Layout(
        left=("im2.png", "im2.ppm"),
        right=("im6.png", "im6.ppm"),
        disparity=("disp2.png", "disp2.pgm"),
        right_disparity=("disp6.png", "disp6.pgm"),
        scales={**dict.fromkeys(range(379, 385), 8.0), 375: 4, 750: 2, 1500: 1},
    ),
    _Layout(
        left=("view1.png",),
        right=("view5.png",),
        disparity=("disp1.png",),
        right_disparity=("disp5.png",),
        scales={370: 3, 555: 2, 1110: 1},
    ),
    _Layout(
        left=("im0.png",),
        right=("im1.png",),
        disparity=("disp0.pfm", "disp0GT.pfm"),
        right_disparity=("disp1.pfm", "disp1GT.pfm"),
        scales={},
    ),
)
_SCALES_OF_NAMES = {"2001": 8.0, "2003": 4.0, "FullSize": 1.0, "HalfSize": 2.0, "ThirdSize": 3.0}
_WITHHELD = ("Computer", "Drumsticks", "Dwarves")  # scenes of 2005 whose disparity was kept for evaluation


def open_middlebury(folder: Path) -> StereoDataset:
    """All Middlebury scenes at or below a folder, of whatever years; named by their paths, such as `2006/Aloe`."""
    return StereoDataset(
        name="middlebury",
        scenes=folders_where(folder, lambda inside: _layout_of(inside) is not None),
        reader=partial(_read, folder),
    )


def _read(root: Path, scene: str) -> StereoSample:
    folder = root / scene
    layout = _layout_of(folder)
    if layout is None:
        raise DatasetError(f"{folder}: the files of the scene are gone")
    disparity = first_existing(folder, layout.disparity)
    if disparity is None and _has_truth(folder, layout):
        disparity = folder / layout.disparity[0]  # which reading will miss
    return read_pair(
        scene if scene != "." else folder.resolve().name,
        first_existing(folder, layout.left) or folder / layout.left[0],
        first_existing(folder, layout.right) or folder / layout.right[0],
        scale=partial(_scale, folder, layout),
        disparity=disparity,
        right_disparity=first_existing(folder, layout.right_disparity),
        only_positive=True,
    )


def _layout_of(folder: Path) -> _Layout | None:
    return next((layout for layout in _LAYOUTS if layout.is_in(folder)), None)


def _has_truth(folder: Path, layout: _Layout) -> bool:
    """Whether the publisher gives a disparity: always up to 2014, but for a few scenes; not of test sets since."""
    if layout.scales:
        return folder.name not in _WITHHELD
    return folder.name.endswith("perfect") or any(part.endswith("2014") for part in folder.parts)


def _scale(folder: Path, layout: _Layout, stored: RawMap) -> float:
    """Levels per pixel of disparity, see the module."""
    height = stored.values.shape[0]
    if height in layout.scales:
        return layout.scales[height]
    for part in reversed(folder.parts):
        for name, scale in _SCALES_OF_NAMES.items():
            if part.endswith(name):
                return scale
    raise DatasetError(
        f"{stored.name}: expected a published size, {', '.join(map(str, layout.scales))} rows, or a folder named "
        f"{', '.join(_SCALES_OF_NAMES)}, to know the scale; got {height} rows"
    )
