"""Apple's spatial photo: a HEIC of two pictures, a group that says which eye is which, and the cameras.

    meta/grpl/ster           EntityToGroupBox: a number, 2, the item of the left eye, that of the right
    ipco, for both eyes      intrinsics: flags 0x1e00 (of 2^30), focal length / width, centre / width, centre / height
    ipco, for each eye       extrinsics: nothing on the left; on the right flags 1 and x in micrometres
    ipco, for both eyes      disparity adjustment: in 1/10000 of the width, 0 leaves the pair as it is

The properties are those that ISO/IEC 23008-12 names `cmin` and `cmex`. Apple Vision Pro's first systems put them into
`uuid` boxes, later ones into boxes of those names: written are the first, which both read, and read are both. libx265
encodes through pillow-heif, which writes no groups: they are put into its file.
"""

import math
import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.extras import require
from stereodiffusion.formats.eyes import focal_px
from stereodiffusion.formats.pictures import metadata
from stereodiffusion.formats.pictures.containers import is_heif
from stereodiffusion.formats.pictures.image import NO_SETTINGS, identify_picture, tensor_of_pil, to_pil
from stereodiffusion.formats.stereo.boxes import Box, associations, boxes, encode_associations, find

_INTRINSICS = bytes.fromhex("22cc04c7d6d94e079d904eb6ecbaf3a3")
_EXTRINSICS = bytes.fromhex("4363e9145b7d4aab97aebea69803b434")
_ADJUSTMENT = bytes.fromhex("de22508536cb436587432f8705e7c78a")
_SHIFT = 30  # the denominator is 2 to that power
_HAS_X = 1
_GROUP = 1000  # its number, which no item has
_PICTURES = {b"hvc1", b"grid", b"iovl", b"iden", b"av01", b"jpeg"}  # types of items that show something
_QUALITY = 95


class Cameras(NamedTuple):
    """What a spatial photo says of its cameras; None where it does not."""

    field_of_view_deg: float | None
    baseline_m: float | None


def encode_spatial(
    left: Float[Tensor, "1 channels h w"],
    right: Float[Tensor, "1 channels h w"],
    settings: Mapping[str, object] = NO_SETTINGS,
    *,
    cameras: Cameras,
    exif: bytes = b"",
) -> bytes:
    """Both eyes as HEVC of quality 95 in 4:2:0, as Apple's decoders take it; alpha must be laid over white before.

    Args:
        left: The left eye.
        right: The right eye.
        settings: What made them.
        cameras: Field of view and baseline, both needed: without them the pictures are stereo, but not spatial.
        exif: Tags of a camera, to be kept.

    Raises:
        FormatError: If pillow-heif is not installed.
    """
    heif: Any = require("spatial")
    if cameras.field_of_view_deg is None or cameras.baseline_m is None:
        raise FormatError("a spatial photo needs the field of view and the baseline of its cameras")
    pictures, file = heif.HeifFile(), BytesIO()
    for eye in (left, right):
        picture = to_pil(eye)
        pictures.add_frombytes("RGB", picture.size, picture.tobytes())
    block = metadata.exif(settings, exif).tobytes()
    pictures.save(file, quality=_QUALITY, chroma=420, exif=block)
    return _with_group(file.getvalue(), cameras, left.shape[3])


def is_spatial(content: bytes) -> bool:
    """Whether this is a HEIC with a stereo pair in it, Apple's or another's."""
    return is_heif(content) and _group(content) is not None


def decode_spatial(
    content: bytes,
) -> tuple[Float[Tensor, "1 3 h w"], Float[Tensor, "1 3 h w"], Cameras]:
    """The left eye, the right eye and the cameras. To be called in `decoding`.

    Raises:
        FormatError: If there is no stereo pair in the file.
    """
    group = _group(content)
    if group is None:
        raise FormatError("expected a HEIC with a stereo pair, got one without")
    picture, shown = identify_picture(content), _shown_items(content)
    if len(shown) != getattr(picture, "n_frames", 1) or not set(group) <= set(shown):
        raise FormatError(f"cannot tell which of {len(shown)} pictures are the eyes")
    eyes: list[Float[Tensor, "1 3 h w"]] = []
    for item in group:
        picture.seek(shown.index(item))
        eyes.append(tensor_of_pil(picture))
    left, right = eyes
    return left, right, _cameras(content, group)


def _meta(content: bytes) -> Box:
    return find(list(boxes(content)), b"meta")


def _group(content: bytes) -> tuple[int, int] | None:
    """The items of the left and the right eye."""
    for group in (each for box in _meta(content).children if box.kind == b"grpl" for each in box.children):
        if group.kind == b"ster" and len(group.body) >= 20:
            _, _, count, left, right = struct.unpack_from(">5L", group.body)
            if count == 2:
                return left, right
    return None


