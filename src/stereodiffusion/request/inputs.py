"""What goes into a request: pictures and maps, by their files or in memory, and their digests."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from stereodiffusion.errors import ConfigError, FormatError
from stereodiffusion.settings.options import option

MapKind: TypeAlias = Literal["disparity-px", "depth-m", "near-is-bright", "near-is-dark"]
"""What a map's values are; see `stereodiffusion.formats.maps`."""
UnknownName: TypeAlias = Literal["nonfinite", "zero", "negative", "none"]
Unknown: TypeAlias = UnknownName | float
"""Which values of a map mean "not known": a name, or the very number."""

_MAP = "Map"
_LARGE = 100_000_000  # bytes of a file: smaller ones are no reason to import anything


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory:
    """A tensor that goes in; its digest can be verified, but it cannot be read again.

    Attributes:
        value: The tensor, or a `Disparity`.
        sha256: Of its numbers.
    """

    value: Any = field(compare=False, repr=False)
    sha256: str

    @classmethod
    def of(cls, value: Any) -> "InMemory":
        """Of a tensor, or a `Disparity`."""
        import torch

        parts = [value.pixels, value.known] if hasattr(value, "pixels") else [value]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(f"{tuple(part.shape)} {part.dtype}".encode())
            digest.update(part.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
        return cls(value=value, sha256=digest.hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A picture that goes in.

    Attributes:
        path: Of the file.
        sha256: Of its content; None if that does not matter. What is recorded with a result has it.
    """

    path: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFile:
    """A depth or disparity map that goes in, and what its values mean.

    Attributes:
        path: Of the file.
        sha256: Of its content; None if that does not matter.
        kind: What the values are; None if the file's format says so.
        scale: Value / scale is in pixels or metres; files of whole numbers need it.
        unknown: Which values mean "not known": `nonfinite` (NaN, inf), `zero`, `negative`, `none`, or a number.
        focal_px: Of depth in metres: focal length in pixels of the map.
        fov_degrees: Or the field of view from the left side of the map to its right.
        baseline_m: Of depth in metres: distance between the eyes. Without it and one of the two before the nearest
            point gets `parallax.max_disparity`.
    """

    path: str
    sha256: str | None = None
    kind: MapKind | None = option(
        None,
        "--map-kind",
        panel=_MAP,
        help="What the map's values are: disparity in pixels, depth in metres, or a picture of depth.",
    )
    scale: float | None = option(
        None,
        "--map-scale",
        panel=_MAP,
        metavar="N",
        help="Value / scale is in pixels or metres; files of whole numbers need it (KITTI 256, millimetres 1000).",
    )
    unknown: Unknown = option(
        "nonfinite",
        "--map-unknown",
        panel=_MAP,
        metavar="WHICH",
        help="Values that mean 'not known': nonfinite (NaN, inf), zero, negative, none, or a number.",
    )
    focal_px: float | None = option(
        None,
        "--focal-px",
        panel=_MAP,
        metavar="N",
        help="Of depth-m: focal length in pixels of the map, with --baseline-m.",
    )
    fov_degrees: float | None = option(
        None,
        "--fov-degrees",
        panel=_MAP,
        metavar="DEG",
        help="Of depth-m: the horizontal field of view, instead of --focal-px.",
    )
    baseline_m: float | None = option(
        None,
        "--baseline-m",
        panel=_MAP,
        metavar="M",
        help="Of depth-m: distance between the eyes in metres, such as 0.065. Without it and one of the two before the "
        "nearest point gets --max-disparity.",
    )

    def __post_init__(self) -> None:
        if self.focal_px is not None and self.fov_degrees is not None:
            raise ConfigError("map.focal_px and map.fov_degrees say the same, got both")
        if self.has_camera != (self.baseline_m is not None):
            camera = "map.focal_px" if self.fov_degrees is None else "map.fov_degrees"
            raise ConfigError(f"{camera} and map.baseline_m belong together, got one of them")
        if self.has_camera and self.kind != "depth-m":
            raise ConfigError("map.focal_px, map.fov_degrees and map.baseline_m are for map.kind depth-m")
        if self.fov_degrees is not None and not 0 < self.fov_degrees < 180:
            raise ConfigError(f"map.fov_degrees must be between 0 and 180, got {self.fov_degrees}")
        if self.scale is not None and self.kind in ("near-is-bright", "near-is-dark"):
            raise ConfigError(f"map.scale is for maps in pixels or metres; {self.path} is {self.kind}")

    @property
    def has_camera(self) -> bool:
        """Whether it is said how the camera sees, so that depth in metres is disparity in pixels."""
        return self.focal_px is not None or self.fov_degrees is not None


def checked_digest(file: PictureFile | MapFile) -> str:
    """The SHA-256 of a file's content.

    Raises:
        FormatError: If it cannot be read, or is not what its request says.
    """
    path = Path(file.path)
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "a device or pipe"
            raise FormatError(f"{file.path}: expected a file, got {kind}")
        _check_size(path)
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        raise FormatError(f"{file.path}: no such file") from None
    except FormatError:
        raise
    except (OSError, ValueError) as refused:
        raise FormatError(f"{file.path} cannot be used: {getattr(refused, 'strerror', None) or refused}") from refused
    if file.sha256 not in (None, found):
        raise FormatError(f"{file.path} is not the file that was asked for: its SHA-256 is {found}, not {file.sha256}")
    return found


def _check_size(path: Path) -> None:
    """Refuse a file that nobody would read after it had been digested, which takes a minute for some 20 GB.

    Raises:
        FormatError: If it is too large.
    """
    if (size := path.stat().st_size) > _LARGE:
        from stereodiffusion.formats.limits import MOST_FILE_BYTES  # torch takes its time

        if size > MOST_FILE_BYTES:
            limit = f"at most {MOST_FILE_BYTES / 1e6:g} MB"
            raise FormatError(f"{path}: too large: expected {limit}, got {size / 1e6:.0f}")


def as_picture(given: Any) -> PictureFile | InMemory:
    """A picture however it is given: by its path, or as a tensor.

    Raises:
        GeometryError: If it is neither, or no (b, 3, h, w) float tensor in [0, 1].
    """
    if isinstance(given, PictureFile | InMemory):
        return given
    if isinstance(given, str | Path):
        return PictureFile(path=str(given))
    from stereodiffusion.geometry.accept import check_picture, check_range  # torch takes its time

    check_picture(given, name="photo")
    check_range(given, name="photo")
    return InMemory.of(given)


def as_map(given: Any) -> MapFile | InMemory:
    """A map however it is given: by its path, or as a `Disparity`.

    Raises:
        GeometryError: If it is neither.
    """
    if isinstance(given, MapFile | InMemory):
        return given
    if isinstance(given, str | Path):
        return MapFile(path=str(given))
    from stereodiffusion.geometry.disparity import check_disparity  # torch takes its time

    check_disparity(given)
    return InMemory.of(given)
