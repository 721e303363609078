"""Reading and writing: pictures, maps, and every way to pack a stereo pair into a file.

image        pictures: files, Pillow images, tensors        raster     decoded levels made a tensor
colour       colour profiles                                declared   colours declared otherwise
containers   kinds of files             limits              orientation
png   jpeg   tiff                       metadata            settings inside picture files
maps         depth and disparity maps   pfm                 visualise  disparity in false colours
files        whole files or none
sbs        side by side, cross-eyed, top-bottom             anaglyph   filter glasses
mpo        the file of 3D cameras                           wiggle     GIF and WebP animation
outputs    all output formats by name, and how files are named
"""

from stereodiffusion.formats.anaglyph import AnaglyphMethod, anaglyph
from stereodiffusion.formats.eyes import Eyes, read_eyes
from stereodiffusion.formats.floating_window import floating_window, window_bars
from stereodiffusion.formats.image import (
    encode_image,
    from_pil,
    read_image,
    read_metadata,
    resize_image,
    to_pil,
    write_image,
)
from stereodiffusion.formats.maps import (
    MapKind,
    RawMap,
    Unknown,
    disparity_from_map,
    parse_unknown,
    read_map,
    shows_whole,
    write_map,
)
from stereodiffusion.formats.mpo import encode_mpo
from stereodiffusion.formats.outputs import OUTPUT_FORMATS, OutputFormat
from stereodiffusion.formats.sbs import cross_eyed, side_by_side, top_bottom
from stereodiffusion.formats.visualise import visualise
from stereodiffusion.formats.wiggle import encode_wiggle

__all__ = [
    "OUTPUT_FORMATS",
    "AnaglyphMethod",
    "Eyes",
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
    "floating_window",
    "from_pil",
    "parse_unknown",
    "read_eyes",
    "read_image",
    "read_map",
    "read_metadata",
    "resize_image",
    "shows_whole",
    "side_by_side",
    "to_pil",
    "top_bottom",
    "visualise",
    "window_bars",
    "write_image",
    "write_map",
]
