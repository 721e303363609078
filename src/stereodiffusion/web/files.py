"""The files of a pair that a browser or a program may fetch; each is encoded when it is asked for."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import OUTPUT_FORMATS, encode_image, visualise
from stereodiffusion.formats.maps import encode_map
from stereodiffusion.formats.naming import encode_files
from stereodiffusion.pair import StereoPair

PARTS: Mapping[str, Callable[[StereoPair], bytes]] = MappingProxyType(
    {
        "left.png": lambda pair: encode_image(pair.left, ".png", pair.provenance),
        "right.png": lambda pair: encode_image(pair.right, ".png", pair.provenance),
        "left.jpg": lambda pair: encode_image(pair.left, ".jpg"),  # while a slider moves
        "right.jpg": lambda pair: encode_image(pair.right, ".jpg"),
        "depth.png": lambda pair: encode_image(visualise(pair.disparity), ".png"),
        "disparity.pfm": lambda pair: encode_map(pair.disparity, ".pfm"),
        "occlusion.png": lambda pair: encode_image(pair.occlusion.float().expand(-1, 3, -1, -1), ".png"),
        "bundle.zip": lambda pair: _bundle(pair),
    }
)
"""What a pair consists of, by the names of files."""


def name_in(format_name: str) -> str:
    """What a pair's file in one of the output formats is called; several files are in a zip."""
    several = len(OUTPUT_FORMATS[format_name].parts) > 1
    return format_name + (".zip" if several else OUTPUT_FORMATS[format_name].suffixes[0])


def check_name(name: str) -> None:
    """Refuse names of files that no pair has.

    Raises:
        FormatError: If there is no such file.
    """
    if name not in PARTS and name.rpartition(".")[0] not in OUTPUT_FORMATS:
        raise FormatError(f"there is no file {name!r} of a result")


def encoded(name: str, pair: StereoPair) -> bytes:
    """The content of a file of a pair.

    Raises:
        FormatError: If there is no such file.
    """
    check_name(name)
    if name in PARTS:
        return PARTS[name](pair)
    stem, _, suffix = name.rpartition(".")
    several = len(OUTPUT_FORMATS[stem].parts) > 1
    path = Path(f"stereo.{'png' if several else suffix}")
    files = {target.name: content for target, content in encode_files(path, [stem], pair.eyes()).items()}
    return _zipped(files) if several else next(iter(files.values()))


def _bundle(pair: StereoPair) -> bytes:
    """All that a pair is, for research: both eyes, disparity, occlusion, and what they were made by."""
    files = {name: PARTS[name](pair) for name in ("left.png", "right.png", "disparity.pfm", "occlusion.png")}
    made_by = json.dumps(dict(pair.provenance), indent=2)
    request = json.dumps(pair.provenance.get("request", {}), indent=2)
    return _zipped({**files, "request.json": request.encode(), "provenance.json": made_by.encode()})


def _zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time: the same pair, the same bytes
    return content.getvalue()
