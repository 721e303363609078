"""The settings that made a picture, carried inside its file as JSON.

PNG keeps them in an `iTXt` chunk named `stereodiffusion`; JPEG, MPO and WebP in the EXIF `UserComment`; TIFF in
`ImageDescription`; GIF in its comment. `Software` names this package where there is a place for it. No time
goes in: the same request on the same machine gives the same bytes.
"""

import json
from collections.abc import Mapping
from typing import cast

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.pictures import png

SOFTWARE = "StereoDiffusion"
PNG_KEYWORD = "stereodiffusion"

_ASCII = b"ASCII\0\0\0"  # EXIF 2.3, table 9: the character code of a UserComment
_SRGB = 1
_OF_CAMERAS = frozenset(
    {
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.Copyright,
    }
)
_OF_THE_FILE = frozenset(
    {
        ExifTags.Base.MakerNote,
        ExifTags.Base.UserComment,
        ExifTags.Base.ColorSpace,
        ExifTags.Base.ExifImageWidth,
        ExifTags.Base.ExifImageHeight,
        ExifTags.Base.ComponentsConfiguration,
        ExifTags.Base.CompressedBitsPerPixel,
        ExifTags.IFD.Interop,
    }
)


def to_json(settings: Mapping[str, object]) -> str:
    """One line of ASCII JSON, keys in the given order."""
    try:
        return json.dumps(dict(settings), allow_nan=False)
    except (TypeError, ValueError) as refused:
        raise FormatError(f"settings must be plain JSON values: {refused}") from refused


def png_text(settings: Mapping[str, object]) -> PngImagePlugin.PngInfo:
    """Text chunks with the settings, and the chunk that declares the pixels sRGB."""
    info = PngImagePlugin.PngInfo()
    info.add(b"sRGB", b"\0")  # rendering intent: perceptual
    if settings:
        info.add_text("Software", SOFTWARE)
        info.add_itxt(PNG_KEYWORD, to_json(settings))
    return info


def exif(settings: Mapping[str, object], camera: bytes = b"") -> Image.Exif:
    """EXIF with the settings, and the tag that declares the pixels sRGB.

    Args:
        settings: What made the picture, as JSON values.
        camera: EXIF of the picture that it was made from, whose tags are kept: all but those that describe the old
            file's pixels, and notes of the maker, which do not survive a move.
    """
    block = Image.Exif()
    details: dict[int, object] = {}
    if camera:
        taken = Image.Exif()
        taken.load(camera)
        block.update({tag: value for tag, value in taken.items() if tag in _OF_CAMERAS})
        details |= {tag: value for tag, value in taken.get_ifd(ExifTags.IFD.Exif).items() if tag not in _OF_THE_FILE}
        if place := taken.get_ifd(ExifTags.IFD.GPSInfo):
            block[ExifTags.IFD.GPSInfo] = dict(place)
    details[ExifTags.Base.ColorSpace] = _SRGB
    if settings:
        block[ExifTags.Base.Software] = SOFTWARE
        details[ExifTags.Base.UserComment] = _ASCII + to_json(settings).encode("ascii")
    block[ExifTags.IFD.Exif] = details
    return block


def tiff_tags(settings: Mapping[str, object]) -> TiffImagePlugin.ImageFileDirectory_v2:
    """TIFF tags with the settings."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if settings:
        tags[ExifTags.Base.Software] = SOFTWARE
        tags[ExifTags.Base.ImageDescription] = to_json(settings)
    return tags


def find_json(picture: Image.Image, content: bytes) -> str | None:
    """The JSON text in an opened picture, wherever its format keeps it."""
    if picture.format == "PNG":
        return png.international_text(content, PNG_KEYWORD)
    if picture.format == "GIF":
        comment = picture.info.get("comment", b"")
        return cast(bytes, comment).decode("utf-8", "replace") or None
    tags = picture.getexif()
    if picture.format == "TIFF":
        description = tags.get(ExifTags.Base.ImageDescription)
        return description if isinstance(description, str) and tags.get(ExifTags.Base.Software) == SOFTWARE else None
    comment = tags.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if isinstance(comment, bytes) and comment.startswith(_ASCII):
        return comment.removeprefix(_ASCII).decode("ascii", "replace")
    return None


def parse_json(text: str | None, name: str) -> dict[str, object]:
    """The settings in `text`; `name` is the file that is to blame when there are none."""
    try:
        settings: object = json.loads(text or "")
    except (ValueError, RecursionError):  # the latter where it is nested too deeply
        settings = None
    if not isinstance(settings, dict):
        raise FormatError(f"{name}: expected settings written by this package, found none")
    return cast(dict[str, object], settings)
