"""Pictures: files, Pillow images and tensors.

Reading gives sRGB in [0, 1] whatever the file holds: EXIF orientation is applied, other colour spaces are
converted (see `colour`), grey becomes three equal channels, 16 bits keep their precision (except of CMYK, and through
a colour profile other than sRGB, which is applied in 8 bits), and transparency is laid over white, as on paper, or kept
as a fourth channel where that is asked for. Of an MPO or HEIC the first or main picture is read, of a TIFF the only one
that is no smaller copy. Refused are animations and other files of several pictures, camera raw files, high dynamic
range, and what is larger than `limits` says.

Pillow decodes what has 8 bits, pi-heif HEIC, tifffile TIFF and imagecodecs the 16-bit colour of PNG.

Writing rounds to the nearest of 256 levels and declares the pixels sRGB. PNG, TIFF and WebP are lossless; JPEG
is quality 95 without chroma subsampling, because anaglyphs live in the chroma.
"""

import struct
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from stereodiffusion.errors import FormatError, wants_memory
from stereodiffusion.formats.files import PathLike, read_bytes, write_files
from stereodiffusion.formats.limits import LIMIT, check_size
from stereodiffusion.formats.pictures import colour, jpeg, metadata, png, tiff
from stereodiffusion.formats.pictures.containers import is_heif, is_png, is_tiff, refuse_foreign
from stereodiffusion.formats.pictures.declared import CODE_POINTS, NCLX, declared_profile
from stereodiffusion.formats.pictures.orientation import upright
from stereodiffusion.formats.pictures.raster import Composed, Raster, assembled, deep_grey, over_white, tensor_of_raster
from stereodiffusion.geometry import bands
from stereodiffusion.geometry.accept import RANGE_SLACK, check_picture
from stereodiffusion.types import Image as ImageTensor

STILL_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
)
"""The suffixes of still pictures that can be written, and what Pillow calls their format."""

NO_SETTINGS: Mapping[str, object] = MappingProxyType({})

_BY_PILLOW = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
_READABLE = (*_BY_PILLOW, "HEIC")
_SAVE_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "PNG": {"compress_level": 4},  # half the time of the usual 6, and 2 % larger
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_deflate"},
}


def read_image(path: PathLike) -> Float[Tensor, "1 3 h w"]:
    """A picture file as sRGB in [0, 1].

    Raises:
        FormatError: If it cannot be read, or is not what it takes; the message names the file.
    """
    content = read_bytes(path)
    with decoding(path):
        return decode_image(content)


def decode_image(content: bytes, *, keeps_alpha: bool = False) -> Float[Tensor, "1 channels h w"]:
    """A picture in memory as sRGB in [0, 1], and alpha as a fourth channel if it has some. To be called in `decoding`.

    Args:
        content: The file.
        keeps_alpha: Whether there is such a channel; else the picture is laid over white.
    """
    refuse_foreign(content)
    if is_tiff(content):
        return _read_tiff(content, keeps_alpha=keeps_alpha)
    if is_png(content) and png.is_deep_colour(content):
        return _read_deep_png(content, keeps_alpha=keeps_alpha)
    return tensor_of_pil(open_picture(content), keeps_alpha=keeps_alpha)


def from_pil(picture: Image.Image) -> Float[Tensor, "1 3 h w"]:
    """A Pillow image of any mode as sRGB in [0, 1]; orientation, profile and transparency as in a file."""
    _check_single(picture)
    check_size(picture.width, picture.height)
    return tensor_of_pil(picture)


def tensor_of_pil(picture: Image.Image, *, keeps_alpha: bool = False) -> Float[Tensor, "1 channels h w"]:
    """The frame at which a Pillow image stands, as `decode_image` gives it."""
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode in {"I", "F"}:
        raise FormatError(f"expected 8 or 16 bits per channel, got 32 (mode {picture.mode}): is this a map?")
    is_deep, is_clear = picture.mode.startswith("I;16"), picture.has_transparency_data
    ramp = colour.grey_ramp(picture) if is_deep else None
    convert = colour.converter(picture)

    def compose(rows: slice) -> Composed:
        part = picture.crop((0, rows.start, picture.width, rows.stop))
        if ramp is not None:
            return _deep_grey(part, ramp)
        if not is_clear:
            return np.asarray(convert(part))
        if part.mode in {"P", "PA"}:
            part = part.convert("RGBA")
        alpha = np.asarray(part.convert("RGBA").getchannel("A"))[..., None]
        return np.concatenate([np.asarray(convert(part)), alpha], axis=-1)

    return assembled(picture.height, picture.width, compose, keeps_alpha=keeps_alpha)


