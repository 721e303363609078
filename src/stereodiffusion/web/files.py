"""The files of a pair that a browser or a program may fetch; each is encoded when it is asked for."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from stereodiffusion.bundles import annotate, bundle_files
from stereodiffusion.errors import FormatError
from stereodiffusion.formats import OUTPUT_FORMATS, encode_image, visualise
from stereodiffusion.formats.maps import encode_map
from stereodiffusion.formats.naming import encode_files
from stereodiffusion.geometry import StereoRig
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
    }
)
"""What a pair consists of, by the names of files."""

BUNDLE = "bundle.zip"
"""All that is known of a pair, for research."""


def name_in(format_name: str) -> str:
    """What a pair's file in one of the output formats is called; several files are in a zip."""
    several = len(OUTPUT_FORMATS[format_name].parts) > 1
    return format_name + (".zip" if several else OUTPUT_FORMATS[format_name].suffixes[0])


def check_name(name: str) -> None:
    """Refuse names of files that no pair has.

    Raises:
        FormatError: If there is no such file.
    """
    if name not in (*PARTS, BUNDLE) and name.rpartition(".")[0] not in OUTPUT_FORMATS:
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


def bundle_of(pair: StereoPair, camera: StereoRig | None) -> bytes:
    """All that is known of a pair, for research, as `--bundle folder` has it; and its request as a file of its own."""
    files = bundle_files(annotate(pair, "stereo", camera), "folder")
    asked = json.dumps(pair.provenance.get("request", {}), indent=2)
    return _zipped({**files, "request.json": asked.encode()})


def _zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time: the same pair, the same bytes
    return content.getvalue()
