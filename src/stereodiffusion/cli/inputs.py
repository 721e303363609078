"""Reading what the user gives: depth and disparity maps."""

from pathlib import Path
from typing import cast

from stereodiffusion.cli.checking import Common
from stereodiffusion.cli.map_options import MapOptions
from stereodiffusion.errors import ConfigError, GeometryError
from stereodiffusion.formats import MapKind, RawMap, disparity_from_map, parse_unknown, read_map, shows_whole
from stereodiffusion.geometry import Disparity, StereoRig


def read_disparity(path: Path, options: MapOptions, common: Common, *, implied: MapKind | None) -> Disparity:
    """The disparity that a map file means.

    Args:
        path: PNG, TIFF, PFM or NPY.
        options: What the user says about it.
        common: The settings.
        implied: What the values are if the user says nothing; None if that has to be said.

    Raises:
        ConfigError: If something has to be said, or does not fit together.
        FormatError: If the file cannot be read.
        GeometryError: If the values make no sense.
    """
    raw = read_map(path)
    kind = cast(MapKind | None, options.kind) or implied
    if kind is None:
        raise ConfigError(
            f"{path}: say what its values are: --map-kind near-is-bright or near-is-dark (a picture of depth), "
            "disparity-px (pixels) or depth-m (metres)"
        )
    _check(path, raw, kind, options, common)
    nearest_px = common.config.max_disparity * raw.values.shape[-1]
    unknown = parse_unknown(options.unknown)
    if kind == "disparity-px":
        return disparity_from_map(raw, kind, scale=options.scale, unknown=unknown)
    if kind != "depth-m":
        return disparity_from_map(raw, kind, nearest_px=nearest_px, unknown=unknown)
    if options.focal_px is not None and options.baseline_m is not None:
        rig = StereoRig(focal_px=options.focal_px, baseline_m=options.baseline_m)
        return disparity_from_map(raw, kind, scale=options.scale, rig=rig, unknown=unknown)
    # Without a camera disparity is still f B / Z; f B is the one that gives the nearest point the wanted parallax.
    unscaled = disparity_from_map(
        raw, kind, scale=options.scale, rig=StereoRig(focal_px=1.0, baseline_m=1.0), unknown=unknown
    )
    largest = float(unscaled.pixels.max())
    return unscaled.scaled(nearest_px / largest) if largest > 0 else unscaled


def fitted(disparity: Disparity, size: tuple[int, int], *, map_path: Path, photo_path: Path) -> Disparity:
    """The map on the photo's grid. It may be larger or smaller than the photo, not of another shape.

    Raises:
        GeometryError: If the map does not show the whole photo.
    """
    if not shows_whole(disparity.size, size):
        raise GeometryError(
            f"{map_path} is {disparity.width} x {disparity.height}, which is of another shape than {photo_path}, "
            f"{size[1]} x {size[0]}: it does not show the whole photo"
        )
    return disparity if disparity.size == size else disparity.resize(*size)


def _check(path: Path, raw: RawMap, kind: MapKind, options: MapOptions, common: Common) -> None:
    in_units = kind in {"disparity-px", "depth-m"}
    if raw.is_integer and in_units and options.scale is None:
        unit = "pixels" if kind == "disparity-px" else "metres"
        raise ConfigError(
            f"{path} holds whole numbers: say with --map-scale how many of them are one of its {unit} (KITTI disparity "
            "has 256, depth in millimetres 1000), or with --map-kind near-is-bright that it is a picture of depth"
        )
    if options.scale is not None and not in_units:
        raise ConfigError(f"--map-scale is for maps in pixels or metres; {path} is {kind}")
    absolute = kind == "disparity-px" or options.focal_px is not None
    if common.deepened and absolute and common.config.parallax == "metric":
        raise ConfigError(
            f"--max-disparity has nothing to scale: {path} gives disparity in pixels; --map-kind near-is-bright takes "
            "it as relative"
        )
