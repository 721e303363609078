"""TIFF: which of its pictures is the picture, and the samples of that, whatever their type and arrangement.

TIFF 6.0, with the technical notes on half and other floats, on BigTIFF and on compression (`tifffile`); JPEG, fax and
YCbCr, which have 8 bits at most, are decoded by libtiff (through Pillow, see `image`).
"""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import prod
from typing import Any, TypeAlias, cast

import numpy as np
from jaxtyping import Shaped, UInt8
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.limits import check_size
from stereodiffusion.formats.pictures.containers import RAW_REFUSED
from stereodiffusion.formats.pictures.orientation import upright
from stereodiffusion.formats.pictures.raster import Raster

Samples: TypeAlias = Shaped[np.ndarray, "h w c"]

_ORIENTATION, _INK_SET, _ICC_PROFILE, _GDAL_NODATA, _DNG_VERSION = 274, 332, 34675, 42113, 50706
_REDUCED_OR_MASK = 1 | 4  # NewSubfileType
_ASSOCIATED, _UNASSOCIATED = 1, 2  # ExtraSamples
_MOST_PAGES = 64  # that are looked at: a picture with its smaller copies has fewer
_MOST_SEGMENTS = 100_000  # strips and tiles

_LOSSLESS = {
    COMPRESSION.NONE,
    COMPRESSION.LZW,
    COMPRESSION.DEFLATE,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.PACKBITS,
    COMPRESSION.LZMA,
    COMPRESSION.ZSTD,
}
_FOR_LIBTIFF = {COMPRESSION.JPEG, COMPRESSION.OJPEG, COMPRESSION.WEBP, 2, 3, 4}
_FOR_LIBTIFF_COLOURS = {PHOTOMETRIC.YCBCR, PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB}
_COLOURS = {PHOTOMETRIC.MINISWHITE: 1, PHOTOMETRIC.MINISBLACK: 1, PHOTOMETRIC.RGB: 3, PHOTOMETRIC.SEPARATED: 4}
_RAW = {PHOTOMETRIC.CFA, PHOTOMETRIC.LINEAR_RAW}


@contextmanager
def only_page(content: bytes) -> Generator[TiffPage]:
    """The one picture of a file that is neither a smaller copy of another nor a mask.

    Raises:
        FormatError: If there are several or none, if it is a camera's raw file, or too large.
    """
    with _silence(), TiffFile(BytesIO(content)) as file:
        pages = [cast(TiffPage, page) for page in _first_pages(file)]
        nested = [cast(TiffPage, inner) for page in pages for inner in (page.pages or [])[:_MOST_PAGES]]
        if any(page.photometric in _RAW or _DNG_VERSION in page.tags for page in (*pages, *nested)):
            raise FormatError(RAW_REFUSED)
        full = [page for page in pages if not page.subfiletype & _REDUCED_OR_MASK]
        if len(full) > 1 or (file.imagej_metadata or {}).get("images", 1) != 1:
            raise FormatError("expected a single picture, got several pages")
        if not full or any(_area(inner) > _area(full[0]) for inner in nested):
            raise FormatError("expected a picture, got a preview of one that lies elsewhere in the file")
        _check_page(full[0])
        yield full[0]


def is_for_libtiff(page: TiffPage) -> bool:
    """Whether the page is one of 8 bits that libtiff turns into RGB."""
    is_shallow = isinstance(page.bitspersample, int) and page.bitspersample <= 8
    return is_shallow and (page.compression in _FOR_LIBTIFF or page.photometric in _FOR_LIBTIFF_COLOURS)


def check_for_libtiff(page: TiffPage) -> None:
    """Let a page whose JPEG is damaged fail here: libtiff would print of it.

    Raises:
        Exception: Whatever its decoder raises, see `decoding`.
    """
    if page.compression == COMPRESSION.JPEG:
        for _ in page.segments():
            pass


def picture_of(page: TiffPage) -> Raster:
    """The page as grey, RGB or CMYK of 8 or 16 bits.

    Raises:
        FormatError: If it is none, or cannot be decoded.
    """
    if page.dtype is None or page.dtype.kind not in "bu" or page.dtype.itemsize > 2:
        kind = "signed integers" if page.dtype is not None and page.dtype.kind == "i" else "floating point or more"
        raise FormatError(
            f"expected 8 or 16 bits per channel, got {_bits(page)} ({kind}): is this a map, or a picture of high "
            "dynamic range?"
        )
    colour, extra = _decoded(page)
    kinds = list(page.extrasamples)[: extra.shape[2]]
    alpha = next((index for index, kind in enumerate(kinds) if kind in {_ASSOCIATED, _UNASSOCIATED}), None)
    return Raster(
        levels=colour,
        alpha=None if alpha is None else extra[..., alpha : alpha + 1],
        premultiplied=alpha is not None and kinds[alpha] == _ASSOCIATED,
        profile=cast(bytes | None, page.tags.valueof(_ICC_PROFILE)),
    )