def to_pil(image: Float[Tensor, "1 channels h w"]) -> Image.Image:
    """One picture in [0, 1] as a Pillow image of 8 bits, rounded to the nearest level; a fourth channel is alpha."""
    return Image.fromarray(to_levels(image))


def to_levels(image: Float[Tensor, "1 channels h w"]) -> UInt8[np.ndarray, "h w channels"]:
    """One picture in [0, 1], with or without alpha, as levels 0 ... 255."""
    has_alpha = isinstance(image, Tensor) and image.ndim == 4 and image.shape[1] == 4
    check_picture(image[:, :3] if has_alpha else image, name="image")
    if image.shape[0] != 1:
        raise FormatError(f"expected one picture, got a batch of {image.shape[0]}")
    pixels = image[0].detach().to("cpu", torch.float32)
    lowest, highest = (float(bound) for bound in pixels.aminmax())
    if not (lowest >= -RANGE_SLACK and highest <= 1 + RANGE_SLACK):
        raise FormatError(f"expected pixels in [0, 1], got {lowest:g} ... {highest:g}")
    levels = np.empty((*pixels.shape[1:], len(pixels)), np.uint8)
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


def encode_image(
    image: Float[Tensor, "1 channels h w"],
    suffix: str,
    settings: Mapping[str, object] = NO_SETTINGS,
    *,
    exif: bytes = b"",
) -> bytes:
    """The bytes of a picture file. The same picture and settings give the same bytes.

    Args:
        image: In [0, 1]; a fourth channel is alpha, which PNG, WebP and TIFF hold. JPEG gets it laid over white.
        suffix: Chooses the format.
        settings: What made the picture, as JSON values.
        exif: Of a camera, to be kept, in JPEG, PNG and WebP.
    """
    holds_alpha = STILL_SUFFIXES.get(suffix.lower()) != "JPEG"
    return encode_pil(to_pil(image if holds_alpha else over_white(image)), suffix, settings, exif=exif)


def encode_pil(
    picture: Image.Image, suffix: str, settings: Mapping[str, object] = NO_SETTINGS, *, exif: bytes = b""
) -> bytes:
    """As `encode_image`, for an RGB, RGBA or grey Pillow image."""
    kind = STILL_SUFFIXES.get(suffix.lower())
    if kind is None:
        raise FormatError(f"expected one of {', '.join(STILL_SUFFIXES)}, got {suffix or 'no suffix'}")
    options = dict(_SAVE_OPTIONS[kind])
    match kind:
        case "PNG":
            options["pnginfo"] = metadata.png_text(settings)
            if exif:
                options["exif"] = metadata.exif({}, exif)
        case "TIFF":
            options["tiffinfo"] = metadata.tiff_tags(settings)
        case _:
            options["exif"] = metadata.exif(settings, exif)
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def read_metadata(path: PathLike) -> dict[str, object]:
    """The settings that this package wrote into a picture; its pixels are not decoded."""
    content = read_bytes(path)
    with decoding(path):
        refuse_foreign(content)
        text = metadata.find_json(identify_picture(content), content)
    return metadata.parse_json(text, str(path))


def open_picture(content: bytes) -> Image.Image:
    """A picture in memory, upright and decoded completely: a truncated one fails here. To be called in `decoding`."""
    picture = identify_picture(content)
    _check_single(picture)
    check_size(picture.width, picture.height)
    with _quiet():
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def identify_picture(content: bytes) -> Image.Image:
    """A picture of which only the head was read, with all that is declared of its colours."""
    with _quiet():
        if is_heif(content):
            from pi_heif import HeifImageFile

            return HeifImageFile(BytesIO(content))
        if is_png(content):
            content = png.without_text(content)
        picture = Image.open(BytesIO(content), formats=_BY_PILLOW)
    if picture.format in {"JPEG", "MPO"}:
        jpeg.check_coding(content, picture.width, picture.height)
    picture.info.update(_declared_outside(picture, content))
    return picture


