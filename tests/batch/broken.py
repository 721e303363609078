"""A folder of photos of which twenty are broken, each in another way; and a batch of it, from the command line.

    python -m tests.batch.broken --photos 180 --source PHOTOS FOLDER -- --preset fast --steps 4

says what came of it, and leaves the results in FOLDER/results to be looked at. As root the file without permission
can be read; run it as somebody else.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from tests.batch.killing import write_photos
from tests.formats.hostile import FILES

from stereodiffusion.batch import REPORT, SHEET, read_report


def _picture(kind: str) -> bytes:
    file = BytesIO()
    levels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(levels).save(file, kind)
    return file.getvalue()


def _of(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _without_permission(path: Path) -> None:
    path.write_bytes(_picture("PNG"))
    path.chmod(0)


_LOCKED = "Permission denied"  # not of a superuser
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 132735\n"
_RAW = b"II*\0\x10\0\0\0CR\x02\0" + bytes(500)

BROKEN: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "empty.png": (_of(b""), "the file is empty"),
    "text.png": (_of(b"There is no picture here.\n"), "expected a picture"),
    "page.jpg": (_of(b"<!DOCTYPE html><html><title>404 Not Found</title></html>"), "expected a picture"),
    "drawing.png": (_of(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'), "expected a picture"),
    "paper.jpg": (_of(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(300)), "expected a picture"),
    "archive.webp": (_of(b"PK\x03\x04" + bytes(300)), "expected a picture"),
    "film.jpg": (_of(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(300)), "expected a picture"),
    "pointer.png": (_of(_POINTER), "expected a picture"),
    "half.png": (_of(_picture("PNG")[:4000]), "damaged or truncated"),
    "half.jpg": (_of(_picture("JPEG")[:1500]), "damaged or truncated"),
    "flipped.png": (_of(_picture("PNG").replace(b"IDAT", b"IDAT\xff", 1)), "damaged or truncated"),
    "raw.tif": (_of(_RAW), "a camera's raw file"),
    "radiance.png": (_of(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 4\n" + bytes(64)), "high dynamic range"),
    "light.png": (_of(b"v/1\x01\x02\0\0\0" + bytes(300)), "high dynamic range"),
    "wide.jpg": (FILES["wide.jpg"], "hold no 20000 x 4000 pixels"),
    "row.png": (FILES["row.png"], "megapixels"),
    "sparse.png": (FILES["sparse.png"], "expected at most 500 MB, got 20000"),
    "pipe.png": (os.mkfifo, "got a device or pipe"),
    "nowhere.png": (lambda path: path.symlink_to("nothing.png"), "no such file"),
    "locked.png": (_without_permission, _LOCKED),
}
"""By name: how it is written, and words of the reason that its line gives."""


def write_broken(folder: Path) -> dict[str, str]:
    """Write all of them; gives words of the reason for each that cannot be read by this process."""
    for name, (write, _) in BROKEN.items():
        write(folder / name)
    superuser = os.access(folder / "locked.png", os.R_OK)
    return {name: said for name, (_, said) in BROKEN.items() if not (superuser and said == _LOCKED)}


def _cut(source: Path, folder: Path, count: int) -> None:
    """Pieces of photos, 96 x 128 pixels each."""
    folder.mkdir(parents=True)
    pictures = [Image.open(path).convert("RGB") for path in sorted(source.iterdir()) if path.suffix in {".jpg", ".png"}]
    draw = random.Random(0)
    for number in range(count):
        picture = pictures[number % len(pictures)]
        x, y = draw.randrange(picture.width - 256), draw.randrange(picture.height - 192)
        picture.crop((x, y, x + 256, y + 192)).resize((128, 96)).save(folder / f"{number:03}.png")


def check(folder: Path, good: int, reasons: Mapping[str, str]) -> None:
    """Hold a folder of results against what went in.

    Raises:
        AssertionError: If anything is not as it should be.
    """
    entries = read_report(folder)
    failed = {Path(entry.input).name: entry.reason or "" for entry in entries.values() if entry.status == "failed"}
    assert failed.keys() == reasons.keys()
    assert all(said in failed[name] and failed[name].isprintable() for name, said in reasons.items())
    results = {entry.result for entry in entries.values() if entry.result is not None}
    assert len(results) == good
    assert results | {REPORT} == {path.name for path in folder.iterdir()} - {SHEET}
    assert len((folder / REPORT).read_text().splitlines()) == len(entries)


def main() -> None:
    """Run it, and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=180)
    parser.add_argument("--source", type=Path, help="cut them from the photos of this folder")
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args()
    photos, results = asked.folder / "photos", asked.folder / "results"
    if asked.source is None:
        write_photos(photos, asked.photos)
    else:
        _cut(asked.source, photos, asked.photos)
    reasons = write_broken(photos)
    began = time.perf_counter()
    line = [sys.executable, "-m", "stereodiffusion", "batch", str(photos), "-o", str(results), *asked.options]
    code = subprocess.run(line, check=False).returncode
    took = time.perf_counter() - began
    good = asked.photos + len(BROKEN) - len(reasons)
    assert code == 3
    check(results, good, reasons)
    print(f"{good} made and {len(reasons)} refused, each for its reason, in {took:.0f} s; look at {results / SHEET}")  # noqa: T201


if __name__ == "__main__":
    main()
