"""Depth and disparity maps in files: their numbers, what these mean, and how they are written.

reading   the numbers of a file        meaning     what they are: pixels, metres, near and far
writing   disparity in files           pfm         one format's bytes
covering  whether a map shows a photo  visualise   false colours, for people
"""

from stereodiffusion.formats.maps.covering import shows_whole
from stereodiffusion.formats.maps.meaning import MapKind, Unknown, UnknownName, disparity_from_map, parse_unknown
from stereodiffusion.formats.maps.reading import RawMap, decode_map, read_map
from stereodiffusion.formats.maps.visualise import visualise
from stereodiffusion.formats.maps.writing import PNG_SCALE, encode_map, write_map

__all__ = [
    "PNG_SCALE",
    "MapKind",
    "RawMap",
    "Unknown",
    "UnknownName",
    "decode_map",
    "disparity_from_map",
    "encode_map",
    "parse_unknown",
    "read_map",
    "shows_whole",
    "visualise",
    "write_map",
]
