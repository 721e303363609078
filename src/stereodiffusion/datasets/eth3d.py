"""ETH3D low-resolution two-view stereo, https://www.eth3d.net/datasets, as the archives unpack.

A scene is a folder with `im0.png` and `im1.png`. Its disparity `disp0GT.pfm`, in pixels and inf (or not above 0) where
unknown, lies beside them or, as the archives are named, in `two_view_training_gt` beside `two_view_training`; test
scenes have none.
`mask0nocc.png` is not read: it marks the left pixels that the right eye does not see, `StereoSample.occlusion` the
opposite.
"""

from functools import partial
from pathlib import Path

from stereodiffusion.datasets.dataset import StereoDataset
from stereodiffusion.datasets.reading import first_existing, folders_where, read_pair
from stereodiffusion.datasets.sample import StereoSample

_LEFT, _RIGHT, _DISPARITY = "im0.png", "im1.png", "disp0GT.pfm"


def open_eth3d(folder: Path) -> StereoDataset:
    """All two-view scenes at or below a folder; named by their paths, such as `two_view_training/playground_1l`."""
    scenes = folders_where(folder, lambda inside: first_existing(inside, (_LEFT, _RIGHT)) is not None)
    return StereoDataset(name="eth3d", scenes=scenes, reader=partial(_read, folder))


def _read(root: Path, scene: str) -> StereoSample:
    folder = root / scene
    if scene == ".":
        folder = folder.resolve()
    beside, apart = folder / _DISPARITY, folder.parent.with_name(f"{folder.parent.name}_gt")
    disparity = apart / folder.name / _DISPARITY if apart.is_dir() and not beside.exists() else beside
    return read_pair(
        scene if scene != "." else folder.name,
        folder / _LEFT,
        folder / _RIGHT,
        disparity=disparity if disparity.exists() or apart.is_dir() else None,
        only_positive=True,
    )
