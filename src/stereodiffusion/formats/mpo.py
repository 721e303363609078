"""MPO: two JPEG pictures in one file, as 3D cameras write it (CIPA DC-007)."""

import struct
from collections.abc import Mapping
from io import BytesIO

from jaxtyping import Float
from torch import Tensor

from stereodiffusion.errors import FormatError
from stereodiffusion.formats import metadata
from stereodiffusion.formats.image import NO_SETTINGS, to_pil

# MP entry attributes (DC-007, 5.2.3.3): type "multi-frame image: disparity"; the first is the representative image.
_DISPARITY = 0x020002
_REPRESENTATIVE = 1 << 29
_MP_ENTRY = struct.pack("<HHL", 0xB002, 7, 2 * 16)  # tag, type "undefined", 16 bytes for each picture


def encode_mpo(
    left: Float[Tensor, "1 3 h w"], right: Float[Tensor, "1 3 h w"], settings: Mapping[str, object] = NO_SETTINGS
) -> bytes:
    """The left eye, then the right, as JPEG of quality 95 without chroma subsampling."""
    file = BytesIO()
    to_pil(left).save(
        file,
        "MPO",
        save_all=True,
        append_images=[to_pil(right)],
        quality=95,
        subsampling="4:4:4",
        exif=metadata.exif(settings).tobytes(),
    )
    return _marked_stereo(file.getvalue())


def _marked_stereo(content: bytes) -> bytes:
    """Says that the two pictures are the eyes of one scene; Pillow leaves their relation undefined."""
    index = content.find(b"MPF\0II*\0")
    found = content.find(_MP_ENTRY, index) if index >= 0 else -1
    if found < 0:
        raise FormatError("expected Pillow to write a little-endian MP index")
    (offset,) = struct.unpack_from("<L", content, found + len(_MP_ENTRY))
    entries = index + len(b"MPF\0") + offset
    marked = bytearray(content)
    struct.pack_into("<L", marked, entries, _REPRESENTATIVE | _DISPARITY)
    struct.pack_into("<L", marked, entries + 16, _DISPARITY)
    return bytes(marked)