def _shown_items(content: bytes) -> list[int]:
    """The items that are pictures of their own, in the order in which decoders list them."""
    meta = _meta(content)
    derived: set[int] = set()
    for box in meta.children:
        if box.kind == b"iref":
            wide = box.body[0] > 0
            for reference in boxes(box.body[4:]):
                if reference.kind in (b"thmb", b"auxl"):
                    derived.add(int.from_bytes(reference.body[: 4 if wide else 2], "big"))
    listed = meta.child(b"iinf").body
    shown: list[int] = []
    for entry in boxes(listed[6 if listed[0] == 0 else 8 :]):
        is_hidden, wide = entry.body[3] & 1, entry.body[0] >= 3
        item = int.from_bytes(entry.body[4 : 8 if wide else 6], "big")
        kind = entry.body[10 if wide else 8 :][:4]
        if kind in _PICTURES and not is_hidden and item not in derived:
            shown.append(item)
    return sorted(shown)


def _cameras(content: bytes, group: tuple[int, int]) -> Cameras:
    properties = _meta(content).child(b"iprp")
    listed, associated = properties.child(b"ipco").children, associations(properties.child(b"ipma"))

    def said(item: int, kind: bytes, uuid: bytes) -> bytes | None:
        for number in associated.get(item, []):
            box = listed[(number & 0x7FFF) - 1]
            if box.kind == kind:
                return box.body
            if box.kind == b"uuid" and box.body.startswith(uuid):
                return box.body[16:]
        return None

    intrinsics = said(group[0], b"cmin", _INTRINSICS)
    places = [_x_m(said(item, b"cmex", _EXTRINSICS)) for item in group]
    angle = None
    if intrinsics is not None and len(intrinsics) >= 8:
        flags, focal = struct.unpack_from(">Ll", intrinsics)
        share = focal / 2 ** ((flags >> 8) & 0x1F)
        angle = math.degrees(2 * math.atan(0.5 / share)) if share > 0 else None
    first, second = places
    distance = None if first is None or second is None else abs(second - first)
    return Cameras(angle, distance or None)


def _x_m(extrinsics: bytes | None) -> float | None:
    """Where along the line of the eyes a camera stands; at the origin if it is not said."""
    if extrinsics is None or len(extrinsics) < 4:
        return None
    has_x = extrinsics[3] & _HAS_X and len(extrinsics) >= 8
    return struct.unpack_from(">l", extrinsics, 4)[0] / 1e6 if has_x else 0.0


def _with_group(content: bytes, cameras: Cameras, width: int) -> bytes:
    """The file that pillow-heif writes, with the group, the properties, and the places of the pictures moved."""
    parts = list(boxes(content))
    meta = find(parts, b"meta")
    left, right = _shown_items(content)
    added = _properties(cameras, width)
    properties = meta.child(b"iprp")
    listed, associated = properties.child(b"ipco").children, associations(properties.child(b"ipma"))
    intrinsics, at_left, at_right, adjustment = range(len(listed) + 1, len(listed) + 1 + len(added))
    associated[left] += [intrinsics, at_left, adjustment]
    associated[right] += [intrinsics, at_right, adjustment]
    container = properties.child(b"ipco").with_children([*listed, *added])
    properties = properties.with_children([container, encode_associations(associated)])
    group = Box(b"grpl", Box(b"ster", struct.pack(">5L", 0, _GROUP, 2, left, right)).encoded())

    def with_places(moved: int) -> Box:
        """`meta`, in which the data lie further on by so many bytes."""
        replaced = {b"iprp": properties, b"iloc": _moved(meta.child(b"iloc"), moved)}
        return meta.with_children([*(replaced.get(box.kind, box) for box in meta.children), group])

    grown = len(with_places(0).encoded()) - len(meta.encoded())
    return b"".join((with_places(grown) if part.kind == b"meta" else part).encoded() for part in parts)


def _properties(cameras: Cameras, width: int) -> list[Box]:
    """Intrinsics, the place of the left eye, that of the right, and the adjustment."""
    focal = focal_px(width, cameras.field_of_view_deg or 0) / width
    centre = 1 << (_SHIFT - 1)
    micrometres = round((cameras.baseline_m or 0) * 1e6)
    return [
        Box(b"uuid", _INTRINSICS + struct.pack(">Llll", _SHIFT << 8, round(focal * 2**_SHIFT), centre, centre)),
        Box(b"uuid", _EXTRINSICS + struct.pack(">L", 0)),
        Box(b"uuid", _EXTRINSICS + struct.pack(">Ll", _HAS_X, micrometres)),
        Box(b"uuid", _ADJUSTMENT + struct.pack(">l", 0)),
    ]


def _moved(iloc: Box, by: int) -> Box:
    """Where the items' data lie (8.11.3), further on, in the form that pillow-heif writes.

    Raises:
        FormatError: If it has another form.
    """
    sizes, (count,) = iloc.body[4:6], struct.unpack_from(">H", iloc.body, 6)
    if iloc.body[0] != 0 or sizes != b"\x44\x40" or len(iloc.body) != 8 + 18 * count:
        raise FormatError("this pillow-heif writes places of items in another way than is known here")
    table = b""
    for at in range(8, len(iloc.body), 18):
        item, reference, base, extents, offset, length = struct.unpack_from(">HHLHLL", iloc.body, at)
        table += struct.pack(">HHLHLL", item, reference, base, extents, offset + by, length)
    return Box(b"iloc", iloc.body[:8] + table)
