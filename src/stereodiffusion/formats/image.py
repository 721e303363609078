"""Pictures: files, Pillow images and tensors.

Reading gives sRGB in [0, 1] whatever the file holds: EXIF orientation is applied, other colour spaces are
converted (see `colour`), grey becomes three equal channels, 16 bits keep their precision (except through a colour
profile other than sRGB, which is applied in 8 bits), and transparency is laid over white, as on paper. Of an MPO
the first eye is read; animations and multi-page files are refused.

Writing rounds to the nearest of 256 levels and declares the pixels sRGB. PNG, TIFF and WebP are lossless; JPEG
is quality 95 without chroma subsampling, because anaglyphs live in the chroma.
"""

import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import colour, metadata
from stereodiffusion.formats.deep import bits_per_channel, decode_deep_colour
from stereodiffusion.formats.files import PathLike, read_bytes, write_files
from stereodiffusion.geometry import bands
from stereodiffusion.geometry.accept import RANGE_SLACK, check_picture
from stereodiffusion.types import Image as ImageTensor

STILL_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
)
"""The suffixes of still pictures that can be written, and what Pillow calls their format."""

NO_SETTINGS: Mapping[str, object] = MappingProxyType({})

_READABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
_SAVE_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_deflate"},
}


def read_image(path: PathLike) -> Float[Tensor, "1 3 h w"]:
    """A picture file as sRGB in [0, 1]."""
    content = read_bytes(path)
    with decoding(path):
        picture = open_picture(content)
        deep = _deep_colour(picture, content)
        return from_pil(picture) if deep is None else _to_tensor(deep)


def from_pil(picture: Image.Image) -> Float[Tensor, "1 3 h w"]:
    """A Pillow image of any mode as sRGB in [0, 1]; orientation, profile and transparency as in a file."""
    _check_single(picture)
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16"):
        return _to_tensor(_deep_grey(upright))
    if upright.mode in {"I", "F"}:
        raise FormatError(f"expected 8 or 16 bits per channel, got 32 (mode {upright.mode}): is this a map?")
    if not upright.has_transparency_data:
        return _to_tensor(np.asarray(colour.to_srgb(upright)))
    if upright.mode in {"P", "PA"}:
        upright = upright.convert("RGBA")
    alpha = np.asarray(upright.convert("RGBA").getchannel("A"))[..., None]
    opaque = np.asarray(colour.to_srgb(upright))
    return _to_tensor(np.concatenate([opaque, alpha], axis=-1))


def to_pil(image: Float[Tensor, "1 3 h w"]) -> Image.Image:
    """One picture in [0, 1] as a Pillow image of 8 bits, rounded to the nearest level."""
    return Image.fromarray(to_levels(image))


