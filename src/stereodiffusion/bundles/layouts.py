"""The files of a pair in the layouts of data sets: the same truth in the words of each.

    folder       left/NAME.png right/NAME.png disparity/NAME.pfm right_disparity/NAME.pfm left_occlusion/NAME.png
                 right_occlusion/NAME.png calibration/NAME.txt about/NAME.json
    middlebury   NAME/ with im0.png im1.png disp0.pfm disp1.pfm mask0nocc.png mask1nocc.png calib.txt about.json
    kitti        image_2/NAME_10.png image_3/ disp_occ_0/ disp_noc_0/ as KITTI 2015 has them, calib_cam_to_cam/NAME.txt;
                 and of our own disp_occ_right/ disp_noc_right/ about/
    webdataset   NAME.disparity.npy NAME.left.png NAME.left_occlusion.png NAME.right.png NAME.right_disparity.npy
                 NAME.right_occlusion.png NAME.json: the members of a tar, in this order

`docs/datasets.md` has a table of signs, units and what is unknown. The file that tells about a pair is the last: where
it is there, all others are.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image as Pillow

from stereodiffusion.bundles.annotated import AnnotatedPair
from stereodiffusion.bundles.calibration import kitti_text, middlebury_text
from stereodiffusion.bundles.measuring import measure
from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.formats import encode_image
from stereodiffusion.formats.maps import encode_map
from stereodiffusion.formats.pictures.image import encode_pil
from stereodiffusion.geometry import Disparity
from stereodiffusion.settings import Settings
from stereodiffusion.types import Region

BundleName: TypeAlias = Literal["folder", "middlebury", "kitti", "webdataset"]
"""A layout that pairs are written in."""

Files: TypeAlias = dict[str, bytes]
"""Contents by path within a data set."""

PART: Mapping[BundleName, str] = MappingProxyType({"kitti": "training"})
"""The folder that publishers have the files of a part of their data in, where they have one."""

VERSION = 1
"""Of the JSON that tells about a pair."""


def bundle_files(pair: AnnotatedPair, layout: BundleName) -> Files:
    """The files of a pair.

    Raises:
        FormatError: If the layout cannot hold its disparity.
    """
    return _LAYOUTS[layout](pair)


def about_file(name: str, layout: BundleName) -> str:
    """Which of its files tells about the pair of a name."""
    match layout:
        case "folder":
            return f"about/{name}.json"
        case "middlebury":
            return f"{name}/about.json"
        case "kitti":
            return f"about/{name}_10.json"
        case "webdataset":
            return f"{key_of(name)}.json"


def key_of(name: str) -> str:
    """A name without the points at which WebDataset parts a key from what is said of it."""
    return name.replace(".", "_")


def check_layout(layout: BundleName, settings: Settings) -> None:
    """Refuse, before any work, a layout that has no place for what lies behind the screen.

    Raises:
        ConfigError: If it has none and the settings put something there.
    """
    parallax = settings.parallax
    screen = {
        "--convergence": parallax.convergence if parallax.convergence == "auto" or parallax.convergence > 0 else None,
        "--convergence-percentile": parallax.convergence_percentile,
        "--convergence-at": parallax.convergence_at,
    }
    said = [flag for flag, value in screen.items() if value is not None]
    if layout in ("middlebury", "kitti") and said:
        raise ConfigError(
            f"--bundle {layout} holds disparities of 0 and above, {said[0]} puts what lies behind the screen below: "
            "leave it out, or choose --bundle folder or webdataset"
        )


def _folder(pair: AnnotatedPair) -> Files:
    return {
        f"left/{pair.name}.png": encode_image(pair.left, ".png"),
        f"right/{pair.name}.png": encode_image(pair.right, ".png"),
        f"disparity/{pair.name}.pfm": encode_map(pair.disparity, ".pfm"),
        f"right_disparity/{pair.name}.pfm": encode_map(pair.right_disparity, ".pfm"),
        f"left_occlusion/{pair.name}.png": _levels(pair.left_occlusion * 255),
        f"right_occlusion/{pair.name}.png": _levels(pair.occlusion * 255),
        f"calibration/{pair.name}.txt": _calib(pair),
        about_file(pair.name, "folder"): _about(pair),
    }


def _middlebury(pair: AnnotatedPair) -> Files:
    _check_positive(pair, "middlebury")
    return {
        f"{pair.name}/im0.png": encode_image(pair.left, ".png"),
        f"{pair.name}/im1.png": encode_image(pair.right, ".png"),
        f"{pair.name}/disp0.pfm": encode_map(pair.disparity, ".pfm"),
        f"{pair.name}/disp1.pfm": encode_map(pair.right_disparity, ".pfm"),
        f"{pair.name}/mask0nocc.png": _nonoccluded(pair.disparity, pair.left_occlusion),
        f"{pair.name}/mask1nocc.png": _nonoccluded(pair.right_disparity, pair.occlusion),
        f"{pair.name}/calib.txt": _calib(pair),
        about_file(pair.name, "middlebury"): _about(pair),
    }


def _kitti(pair: AnnotatedPair) -> Files:
    _check_positive(pair, "kitti")
    frame = f"{pair.name}_10.png"
    cameras: Files = {}
    if pair.calibration is not None:
        cameras[f"calib_cam_to_cam/{pair.name}.txt"] = kitti_text(pair.calibration, pair.size).encode()
    return {
        f"image_2/{frame}": encode_image(pair.left, ".png"),
        f"image_3/{frame}": encode_image(pair.right, ".png"),
        f"disp_occ_0/{frame}": encode_map(pair.disparity, ".png"),
        f"disp_noc_0/{frame}": encode_map(_without(pair.disparity, pair.left_occlusion), ".png"),
        f"disp_occ_right/{frame}": encode_map(pair.right_disparity, ".png"),
        f"disp_noc_right/{frame}": encode_map(_without(pair.right_disparity, pair.occlusion), ".png"),
        **cameras,
        about_file(pair.name, "kitti"): _about(pair),
    }


def _webdataset(pair: AnnotatedPair) -> Files:
    key = key_of(pair.name)
    return {
        f"{key}.disparity.npy": encode_map(pair.disparity, ".npy"),
        f"{key}.left.png": encode_image(pair.left, ".png"),
        f"{key}.left_occlusion.png": _levels(pair.left_occlusion * 255),
        f"{key}.right.png": encode_image(pair.right, ".png"),
        f"{key}.right_disparity.npy": encode_map(pair.right_disparity, ".npy"),
        f"{key}.right_occlusion.png": _levels(pair.occlusion * 255),
        about_file(pair.name, "webdataset"): _about(pair),
    }


_LAYOUTS: Mapping[BundleName, Callable[[AnnotatedPair], Files]] = MappingProxyType(
    {"folder": _folder, "middlebury": _middlebury, "kitti": _kitti, "webdataset": _webdataset}
)


def _about(pair: AnnotatedPair) -> bytes:
    """What is known of a pair besides its pictures and maps."""
    height, width = pair.size
    told: dict[str, Any] = {
        "version": VERSION,
        "name": pair.name,
        "height": height,
        "width": width,
        "caption": pair.caption,
        "reference": "left",
        "sign": "a left point at column x is at column x - disparity on the right",
        "disparity_is": pair.origin,
        "calibration": None if pair.calibration is None else pair.calibration.plain(),
        "measured": measure(pair),
        "made_by": dict(pair.facts),
    }
    return json.dumps(told, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def _calib(pair: AnnotatedPair) -> bytes:
    values = pair.disparity.pixels[pair.disparity.known]
    bounds = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    return middlebury_text(pair.calibration, pair.size, bounds).encode()


def _check_positive(pair: AnnotatedPair, layout: BundleName) -> None:
    least = min(float(disparity.pixels.min()) for disparity in (pair.disparity, pair.right_disparity))
    if least < 0:
        raise FormatError(
            f"{pair.name}: {layout} holds disparities of 0 and above, got {least:g} px, which lies behind the screen: "
            "choose --bundle folder or webdataset"
        )


def _without(disparity: Disparity, occlusion: Region) -> Disparity:
    known = disparity.known & ~occlusion
    return Disparity(pixels=torch.where(known, disparity.pixels, 0.0), known=known)


def _nonoccluded(disparity: Disparity, occlusion: Region) -> bytes:
    """As Middlebury's evaluation has it: 255 what both eyes see, 128 what one sees, 0 what is unknown."""
    seen = torch.where(occlusion, 128, 255)
    return _levels(torch.where(disparity.known, seen, 0))


def _levels(levels: torch.Tensor) -> bytes:
    return encode_pil(Pillow.fromarray(levels[0, 0].numpy().astype(np.uint8)), ".png")
