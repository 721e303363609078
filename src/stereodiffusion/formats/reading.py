"""Stereo pairs read from files of every format that keeps them."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from jaxtyping import Float
from PIL import ExifTags, Image
from torch import Tensor

from stereodiffusion.errors import FormatError, FormatWarning
from stereodiffusion.formats.encoders import STEREO
from stereodiffusion.formats.eyes import Eyes, same_channels
from stereodiffusion.formats.files import PathLike, read_bytes
from stereodiffusion.formats.layouts.interlaced import Pattern, separated
from stereodiffusion.formats.layouts.quilt import outermost
from stereodiffusion.formats.layouts.rgbd import Relief, disparity_of
from stereodiffusion.formats.layouts.sbs import halves
from stereodiffusion.formats.layouts.squeeze import squeezed
from stereodiffusion.formats.limits import check_size
from stereodiffusion.formats.pictures import metadata
from stereodiffusion.formats.pictures.image import decode_image, decoding, identify_picture, tensor_of_pil
from stereodiffusion.formats.recognising import Recognised, recognise, settings_in
from stereodiffusion.formats.stereo.jps import jps_layout
from stereodiffusion.formats.stereo.mpo import split_mpo
from stereodiffusion.formats.stereo.projection import from_sphere, sphere_side
from stereodiffusion.formats.stereo.spatial import decode_spatial
from stereodiffusion.formats.stereo.vr180 import split_vr180

SPHERE_DEG = 90.0
"""Horizontal angle of the flat pictures that are cut from half spheres of which nothing is said."""

RELIEF = 0.08
"""Disparity of white in RGBD of which nothing is said, as a fraction of the width."""

_DIAGONAL_MM = 43.27  # of the 35 mm film to which EXIF refers focal lengths
Picture: TypeAlias = Float[Tensor, "1 _channels _h _w"]
"""Colours, or colours and alpha."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file in memory, and what its settings say of the pair beside its picture (`encoders.with_facts`)."""

    path: Path
    content: bytes
    facts: Mapping[str, Any]

    def picture(self) -> Picture:
        return decode_image(self.content, keeps_alpha=True)

    def size(self) -> tuple[int, int] | None:
        """(height, width) of an eye, if it is said.

        Raises:
            FormatError: If no picture has such a size.
        """
        said = self.facts.get("size")
        if not (isinstance(said, list) and len(said) == 2 and all(isinstance(side, int) for side in said)):
            return None
        check_size(said[1], said[0])
        return said[0], said[1]

    def number(self, name: str) -> float | None:
        said = self.facts.get(name)
        return float(said) if isinstance(said, int | float) and math.isfinite(said) else None


Read: TypeAlias = Callable[[_File], Eyes]


def read_pair(path: PathLike, right: PathLike | None = None, *, format: str | None = None) -> Eyes:  # noqa: A002
    """A stereo pair from a file, or from two.

    Of RGBD the left eye and its disparity are read, and no right eye. Colours are sRGB as `read_image` has them; alpha
    is kept.

    Args:
        path: The file, or that of the left eye.
        right: The file of the right eye, if it is another.
        format: One of `READABLE`; by default it is recognised (see `recognising`), and `Eyes.source` says as what.

    Raises:
        FormatError: If it cannot be read, holds no pair, or the eyes have different sizes.
    """
    path = Path(path)
    if right is not None:
        if format not in (None, "eyes"):
            raise FormatError(f"two files are the eyes themselves, got {format}")
        return _two_files(path, Path(right), "two files")
    content = read_bytes(path)
    with decoding(path):
        found = recognise(path, content) if format is None else Recognised(format, "as was said")
        eyes = _reader(found.format)(_file(path, content))
        return replace(eyes, source=eyes.source or f"{path}: read as {found.format}: {found.why}")


def _file(path: Path, content: bytes) -> _File:
    facts = settings_in(identify_picture(content), content).get(STEREO)
    return _File(path=path, content=content, facts=cast(Mapping[str, Any], facts) if isinstance(facts, dict) else {})


def _reader(name: str) -> Read:
    if name in READABLE:
        return READABLE[name]
    if name.startswith("anaglyph"):
        raise FormatError(f"{name} mixes the colours of both eyes, which cannot be taken apart; those of grey eyes can")
    raise FormatError(f"expected one of {', '.join(READABLE)}, got {name!r}")


