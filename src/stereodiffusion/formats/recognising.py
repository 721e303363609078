"""Which format a file with a stereo pair has: what it says, what its name says, or what its picture looks like.

In this order: the metadata of this package; what containers say (HEIC, MPO, JPS, VR180, animations); the name, as
players read it; and the picture itself (`guessing`). Whoever knows better says so.
"""

import re
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.guessing import guess, looks_half
from stereodiffusion.formats.outputs import OUTPUT_FORMATS
from stereodiffusion.formats.pictures import metadata
from stereodiffusion.formats.pictures.containers import is_heif
from stereodiffusion.formats.pictures.image import decode_image, identify_picture, is_animated
from stereodiffusion.formats.stereo.jps import jps_layout
from stereodiffusion.formats.stereo.mpo import holds_eyes
from stereodiffusion.formats.stereo.spatial import is_spatial
from stereodiffusion.formats.stereo.vr180 import is_vr180

_NAMES = (  # the first that is found in the stem counts; full or half is seen from the shape where it is not said
    (r"_qs\d+x\d+a[\d.]+", "quilt"),
    (r"(left|right|[lr])", "eyes"),
    (r"hrgbd|rgbd[-_]?half", "rgbd-half"),
    (r"rgbd", "rgbd"),
    (r"180(x180)?[-_](lr|sbs|3dh)", "vr180-sbs"),
    (r"lrf|fsbs|full[-_]?sbs|sbs[-_]?full", "sbs"),
    (r"hsbs|half[-_]?sbs|sbs[-_]?half", "sbs-half"),
    (r"rlf|rl|cross(-eyed)?|crosseyed|xeye", "cross-eyed"),
    (r"tbf|fulltb|full[-_]?(tb|ou)|ftb|fou", "top-bottom"),
    (r"htb|hou|half[-_]?(tb|ou)|top-bottom-half", "top-bottom-half"),
    (r"sbs|lr|3dh|parallel", "sbs?"),
    (r"tb|ou|3dv|top-bottom|overunder", "top-bottom?"),
    (r"interlaced[-_]columns", "interlaced-columns"),
    (r"interlaced([-_]rows)?", "interlaced-rows"),
    (r"checkerboard", "checkerboard"),
    (r"redcyan|anaglyph", "anaglyph"),
)


class Recognised(NamedTuple):
    """A format, and in a few words why it is that one."""

    format: str
    why: str


def recognise(path: Path, content: bytes) -> Recognised:
    """The format of a file. To be called in `decoding`.

    Raises:
        FormatError: If nothing tells that there are two eyes in it.
    """
    if path.suffix.lower() in {".mp4", ".webm"}:
        raise FormatError("videos are not read back: a wiggle keeps too little of the eyes")
    picture = identify_picture(content)
    found = _by_metadata(picture, content) or _by_container(path, picture, content)
    if found is not None:
        return found
    height, width = picture.height, picture.width
    named = _by_name(path.stem, height, width)
    if named is not None:
        return named
    seen = guess(decode_image(content))
    if seen is None:
        raise FormatError(
            "expected a stereo pair, found a picture of one view: neither metadata nor its name (such as _LRF_Full_SBS "
            "or _TB) says how two eyes lie in it, and its halves are not alike; say it with --from FORMAT"
        )
    seen = f"{seen}-half" if seen in ("sbs", "top-bottom") and looks_half(height, width) else seen
    return Recognised(seen, "its parts are alike; which eye comes first cannot be seen, the left is taken to")


def settings_in(picture: Image.Image, content: bytes) -> dict[str, object]:
    """What this package wrote into the file; empty if it did not write it."""
    try:
        return metadata.parse_json(metadata.find_json(picture, content), "")
    except FormatError:
        return {}


def _by_metadata(picture: Image.Image, content: bytes) -> Recognised | None:
    name = settings_in(picture, content).get("format")
    name = "eyes" if name in ("left", "right") else name
    if isinstance(name, str) and (name in OUTPUT_FORMATS or name == "quilt"):
        return Recognised(name, "its metadata say so")
    return None


def _by_container(path: Path, picture: Image.Image, content: bytes) -> Recognised | None:
    if is_heif(content):
        return Recognised("spatial", "it has a stereo group") if is_spatial(content) else None
    if picture.format in {"JPEG", "MPO"}:
        if is_vr180(content):
            return Recognised("vr180", "its XMP has a panorama and a second picture")
        if jps_layout(content) is not None:
            return Recognised("jps", "its APP3 segment says so")
        if holds_eyes(content):
            return Recognised("mpo", "its index lists two views")
        return Recognised("jps", "its suffix says so") if path.suffix.lower() == ".jps" else None
    if picture.format in {"GIF", "WEBP"} and is_animated(picture):
        return Recognised(
            f"wiggle-{picture.format.lower()}", "it is an animation; its first view is taken for the left eye's"
        )
    return None


def _by_name(stem: str, height: int, width: int) -> Recognised | None:
    for words, name in _NAMES:
        found = re.search(rf"(?:^|[-_ .])({words})(?=$|[-_ .])", stem, flags=re.IGNORECASE)
        if words.startswith("_qs"):
            found = re.search(words, stem)
        elif name == "eyes" and found is not None and not stem.endswith(found[1]):
            found = None
        if found is None:
            continue
        why = f"its name says {found[0].strip('-_ .')}"
        if name.endswith("?"):
            is_half = looks_half(height, width)
            why += ", and it has the shape of a screen" if is_half else ""
            name = name.removesuffix("?") + ("-half" if is_half else "")
        return Recognised(name, why)
    return None
