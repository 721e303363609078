"""VR180 photos: a JPEG of the left eye's half sphere that carries the right eye's in its XMP.

The first XMP packet has Google's panorama tags (`GPano`) and the kind of the other picture (`GImage:Mime`); the other
picture is `GImage:Data`, base64, in *extended* XMP: segments of 64 kB that the first packet names by their MD5 (Adobe,
XMP Specification Part 3, 1.1.3.1).
"""

import base64
import hashlib
import re
import struct
from collections.abc import Mapping
from typing import NamedTuple

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.pictures import jpeg
from stereodiffusion.formats.pictures.image import NO_SETTINGS, encode_image
from stereodiffusion.types import Image

_APP1 = 0xE1
_XMP, _EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_CHUNK = 65_000
_RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" {}/></rdf:RDF></x:xmpmeta>'
)
_GPANO = "http://ns.google.com/photos/1.0/panorama/"
_GIMAGE = "http://ns.google.com/photos/1.0/image/"


class Spheres(NamedTuple):
    """Two JPEG files that were one, and (width, height) of the part of 360 x 180 degrees that each of them shows."""

    left: bytes
    right: bytes
    degrees: tuple[float, float]


def encode_vr180(
    left: Image, right: Image, settings: Mapping[str, object] = NO_SETTINGS, *, exif: bytes = b""
) -> bytes:
    """Two half spheres, squares of one size, as one JPEG."""
    first, second = encode_image(left, ".jpg", settings, exif=exif), encode_image(right, ".jpg")
    side = left.shape[3]
    data = base64.b64encode(second).decode("ascii")
    extension = _RDF.format(f'xmlns:GImage="{_GIMAGE}" GImage:Data="{data}"').encode("ascii")
    name = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    tags = {
        "GPano:ProjectionType": "equirectangular",
        "GPano:CroppedAreaImageWidthPixels": side,
        "GPano:CroppedAreaImageHeightPixels": side,
        "GPano:FullPanoWidthPixels": 2 * side,
        "GPano:FullPanoHeightPixels": side,
        "GPano:CroppedAreaLeftPixels": side // 2,
        "GPano:CroppedAreaTopPixels": 0,
        "GPano:InitialViewHeadingDegrees": 180,
        "GPano:PosePitchDegrees": 0,
        "GPano:PoseRollDegrees": 0,
        "GImage:Mime": "image/jpeg",
        "xmpNote:HasExtendedXMP": name,
    }
    spaces = f'xmlns:GPano="{_GPANO}" xmlns:GImage="{_GIMAGE}" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    packet = _RDF.format(spaces + " ".join(f'{tag}="{value}"' for tag, value in tags.items())).encode("ascii")
    content = jpeg.with_segment(first, _APP1, _XMP + packet)
    for at in range(0, len(extension), _CHUNK):
        head = _EXTENSION + name.encode("ascii") + struct.pack(">LL", len(extension), at)
        content = jpeg.with_segment(content, _APP1, head + extension[at : at + _CHUNK])
    return content


def is_vr180(content: bytes) -> bool:
    """Whether a JPEG is half a sphere, or more, that carries another picture."""
    packet = _packet(content)
    return _tag(packet, "GPano:ProjectionType") == "equirectangular" and _tag(packet, "GImage:Mime") is not None


def split_vr180(content: bytes) -> Spheres:
    """The two half spheres of a VR180 photo, each a JPEG of its own. To be called in `decoding`.

    Raises:
        FormatError: If it is none, or the right eye is missing.
    """
    packet = _packet(content)
    if _tag(packet, "GPano:ProjectionType") != "equirectangular":
        raise FormatError("expected a VR180 photo, got a JPEG without GPano:ProjectionType equirectangular")
    name = _tag(packet, "xmpNote:HasExtendedXMP")
    data = _tag(_extension(content, name) if name else packet, "GImage:Data")
    if data is None:
        raise FormatError("expected a VR180 photo, got the left eye alone: there is no GImage:Data")
    width, height = (float(_tag(packet, f"GPano:CroppedAreaImage{side}Pixels") or 0) for side in ("Width", "Height"))
    of_width, of_height = (float(_tag(packet, f"GPano:FullPano{side}Pixels") or 0) for side in ("Width", "Height"))
    if not (0 < width <= of_width and 0 < height <= of_height):
        raise FormatError(f"the panorama's tags make no sense: {width:g} x {height:g} of {of_width:g} x {of_height:g}")
    right = base64.b64decode(data + "=" * (-len(data) % 4))
    return Spheres(content, right, (360 * width / of_width, 180 * height / of_height))


def _packet(content: bytes) -> str:
    """The first XMP packet; empty if there is none."""
    if not content.startswith(b"\xff\xd8"):
        return ""
    for marker, start, end in jpeg.segments(content):
        if marker == _APP1 and content[start + 4 : end].startswith(_XMP):
            return content[start + 4 + len(_XMP) : end].decode("utf-8", "replace")
    return ""


def _extension(content: bytes, name: str) -> str:
    """The extended XMP of that name, put together from its segments."""
    head, whole = _EXTENSION + name.encode("ascii", "replace"), bytearray()
    for marker, start, end in jpeg.segments(content):
        if marker == _APP1 and content[start + 4 : end].startswith(head):
            at = start + 4 + len(head)
            size, offset = struct.unpack_from(">LL", content, at)
            if size > len(content) or offset + end - at - 8 > size:
                raise FormatError("the file is damaged or truncated: extended XMP does not fit its length")
            whole = whole or bytearray(size)
            whole[offset : offset + end - at - 8] = content[at + 8 : end]
    if hashlib.md5(whole, usedforsecurity=False).hexdigest().upper() != name.upper():
        raise FormatError("the file is damaged or truncated: extended XMP is not what its MD5 says")
    return whole.decode("utf-8", "replace")


def _tag(packet: str, name: str) -> str | None:
    """A property, written as an attribute or as an element."""
    found = re.search(rf'{name}\s*=\s*["\']([^"\']*)["\']|<{name}>([^<]*)</{name}>', packet)
    return None if found is None else (found[1] if found[1] is not None else found[2]).strip()
