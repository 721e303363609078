"""A small file of every kind that is read, and of some that are refused, by name."""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image, PngImagePlugin

from stereodiffusion.formats import Eyes
from stereodiffusion.formats.maps.exr import encode_exr
from stereodiffusion.formats.outputs import encode
from stereodiffusion.geometry import Disparity

DATA = Path(__file__).parent / "data"
_RNG = np.random.default_rng(0)
_SMOOTH = np.add.outer(np.linspace(0, 1, 24), np.linspace(0, 1, 32)) / 2
_COLOUR = np.stack([_SMOOTH, _SMOOTH[::-1], 1 - _SMOOTH], axis=-1)
_NOISE = 0.1 * _RNG.random((24, 32, 3))
RGB = ((_COLOUR * 0.9 + _NOISE) * 255).astype(np.uint8)
DEEP = RGB.astype(np.uint16) * 257


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png16(levels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def _pillow(kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).convert(mode).save(file, kind, **options)
    return file.getvalue()


def _tiff(levels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, levels, **options)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _exif() -> Image.Exif:
    tags = Image.Exif()
    tags[274] = 6
    tags[0x8769] = {0xA001: 0xFFFF, 0x9286: b"ASCII\0\0\0" + json.dumps({"seed": [1, {"a": None}]}).encode()}
    return tags


def _mpo() -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "MPO", save_all=True, append_images=[Image.fromarray(RGB[:, ::-1])])
    return file.getvalue()


def _stereo(name: str, suffix: str = ".png") -> bytes:
    left = torch.from_numpy(RGB.copy()).permute(2, 0, 1)[None] / 255
    disparity = Disparity.from_pixels(torch.from_numpy(4 * _SMOOTH).float())
    eyes = Eyes(left=left, right=left.flip(-1), disparity=disparity, field_of_view_deg=60, baseline_m=0.06)
    return encode(name, eyes, suffix)


def _text() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("stereodiffusion", json.dumps({"prompt": "a cat", "steps": [1, 2]}))
    text.add_text("Comment", "long " * 100, zip=True)
    return text


def every_kind() -> dict[str, bytes]:
    depth = (1 + 5 * _SMOOTH).astype(np.float32)
    palette = np.arange(768, dtype=np.uint16).reshape(3, -1) * 85
    tall = np.concatenate([DEEP, DEEP[..., :1]], axis=-1)
    return {
        "png": _pillow("PNG", pnginfo=_text()),
        "png-grey": _pillow("PNG", "L"),
        "png-palette": _pillow("PNG", "P", transparency=3),
        "png-grey-16": png16(DEEP[..., :1]),
        "png-rgb-16": png16(DEEP, (b"gAMA", struct.pack(">I", 100000)), (b"tEXt", b"Title\0it")),
        "png-rgba-16": png16(tall, (b"cICP", bytes([12, 13, 0, 1]))),
        "jpeg": _pillow("JPEG", exif=_exif()),
        "jpeg-progressive": _pillow("JPEG", progressive=True, quality=90),
        "jpeg-cmyk": _pillow("JPEG", "CMYK"),
        "mpo": _mpo(),
        "jps": _stereo("jps"),
        "vr180": _stereo("vr180", ".jpg"),
        "spatial": _stereo("spatial"),
        "png-half": _stereo("sbs-half"),
        "png-rgbd": _stereo("rgbd"),
        "png-sphere": _stereo("vr180-sbs"),
        "gif-wiggle": _stereo("wiggle-gif", ".gif"),
        "webp-wiggle": _stereo("wiggle-webp", ".webp"),
        "exr": encode_exr((1 + 5 * _SMOOTH).astype(np.float32)),
        "webp": _pillow("WEBP", exif=_exif()),
        "webp-lossless": _pillow("WEBP", "RGBA", lossless=True),
        "bmp": _pillow("BMP"),
        "gif": _pillow("GIF", "P", comment=b'{"seed": 1}'),
        "ppm": _pillow("PPM"),
        "pgm": _pillow("PPM", "L"),
        "jpeg-2000": _pillow("JPEG2000"),
        "avif": _pillow("AVIF"),
        "heic": (DATA / "quadrants.heic").read_bytes(),
        "tiff-lzw": _tiff(RGB, photometric="rgb", compression="lzw", predictor=True),
        "tiff-planar": _tiff(DEEP.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", byteorder=">"),
        "tiff-tiled": _tiff(DEEP, photometric="rgb", tile=(16, 16), compression="zlib"),
        "tiff-big": _tiff(tall, photometric="rgb", extrasamples=["assocalpha"], bigtiff=True),
        "tiff-palette": _tiff(RGB[..., 0], photometric="palette", colormap=palette),
        "tiff-jpeg": _pillow("TIFF", compression="jpeg"),
        "tiff-fax": _pillow("TIFF", "1", compression="group4"),
        "tiff-float": _tiff(depth, compression="zlib", predictor=True, extratags=[(42113, "s", 0, "-9999", True)]),
        "tiff-half": _tiff(depth.astype(np.float16)),
        "tiff-pages": _tiff(np.stack([RGB, RGB]), photometric="rgb"),
        "pfm": b"Pf\n32 24\n-1.0\n" + depth.astype("<f4").tobytes(),
        "npy": _npy(depth),
        "npy-fortran": _npy(np.asfortranarray(depth.astype(np.int16))),
        "radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 24 +X 32\n" + bytes(24 * 32 * 4),
    }
