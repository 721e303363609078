"""Reading and writing: pictures, maps, and every way to pack a stereo pair into a file.

pictures   files, Pillow images, tensors                    maps          depth and disparity maps
layouts    several pictures in one                          stereo        files that hold both eyes
eyes       a pair, as all formats are written from and read into it
encoders   what makes each format                           outputs       all output formats by name
naming     how files are named                              reading       pairs out of files
recognising   which format a file has                       guessing      what its picture looks like
files      whole files or none                              limits        how large they may be
extras     libraries that only some formats need
"""

from stereodiffusion.formats.eyes import Eyes
from stereodiffusion.formats.layouts.anaglyph import AnaglyphMethod, anaglyph
from stereodiffusion.formats.layouts.floating_window import floating_window, window_bars
from stereodiffusion.formats.layouts.interlaced import interlaced, separated
from stereodiffusion.formats.layouts.sbs import cross_eyed, halves, side_by_side, top_bottom
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
from stereodiffusion.formats.naming import Names, write_pair
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
from stereodiffusion.formats.reading import READABLE, read_pair
from stereodiffusion.formats.stereo.alignment import Misalignment, aligned, misalignment
from stereodiffusion.formats.stereo.mpo import encode_mpo
from stereodiffusion.formats.stereo.wiggle import encode_wiggle

__all__ = [
    "OUTPUT_FORMATS",
    "READABLE",
    "AnaglyphMethod",
    "Eyes",
    "MapKind",
    "Misalignment",
    "Names",
    "OutputFormat",
    "RawMap",
    "Unknown",
    "aligned",
    "anaglyph",
    "cross_eyed",
    "disparity_from_map",
    "encode_image",
    "encode_mpo",
    "encode_wiggle",
    "floating_window",
    "from_pil",
    "halves",
    "interlaced",
    "misalignment",
    "parse_unknown",
    "read_image",
    "read_map",
    "read_metadata",
    "read_pair",
    "resize_image",
    "separated",
    "shows_whole",
    "side_by_side",
    "to_pil",
    "top_bottom",
    "visualise",
    "window_bars",
    "write_image",
    "write_map",
    "write_pair",
]
