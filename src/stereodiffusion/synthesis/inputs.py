"""What goes into a request, read and checked: photos, and maps with what they mean."""

from pathlib import Path
from typing import Final, cast

from stereodiffusion.errors import ConfigError, GeometryError
from stereodiffusion.formats import MapKind, RawMap, read_image, read_map, shows_whole
from stereodiffusion.geometry import Disparity
from stereodiffusion.geometry.disparity import check_disparity
from stereodiffusion.geometry.plausibility import DECLARED_BY, is_cut_out
from stereodiffusion.request import DepthRequest, PhotoRequest
from stereodiffusion.request.inputs import InMemory, MapFile, PictureFile
from stereodiffusion.synthesis.parallax import meant
from stereodiffusion.synthesis.photo import check_photo
from stereodiffusion.types import Image

_LEAST_HOLES: Final = 0.001
"""Of a map's values: fewer are single points of a surface, the nearest of all."""


def photo_of(given: PictureFile | InMemory) -> Image:
    """The picture of a request.

    Raises:
        FormatError: If it cannot be read.
        GeometryError: If it is no (b, 3, h, w) float tensor in [0, 1].
    """
    photo = given.value if isinstance(given, InMemory) else read_image(given.path)
    check_photo(photo)
    return photo


def disparity_of(request: DepthRequest | PhotoRequest, notes: list[str]) -> Disparity | None:
    """The disparity that a request's map means, on the map's own grid; None if there is no map.

    Args:
        request: Whose map it is.
        notes: Receives what was assumed.

    Raises:
        ConfigError: If something has to be said of the map, or does not fit together.
        FormatError: If the file cannot be read.
        GeometryError: If the values make no sense.
    """
    given = cast(MapFile | InMemory | None, request.map)
    if given is None:
        return None
    if isinstance(given, InMemory):
        check_disparity(given.value)
        if "parallax.max_disparity" in request.changes and request.settings().parallax.scale == "metric":
            raise ConfigError("parallax.max_disparity has nothing to scale: the map gives disparity in pixels")
        return given.value
    raw = read_map(given.path)
    kind = given.kind or _implied(given, request, notes)
    _check(given, raw, kind, request)
    if kind == "near-is-dark" and given.unknown == "nonfinite":
        notes += _holes_in_front(raw)
    return meant(raw, kind, given, request.settings().parallax)


def _holes_in_front(raw: RawMap) -> list[str]:
    """A line if zeros, which would be nearest of all, lie in the map as holes do; depth cameras mark holes so."""
    zero = raw.values == 0
    share = float(zero.float().mean())
    if not (share >= _LEAST_HOLES and bool(raw.values.isfinite().all()) and is_cut_out(raw.values, zero)):
        return []
    return [
        f"{raw.name}: {share:.1%} of the values are 0, as near as can be, amid others: do they stand for unknown "
        f"({DECLARED_BY} zero)?"
    ]


def fitted(disparity: Disparity, photo: Image, request: PhotoRequest, notes: list[str]) -> Disparity:
    """The map on the photo's grid. It may be larger or smaller than the photo, not of another shape.

    Raises:
        GeometryError: If the map does not show the whole photo.
    """
    if isinstance(request.map, InMemory):
        return disparity
    size = height, width = photo.shape[2], photo.shape[3]
    names = f"{cast(MapFile, request.map).path} is {disparity.width} x {disparity.height}", _name_of(request.photo)
    if not shows_whole(disparity.size, size):
        raise GeometryError(
            f"{names[0]}, which is of another shape than {names[1]}, {width} x {height}: it does not show the whole "
            "photo"
        )
    if disparity.size == size:
        return disparity
    notes.append(
        f"{cast(MapFile, request.map).path}: scaled from {disparity.width} x {disparity.height} to {width} x {height}"
    )
    return disparity.resize(*size)


def _name_of(photo: PictureFile | InMemory) -> str:
    return photo.path if isinstance(photo, PictureFile) else "the photo"


def _implied(given: MapFile, request: DepthRequest | PhotoRequest, notes: list[str]) -> MapKind:
    """What a map is taken to hold if nobody says; that is said."""
    if isinstance(request, DepthRequest) and Path(given.path).suffix.lower() != ".pfm":
        raise ConfigError(
            f"{given.path}: say what its values are: --map-kind near-is-bright or near-is-dark (a picture of depth), "
            "disparity-px (pixels) or depth-m (metres)"
        )
    notes.append(f"{given.path}: read as disparity in pixels; --map-kind says otherwise")
    return "disparity-px"


def _check(given: MapFile, raw: RawMap, kind: MapKind, request: DepthRequest | PhotoRequest) -> None:
    in_units = kind in {"disparity-px", "depth-m"}
    if raw.is_integer and in_units and given.scale is None:
        unit = "pixels" if kind == "disparity-px" else "metres"
        raise ConfigError(
            f"{given.path} holds whole numbers: say with --map-scale how many of them are one of its {unit} (KITTI "
            "disparity has 256, depth in millimetres 1000), or with --map-kind near-is-bright that it is a picture of "
            "depth"
        )
    absolute = kind == "disparity-px" or given.has_camera
    if "parallax.max_disparity" in request.changes and absolute and request.settings().parallax.scale == "metric":
        raise ConfigError(
            f"--max-disparity has nothing to scale: {given.path} gives disparity in pixels; --map-kind near-is-bright "
            "takes it as relative"
        )