def _made(file: _File, left: Picture, right: Picture | None, **more: Any) -> Eyes:
    """The pair, with all that the file says beside its pictures."""
    if right is not None:
        left, right = same_channels(left, right)
    picture = identify_picture(file.content)
    settings = settings_in(picture, file.content)
    exif = _exif(picture)
    known: dict[str, Any] = {
        "field_of_view_deg": file.number("field_of_view_deg") or _field_of_view_deg(exif, left),
        "baseline_m": file.number("baseline_m"),
    }
    known |= {name: fact for name, fact in more.items() if fact is not None}
    kept = {name: value for name, value in settings.items() if name not in (STEREO, "format")}
    return Eyes(left=left, right=right, settings=kept, exif=exif, **known)


def _exif(picture: Image.Image) -> bytes:
    """The tags of a camera; nothing if they cannot be read."""
    block = picture.info.get("exif")
    if not isinstance(block, bytes) or not block:
        return b""
    try:
        metadata.exif({}, block).tobytes()
    except Exception as broken:  # tags may be damaged in any way
        warnings.warn(f"the EXIF tags are passed over: {broken}", FormatWarning, stacklevel=2)
        return b""
    return block


def _field_of_view_deg(exif: bytes, eye: Picture) -> float | None:
    """The horizontal angle that the camera's focal length means."""
    tags = Image.Exif()
    if not exif:
        return None
    tags.load(exif)
    focal_mm = tags.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm)
    if not isinstance(focal_mm, int) or focal_mm < 1:
        return None
    height, width = eye.shape[2:]
    angle = math.degrees(2 * math.atan(width / math.hypot(height, width) * _DIAGONAL_MM / 2 / focal_mm))
    return angle if 1 <= angle <= 170 else None


def _two_files(left: Path, right: Path, why: str) -> Eyes:
    pictures: list[Picture] = []
    for path in (left, right):
        content = read_bytes(path)
        with decoding(path):
            pictures.append(decode_image(content, keeps_alpha=True))
    content = read_bytes(left)
    with decoding(right):
        eyes = _made(_file(left, content), pictures[0], pictures[1])
    return replace(eyes, source=f"{left}, {right}: read as eyes: {why}")


def _sibling(file: _File) -> Eyes:
    """Of one of two files, the other by its name."""
    for mine, other in (("left", "right"), ("right", "left"), ("L", "R"), ("R", "L"), ("l", "r"), ("r", "l")):
        stem = file.path.stem
        if stem.endswith(mine) and (len(mine) > 1 or stem[-2:-1] in "-_ ."):
            beside = file.path.with_name(stem.removesuffix(mine) + other + file.path.suffix)
            if not beside.exists():
                raise FormatError(f"this is one eye, and the other is not there: {beside.name}")
            both = (file.path, beside) if mine.lower().startswith("l") else (beside, file.path)
            return _two_files(*both, "its name says which eye it is, and the other lies beside it")
    raise FormatError("this is one eye: name both files")


def _side_by_side(file: _File) -> Eyes:
    return _made(file, *halves(file.picture(), "width"))


def _cross_eyed(file: _File) -> Eyes:
    right, left = halves(file.picture(), "width")
    return _made(file, left, right)


def _top_bottom(file: _File) -> Eyes:
    return _made(file, *halves(file.picture(), "height"))


def _stretched(file: _File, eyes: tuple[Picture, Picture], height: int, width: int) -> tuple[Picture, Picture]:
    """Squeezed eyes at the size that is said, which is that of their frame but for a pixel that made a side even."""
    size = file.size() or (height, width)
    if max(abs(size[0] - height), abs(size[1] - width)) > 1:
        raise FormatError(f"the metadata speak of eyes of {size[1]} x {size[0]}, which do not fit {width} x {height}")
    left, right = (squeezed(eye, *size) for eye in eyes)
    return left, right


def _side_by_side_half(file: _File) -> Eyes:
    frame = file.picture()
    return _made(file, *_stretched(file, halves(frame, "width"), *frame.shape[2:]))


def _top_bottom_half(file: _File) -> Eyes:
    frame = file.picture()
    return _made(file, *_stretched(file, halves(frame, "height"), *frame.shape[2:]))


def _interlaced(pattern: Pattern) -> Read:
    return lambda file: _made(file, *separated(file.picture(), pattern))


def _mpo(file: _File) -> Eyes:
    views = split_mpo(file.content)
    left, right = (decode_image(view) for view in (views.left, views.right))
    return _made(file, left, right, baseline_m=views.baseline_m)


def _jps(file: _File) -> Eyes:
    layout, frame = jps_layout(file.content), file.picture()
    if layout is None:
        return _cross_eyed(file)
    first, second = halves(frame, layout.cut)
    if layout.is_half:
        first, second = _stretched(file, (first, second), *frame.shape[2:])
    return _made(file, first, second) if layout.is_left_first else _made(file, second, first)