def _declared_outside(picture: Image.Image, content: bytes) -> dict[str, object]:
    """What Pillow does not tell of the declared colours, or only with all pixels, such as the EXIF tags of PNG."""
    if picture.format == "PNG":
        numbers, tags = png.find_chunk(content, b"cICP"), png.find_chunk(content, b"eXIf")
        exif: dict[str, object] = {"exif": b"Exif\0\0" + tags if tags else b""}
        return exif | ({CODE_POINTS: (numbers[0], numbers[1])} if numbers else {})
    if picture.format == "AVIF":
        from pi_heif import open_heif

        file = cast(Any, open_heif(BytesIO(content), convert_hdr_to_8bit=False))
        return {NCLX: file.info.get(NCLX)}
    return {}


@contextmanager
def _quiet() -> Generator[None]:
    """Pillow warns of oddities in tags and of large pictures; of our own warnings none is kept back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
        raise FormatError(f"{path}: too large: expected {LIMIT}") from bomb
    except Exception as broken:  # decoders raise almost anything: OSError, SyntaxError, struct.error, IndexError ...
        if wants_memory(broken):
            raise MemoryError(f"{path}: not enough memory to read it") from broken
        reason = " ".join(str(broken).split()) or type(broken).__name__
        raise FormatError(f"{path}: the file is damaged or truncated: {reason}") from broken


@contextmanager
def encoding(path: PathLike) -> Generator[None]:
    """Turns whatever an encoder throws into one line that names the file."""
    try:
        yield
    except FormatError as refused:
        raise FormatError(f"{path}: {refused}") from refused
    except (OSError, ValueError, struct.error) as failed:  # such as a side longer than the format allows
        raise FormatError(f"{path}: cannot be encoded: {' '.join(str(failed).split())}") from failed


def _check_single(picture: Image.Image) -> None:
    if is_animated(picture) and picture.format not in {"MPO", "HEIF"}:
        raise FormatError("expected a single picture, got several frames")


def is_animated(picture: Image.Image) -> bool:
    """Whether there are frames or pages after the first."""
    return bool(getattr(picture, "is_animated", False))


def _read_tiff(content: bytes, *, keeps_alpha: bool) -> Float[Tensor, "1 channels h w"]:
    with tiff.only_page(content) as page:
        if not tiff.is_for_libtiff(page):
            return tensor_of_raster(tiff.picture_of(page), keeps_alpha=keeps_alpha)
        tiff.check_for_libtiff(page)
        with _quiet():
            picture = Image.open(BytesIO(content), formats=("TIFF",))
            picture.seek(page.index)
            picture.load()
    return tensor_of_pil(picture, keeps_alpha=keeps_alpha)


def _read_deep_png(content: bytes, *, keeps_alpha: bool) -> Float[Tensor, "1 channels h w"]:
    """Of 16 bits, which Pillow reads as 8; it tells what there is beside the pixels."""
    picture = identify_picture(content)
    pixels = decode_deep_png(picture, content)
    has_alpha = pixels.shape[2] in {2, 4}
    return tensor_of_raster(
        Raster(
            levels=pixels[..., :-1] if has_alpha else pixels,
            alpha=pixels[..., -1:] if has_alpha else None,
            profile=declared_profile(picture),
        ),
        keeps_alpha=keeps_alpha,
    )


def decode_deep_png(picture: Image.Image, content: bytes) -> UInt16[np.ndarray, "h w c"]:
    """The levels of a PNG of 16-bit colour, upright; `picture` is the same file of which only the head was read."""
    _check_single(picture)
    check_size(picture.width, picture.height, 2 * png.channels(content))
    return upright(png.decode_deep(content), picture.getexif().get(ExifTags.Base.Orientation, 1))


def _deep_grey(picture: Image.Image, ramp: Float[np.ndarray, "256 3"]) -> Float[np.ndarray, "h w c"]:
    """16-bit grey as three equal channels in [0, 1], and a fourth where one level is declared transparent."""
    values = np.asarray(picture)
    grey = deep_grey(values, ramp)
    if "transparency" not in picture.info:
        return grey
    opaque = (values != picture.info["transparency"]).astype(np.float32)
    return np.concatenate([grey, opaque[..., None]], axis=-1)
