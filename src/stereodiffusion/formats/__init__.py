"""Reading and writing: pictures, maps, and every way to pack a stereo pair into a file.

pictures   pictures: files, Pillow images, tensors          maps       depth and disparity maps
layouts    several pictures in one                          stereo     files that hold both eyes
files      whole files or none                              limits     how large they may be
outputs    all output formats by name, and how files are named
"""

from stereodiffusion.formats.layouts.anaglyph import AnaglyphMethod, anaglyph
from stereodiffusion.formats.layouts.sbs import cross_eyed, side_by_side, top_bottom
from stereodiffusion.formats.maps import (
    MapKind,
    RawMap,
    Unknown,
    disparity_from_map,
    parse_unknown,
    read_map,
    shows_whole,
    visualise,
    write_map,
)
from stereodiffusion.formats.outputs import OUTPUT_FORMATS, OutputFormat
from stereodiffusion.formats.pictures.image import (
    encode_image,
    from_pil,
    read_image,
    read_metadata,
    resize_image,
    to_pil,
    write_image,
)
from stereodiffusion.formats.stereo.mpo import encode_mpo
from stereodiffusion.formats.stereo.wiggle import encode_wiggle

__all__ = [
    "OUTPUT_FORMATS",
    "AnaglyphMethod",
    "MapKind",
    "OutputFormat",
    "RawMap",
    "Unknown",
    "anaglyph",
    "cross_eyed",
    "disparity_from_map",
    "encode_image",
    "encode_mpo",
    "encode_wiggle",
    "from_pil",
    "parse_unknown",
    "read_image",
    "read_map",
    "read_metadata",
    "resize_image",
    "shows_whole",
    "side_by_side",
    "to_pil",
    "top_bottom",
    "visualise",
    "write_image",
    "write_map",
]
