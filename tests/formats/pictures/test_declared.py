"""Colours that are declared by other means than a profile."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.formats.samples import DATA

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import read_image

EncodePng = Callable[..., bytes]

# RGB -> XYZ (D65) of the primaries, from their specifications.
TO_XYZ = {
    "srgb": [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    "p3": [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]],
    "adobe": [[0.5767309, 0.1855540, 0.1881852], [0.2973769, 0.6273491, 0.0752741], [0.0270343, 0.0706872, 0.9911085]],
}


def decoded(unit: np.ndarray) -> np.ndarray:
    return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)


def encoded(linear: np.ndarray) -> np.ndarray:
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def in_srgb(linear: np.ndarray, space: str) -> np.ndarray:
    return 255 * encoded(np.linalg.inv(TO_XYZ["srgb"]) @ np.array(TO_XYZ[space]) @ linear)


def pixel(path: Path) -> list[float]:
    return (255 * read_image(path)[0, :, 1, 1]).tolist()


LEVELS = (120, 160, 90)


@pytest.mark.parametrize("deep", [False, True])
def test_png_by_code_points(tmp_path: Path, encode_png: EncodePng, deep: bool) -> None:
    stored = np.full((2, 2, 3), LEVELS, np.uint8)
    path = tmp_path / "p3.png"
    path.write_bytes(encode_png(stored.astype(np.uint16) * 257 if deep else stored, (b"cICP", bytes([12, 13, 0, 1]))))
    assert pixel(path) == pytest.approx(in_srgb(decoded(np.array(LEVELS) / 255), "p3"), abs=1.6)
    path.write_bytes(encode_png(stored, (b"cICP", bytes([1, 13, 0, 1]))))
    assert pixel(path) == pytest.approx(LEVELS, abs=1e-3)


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_refused(tmp_path: Path, encode_png: EncodePng, transfer: int) -> None:
    path = tmp_path / "hdr.png"
    path.write_bytes(encode_png(np.full((2, 2, 3), LEVELS, np.uint8), (b"cICP", bytes([9, transfer, 0, 1]))))
    for refused in (path, DATA / "quadrants-pq.heic"):
        with pytest.raises(FormatError, match="high dynamic range"):
            read_image(refused)
    for head in (b"#?RADIANCE\n", b"\x76\x2f\x31\x01"):
        path.write_bytes(head + bytes(100))
        with pytest.raises(FormatError, match="high dynamic range"):
            read_image(path)


def test_png_by_gamma(tmp_path: Path, encode_png: EncodePng) -> None:
    path, stored = tmp_path / "linear.png", np.full((2, 2, 3), LEVELS, np.uint8)
    path.write_bytes(encode_png(stored, (b"gAMA", struct.pack(">L", 100_000))))
    assert pixel(path) == pytest.approx(255 * encoded(np.array(LEVELS) / 255), abs=1.2)
    for chunks in ([(b"gAMA", struct.pack(">L", 45_455))], [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">L", 100_000))]):
        path.write_bytes(encode_png(stored, *chunks))
        assert pixel(path) == pytest.approx(LEVELS, abs=1e-3)


def test_adobe_rgb_by_exif(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    Image.new("RGB", (16, 16), LEVELS).save(tmp_path / "adobe.jpg", exif=tags, quality=100)
    with Image.open(tmp_path / "adobe.jpg") as picture:
        stored = np.array(picture.getpixel((1, 1)))
    expected = in_srgb((stored / 255) ** (563 / 256), "adobe")
    assert pixel(tmp_path / "adobe.jpg") == pytest.approx(expected, abs=1.6)


@pytest.mark.parametrize("name", ["quadrants", "quadrants-display-p3"])
def test_heic(name: str) -> None:
    read = 255 * read_image(DATA / f"{name}.heic")[0]
    for (row, column), levels in (((8, 8), (200, 40, 40)), ((8, 48), (40, 160, 60)), ((48, 8), (50, 60, 190))):
        linear = decoded(np.array(levels) / 255)
        expected = in_srgb(linear, "p3" if "p3" in name else "srgb")
        assert np.abs(read[:, row, column].numpy() - expected).max() < 6


def test_avif_by_code_points(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), LEVELS).save(file, "AVIF", quality=95)
    content = bytearray(file.getvalue())
    at = content.index(b"colrnclx") + 8
    (tmp_path / "srgb.avif").write_bytes(content)
    content[at : at + 4] = struct.pack(">HH", 12, 13)
    (tmp_path / "p3.avif").write_bytes(content)
    stored = np.array(pixel(tmp_path / "srgb.avif"))
    assert pixel(tmp_path / "p3.avif") == pytest.approx(in_srgb(decoded(stored / 255), "p3"), abs=1.6)