def map_of(page: TiffPage) -> Samples:
    """The samples as stored; where the file shows 0 as white, the other way round, so that large is bright.

    Raises:
        FormatError: If they are no levels of grey or colour, or cannot be decoded.
    """
    if isinstance(page.bitspersample, int) and page.bitspersample < 8:
        raise FormatError(f"expected a map of at least 8 bits, got {page.bitspersample}")
    if is_for_libtiff(page):
        raise FormatError(f"expected a map without losses, got one stored as {_name(page.compression)}")
    samples = _samples(page)
    if page.photometric == PHOTOMETRIC.PALETTE:
        return _looked_up(page, samples)
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        if samples.dtype.kind != "u":
            raise FormatError(f"expected a map that shows 0 as black, got {samples.dtype} that shows it as white")
        return np.uint64(2**page.bitspersample - 1).astype(samples.dtype) - samples
    if page.photometric not in {PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB}:
        raise FormatError(f"expected a grey map, got {_name(page.photometric)}")
    return samples


def has_only_alpha(page: TiffPage) -> bool:
    """Whether what follows the colours, if anything, is transparency and no other quantity."""
    return all(kind in {_ASSOCIATED, _UNASSOCIATED} for kind in page.extrasamples)


def declared_unknown(page: TiffPage) -> float | None:
    """The value that stands for "no data", as GDAL writes it."""
    said = page.tags.valueof(_GDAL_NODATA)
    try:
        return None if said is None else float(str(said).strip("\0 "))
    except ValueError:
        return None


def _first_pages(file: TiffFile) -> Generator[Any]:
    for index in range(_MOST_PAGES):
        try:
            yield file.pages[index]
        except IndexError:
            return


def _area(page: TiffPage) -> int:
    return page.imagewidth * page.imagelength


def _check_page(page: TiffPage) -> None:
    if is_for_libtiff(page):
        check_size(page.imagewidth, page.imagelength, page.samplesperpixel)
        return
    if page.compression not in _LOSSLESS:
        raise FormatError(f"expected a TIFF of common compression, got {_name(page.compression)}")
    if page.dtype is None or not isinstance(page.bitspersample, int) or page.imagedepth != 1:
        raise FormatError(f"expected samples of one type, got {_bits(page)} bits in {page.imagedepth} layers")
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel * page.dtype.itemsize)
    segments = prod(page.chunked)
    if segments > _MOST_SEGMENTS:
        raise FormatError(f"expected at most {_MOST_SEGMENTS} strips or tiles, got {segments}")
    offsets, counts = page.dataoffsets[:segments], page.databytecounts[:segments]
    end = page.parent.filehandle.size
    whole = all(at > 0 and 0 < count <= end - at for at, count in zip(offsets, counts, strict=False))
    if min(len(offsets), len(counts)) < segments or not whole:
        raise FormatError("the file is damaged or truncated: strips or tiles are missing")


def _decoded(page: TiffPage) -> tuple[Samples, Shaped[np.ndarray, "h w extra"]]:
    """(grey, RGB or CMYK, the samples beside them), of 8 or 16 bits."""
    samples = _samples(page)
    if page.photometric == PHOTOMETRIC.PALETTE:
        return _looked_up(page, samples), _full_scale(page, samples[..., 1:])
    channels = _COLOURS.get(cast(PHOTOMETRIC, page.photometric))
    if channels is None or samples.shape[2] < channels or page.tags.valueof(_INK_SET, 1) != 1:
        raise FormatError(
            f"expected grey, RGB, CMYK or a palette, got {samples.shape[2]} channels of {_name(page.photometric)}"
        )
    full = _full_scale(page, samples)
    colour, extra = full[..., :channels], full[..., channels:]
    return ~colour if page.photometric == PHOTOMETRIC.MINISWHITE else colour, extra


def _samples(page: TiffPage) -> Samples:
    stored = page.asarray(squeeze=False, maxworkers=1)  # separate samples, layers, rows, columns, samples in a row
    samples = stored[0, 0] if stored.shape[0] == 1 else stored[:, 0, :, :, 0].transpose(1, 2, 0)
    return upright(samples, page.tags.valueof(_ORIENTATION, 1))


def _full_scale(page: TiffPage, samples: Samples) -> Samples:
    """Levels that end at 255 or 65535, whatever the number of bits."""
    bits = page.bitspersample
    most, of_file = (255 if bits <= 8 else 65535), 2**bits - 1
    if of_file == most:
        return samples
    scaled = (samples.astype(np.uint32) * most + of_file // 2) // of_file
    return scaled.astype(np.uint8 if bits <= 8 else np.uint16)


def _looked_up(page: TiffPage, samples: Samples) -> UInt8[np.ndarray, "h w 3"]:
    """The colours of a palette in 8 bits; some programs write its 16 in the lower half."""
    palette = page.colormap
    if palette is None or samples.dtype.kind not in "bu" or palette.shape[1] <= int(samples[..., 0].max()):
        raise FormatError("the file is damaged or truncated: the palette does not fit the pixels")
    levels = palette if palette.max() <= 255 else palette >> 8
    return levels.T.astype(np.uint8)[samples[..., 0].astype(np.intp)]


def _bits(page: TiffPage) -> str:
    bits = page.bitspersample
    return " and ".join(map(str, cast(Sequence[int], bits))) if isinstance(bits, tuple) else str(bits)


def _name(tag: object) -> str:
    return str(getattr(tag, "name", tag))


@contextmanager
def _silence() -> Generator[None]:
    """Keeps tifffile from printing about damaged files, of which an exception tells."""
    log = logging.getLogger("tifffile")
    before = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = before