def _spatial(file: _File) -> Eyes:
    left, right, cameras = decode_spatial(file.content)
    return _made(file, left, right, field_of_view_deg=cameras.field_of_view_deg, baseline_m=cameras.baseline_m)


def _from_spheres(file: _File, left: Picture, right: Picture) -> Eyes:
    """Flat eyes of the angle and size that are said, or else of a square as sharp as the sphere."""
    angle, side = file.number("field_of_view_deg") or SPHERE_DEG, left.shape[3]
    if not 1 <= angle <= 170:
        raise FormatError(f"the metadata speak of a field of view of {angle:g} degrees, expected 1 ... 170")
    natural = next((width for width in range(side, 0, -1) if sphere_side(width, angle) <= side), 1)
    size = file.size() or (natural, natural)
    if sphere_side(size[1], angle) != side:
        raise FormatError(f"the metadata speak of eyes of {size[1]} x {size[0]}, which do not fit the sphere's {side}")
    flat = [from_sphere(eye[:, :3], *size, angle) for eye in (left, right)]
    return _made(file, flat[0], flat[1], field_of_view_deg=angle)


def _vr180(file: _File) -> Eyes:
    spheres = split_vr180(file.content)
    if spheres.degrees != (180, 180):
        across, down = spheres.degrees
        raise FormatError(f"expected half a sphere, 180 x 180 degrees, got {across:g} x {down:g}")
    return _from_spheres(file, decode_image(spheres.left), decode_image(spheres.right))


def _vr180_side_by_side(file: _File) -> Eyes:
    return _from_spheres(file, *halves(file.picture(), "width"))


def _with_depth(file: _File, left: Picture, depth: Picture) -> Eyes:
    colours = depth[:, :3]
    if float((colours.amax(dim=1) - colours.amin(dim=1)).mean()) > 0.05:
        raise FormatError("expected grey depth beside the left eye, got colours: is this a pair side by side?")
    said = file.facts.get("disparity_px")
    far, near = said if isinstance(said, list) and len(said) == 2 else (0.0, RELIEF * left.shape[3])
    disparity = disparity_of(colours.mean(dim=1, keepdim=True), Relief(float(far), float(near)))
    eyes = _made(file, left, None, disparity=disparity)
    assumed = "" if said else f", of which white is taken to be {RELIEF:.0%} of the width"
    return replace(eyes, source=f"{file.path}: read as RGBD: the left eye and its depth{assumed}; no right eye")


def _rgbd(file: _File) -> Eyes:
    return _with_depth(file, *halves(file.picture(), "width"))


def _rgbd_half(file: _File) -> Eyes:
    frame = file.picture()
    return _with_depth(file, *_stretched(file, halves(frame, "width"), *frame.shape[2:]))


def _quilt(file: _File) -> Eyes:
    first, last, count = outermost(file.picture(), file.path.stem)
    eyes = _made(file, first, last)
    return replace(eyes, source=f"{file.path}: read as a quilt: the outermost of {count} views")


def _wiggle(file: _File) -> Eyes:
    with Image.open(BytesIO(file.content), formats=("GIF", "WEBP")) as animation:
        check_size(animation.width, animation.height)
        if (count := getattr(animation, "n_frames", 1)) != 2:
            raise FormatError(f"expected an animation of two views, got {count}")
        views: list[Picture] = []
        for number in range(count):
            animation.seek(number)
            views.append(tensor_of_pil(animation.copy(), keeps_alpha=True))
    return _made(file, views[0], views[1])


def _grey(file: _File) -> Eyes:
    """The eyes of a grey anaglyph: red is the left one, blue the right one."""
    frame = file.picture()[:, :3]
    left, right = (frame[:, channel : channel + 1].expand(-1, 3, -1, -1).contiguous() for channel in (0, 2))
    return _made(file, left, right)


READABLE: Mapping[str, Read] = MappingProxyType(
    {
        "sbs": _side_by_side,
        "sbs-half": _side_by_side_half,
        "cross-eyed": _cross_eyed,
        "top-bottom": _top_bottom,
        "top-bottom-half": _top_bottom_half,
        "interlaced-rows": _interlaced("rows"),
        "interlaced-columns": _interlaced("columns"),
        "checkerboard": _interlaced("checkerboard"),
        "anaglyph-gray": _grey,
        "anaglyph-true": _grey,
        "mpo": _mpo,
        "jps": _jps,
        "spatial": _spatial,
        "vr180": _vr180,
        "vr180-sbs": _vr180_side_by_side,
        "rgbd": _rgbd,
        "rgbd-half": _rgbd_half,
        "wiggle-gif": _wiggle,
        "wiggle-webp": _wiggle,
        "quilt": _quilt,
        "eyes": _sibling,
    }
)
"""The formats that are read back, by name."""
