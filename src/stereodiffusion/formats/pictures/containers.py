"""What kind of file this is, told by its first bytes, and which kinds must not be taken for a picture."""

from stereodiffusion.errors import FormatError

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}

_CAMERA_RAW = (b"FUJIFILMCCD-RAW", b"FOVb", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR")
_HIGH_DYNAMIC_RANGE = (b"#?RADIANCE", b"#?RGBE", b"\x76\x2f\x31\x01")

RAW_REFUSED = (
    "this is a camera's raw file, whose sensor data need developing and whose other picture is a preview: export it "
    "as 16-bit TIFF, PNG or JPEG"
)
HDR_REFUSED = (
    "this is a picture of high dynamic range, which would have to be mapped to what a screen shows: export it as an "
    "ordinary picture of 8 or 16 bits"
)


def is_tiff(content: bytes) -> bool:
    """Whether this is a TIFF or BigTIFF, of either byte order."""
    return content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def is_png(content: bytes) -> bool:
    """Whether this is a PNG."""
    return content.startswith(b"\x89PNG\r\n\x1a\n")


def is_heif(content: bytes) -> bool:
    """Whether this is a HEIC picture, HEVC in HEIF; AVIF is not."""
    brands = _brands(content)
    return not brands & _AVIF_BRANDS and bool(brands & (_HEIF_BRANDS | {b"mif1", b"msf1"}))


def refuse_foreign(content: bytes) -> None:
    """Refuse what holds no finished picture, or one whose values no screen shows as they are.

    Raises:
        FormatError: If the file is a camera's raw file or a picture of high dynamic range.
    """
    if content.startswith(_CAMERA_RAW) or b"crx " in _brands(content) or (is_tiff(content) and content[8:10] == b"CR"):
        raise FormatError(RAW_REFUSED)
    if content.startswith(_HIGH_DYNAMIC_RANGE):
        raise FormatError(HDR_REFUSED)


def _brands(content: bytes) -> set[bytes]:
    """The major and compatible brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    if content[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(content[:4], "big"), 256)
    return {content[at : at + 4] for at in (8, *range(16, end, 4))}