def to_levels(image: Float[Tensor, "1 3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """One picture in [0, 1] as levels 0 ... 255."""
    check_picture(image, name="image")
    if image.shape[0] != 1:
        raise FormatError(f"expected one picture, got a batch of {image.shape[0]}")
    pixels = image[0].detach().to("cpu", torch.float32)
    lowest, highest = (float(bound) for bound in pixels.aminmax())
    if not (lowest >= -RANGE_SLACK and highest <= 1 + RANGE_SLACK):
        raise FormatError(f"expected pixels in [0, 1], got {lowest:g} ... {highest:g}")
    levels = np.empty((*pixels.shape[1:], 3), np.uint8)
    for band in bands(pixels.shape[1], pixels.shape[2]):
        rounded = (pixels[:, band.rows].clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8)
        levels[band.rows] = rounded.permute(1, 2, 0).numpy()
    return levels


def resize_image(image: ImageTensor, height: int, width: int) -> Float[Tensor, "b 3 {height} {width}"]:
    """Pictures at another size: bicubic, with the blur that shrinking needs."""
    check_picture(image, name="image")
    resized = functional.interpolate(image.float(), (height, width), mode="bicubic", antialias=True)
    return resized.clamp_(0, 1).to(image.dtype)  # the bicubic kernel overshoots at edges


def write_image(path: PathLike, image: Float[Tensor, "1 3 h w"], settings: Mapping[str, object] = NO_SETTINGS) -> Path:
    """Writes PNG, JPEG, WebP or TIFF, chosen by the suffix, with the settings that made the picture."""
    path = Path(path)
    with encoding(path):
        content = encode_image(image, path.suffix, settings)
    return write_files({path: content})[0]


def encode_image(image: Float[Tensor, "1 3 h w"], suffix: str, settings: Mapping[str, object] = NO_SETTINGS) -> bytes:
    """The bytes of a picture file. The same picture and settings give the same bytes."""
    return encode_pil(to_pil(image), suffix, settings)


def encode_pil(picture: Image.Image, suffix: str, settings: Mapping[str, object] = NO_SETTINGS) -> bytes:
    """As `encode_image`, for an RGB or grey Pillow image."""
    kind = STILL_SUFFIXES.get(suffix.lower())
    if kind is None:
        raise FormatError(f"expected one of {', '.join(STILL_SUFFIXES)}, got {suffix or 'no suffix'}")
    options = dict(_SAVE_OPTIONS[kind])
    match kind:
        case "PNG":
            options["pnginfo"] = metadata.png_text(settings)
        case "TIFF":
            options["tiffinfo"] = metadata.tiff_tags(settings)
        case _:
            options["exif"] = metadata.exif(settings)
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def read_metadata(path: PathLike) -> dict[str, object]:
    """The settings that this package wrote into a picture."""
    content = read_bytes(path)
    with decoding(path):
        text = metadata.find_json(open_picture(content))
    return metadata.parse_json(text, str(path))


def open_picture(content: bytes) -> Image.Image:
    """A picture in memory, decoded completely: a truncated one fails here. To be called within `decoding`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = identify_picture(content)
        picture.load()
    return picture


def identify_picture(content: bytes) -> Image.Image:
    """A picture of which only the head was read."""
    with warnings.catch_warnings():
        # Pillow warns of oddities in tags and of large pictures; those that are too large it refuses.
        warnings.simplefilter("ignore")
        return Image.open(BytesIO(content), formats=_READABLE)


@contextmanager
def decoding(path: PathLike) -> Generator[None]:
    """Turns whatever a decoder throws at a bad file into one line that names the file."""
    try:
        yield
    except FormatError as refused:
        raise FormatError(f"{path}: {refused}") from refused
    except UnidentifiedImageError as unknown:
        raise FormatError(f"{path}: expected a picture ({', '.join(_READABLE)}), this is none or damaged") from unknown
    except Image.DecompressionBombError as bomb:
        raise FormatError(f"{path}: the picture is too large to be read safely: {bomb}") from bomb
    except Exception as broken:  # decoders raise almost anything: OSError, SyntaxError, struct.error, IndexError ...
        reason = " ".join(str(broken).split()) or type(broken).__name__
        raise FormatError(f"{path}: the file is damaged or truncated: {reason}") from broken


@contextmanager
def encoding(path: PathLike) -> Generator[None]:
    """Turns whatever an encoder throws into one line that names the file."""
    try:
        yield
    except FormatError as refused:
        raise FormatError(f"{path}: {refused}") from refused
    except (OSError, ValueError) as failed:  # such as a side longer than the format allows
        raise FormatError(f"{path}: cannot be encoded: {' '.join(str(failed).split())}") from failed


def _check_single(picture: Image.Image) -> None:
    if (frames := frame_count(picture)) > 1 and picture.format != "MPO":
        raise FormatError(f"expected a single picture, got {frames} frames")


def frame_count(picture: Image.Image) -> int:
    """Frames of an animation, pages of a TIFF."""
    return cast(int, getattr(picture, "n_frames", 1))


def _deep_colour(picture: Image.Image, content: bytes) -> Float[np.ndarray, "h w c"] | None:
    """16-bit colour in [0, 1], with alpha if there is any; None for everything that Pillow holds without loss."""
    if bits_per_channel(picture, content) != 16 or picture.mode not in {"RGB", "RGBA"}:
        return None
    _check_single(picture)
    if colour.has_foreign_profile(picture):
        return None
    return decode_deep_colour(picture, content) / np.float32(65535)


def _deep_grey(picture: Image.Image) -> Float[np.ndarray, "h w c"]:
    """16-bit grey as three equal channels in [0, 1], and a fourth where one level is declared transparent."""
    values = np.asarray(picture).astype(np.float32)
    ramp = colour.grey_ramp(picture)
    levels = np.linspace(0, 65535, 256)
    channels = [np.interp(values, levels, ramp[:, c]).astype(np.float32) for c in range(3)]
    if "transparency" in picture.info:
        channels.append((values != picture.info["transparency"]).astype(np.float32))
    return np.stack(channels, axis=-1)


def _to_tensor(pixels: Float[np.ndarray, "h w c"] | UInt8[np.ndarray, "h w c"]) -> ImageTensor:
    """Levels or numbers in [0, 1]: colour, or colour and alpha laid over white."""
    stored = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
    unit = stored / 255 if stored.dtype == torch.uint8 else stored
    if unit.shape[1] == 3:
        return unit
    alpha = unit[:, 3:]
    return unit[:, :3] * alpha + (1 - alpha)
