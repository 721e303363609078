"""What a container says of the eyes in its frames, so that players need not be told.

    Matroska, WebM   StereoMode of the track (RFC 9559, 5.1.4.1.28.3)
    MP4, MOV         the box `st3d` in the sample description (Spherical Video V2; FFmpeg and YouTube read it)
    H.264            the SEI "frame packing arrangement" in the stream itself (H.264, D.1.26), which televisions read

`sv3d`, its neighbour, says how a sphere is projected: of flat video there is nothing to say. FFmpeg writes `st3d` only
of streams that it has encoded with such a side datum, which PyAV cannot give it: the box is put in afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from stereodiffusion.errors import FormatError
from stereodiffusion.formats.stereo.boxes import Box, boxes, find
from stereodiffusion.video.request import VideoFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class StereoMode:
    """The words of each container for one way to share a frame; None where it has none.

    Attributes:
        matroska: As FFmpeg's muxer calls it.
        st3d: 1 is top-bottom, 2 left-right.
        packing: H.264's frame packing arrangement.
    """

    matroska: str | None = None
    st3d: int | None = None
    packing: int | None = None


_BESIDE = StereoMode(matroska="left_right", st3d=2, packing=3)
_ABOVE = StereoMode(matroska="top_bottom", st3d=1, packing=4)

MODES: Mapping[VideoFormat, StereoMode] = MappingProxyType(
    {
        "sbs": _BESIDE,
        "sbs-half": _BESIDE,
        "cross-eyed": StereoMode(matroska="right_left"),
        "top-bottom": _ABOVE,
        "top-bottom-half": _ABOVE,
        "anaglyph": StereoMode(matroska="anaglyph_cyan_red"),
        "right": StereoMode(),
    }
)
"""Of each format."""

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_SAMPLE_HEAD = 78  # bytes of a VisualSampleEntry before its boxes
_STSD_HEAD = 8


def mark_mp4(path: Path, mode: int) -> None:
    """Say in an MP4 what its frames hold: `st3d` in the description of its video.

    The box `moov` must be the last, as it is unless somebody asks for a fast start: then nothing else moves.

    Raises:
        FormatError: If the file has another form.
    """
    at, size = _last_box(path, b"moov")
    with path.open("r+b") as file:
        file.seek(at)
        (moov,) = boxes(file.read(size))
        marked = Box(b"moov", b"".join(_marked_track(box, mode).encoded() for box in boxes(moov.body)))
        file.seek(at)
        file.write(marked.encoded())


def _last_box(path: Path, kind: bytes) -> tuple[int, int]:
    """Place and size of the last box of a file, found by the headers of those before it."""
    length, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < length:
            file.seek(at)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size
            if size < 8 or at + size > length:
                break
            if at + size == length and head[4:8] == kind:
                return at, size
            at += size
    raise FormatError(f"{path}: expected the box {kind.decode()} at its end")


def _marked_track(track: Box, mode: int) -> Box:
    if track.kind != b"trak":
        return track
    media = find(list(boxes(track.body)), b"mdia")
    handler = find(list(boxes(media.body)), b"hdlr")
    return _within(track, _PATH[2:], mode) if handler.body[8:12] == b"vide" else track


def _within(box: Box, path: tuple[bytes, ...], mode: int) -> Box:
    """The box with the sample description at the end of a path marked."""
    if not path:
        entries = [_marked_entry(entry, mode) for entry in boxes(box.body[_STSD_HEAD:])]
        return Box(box.kind, box.body[:_STSD_HEAD] + b"".join(entry.encoded() for entry in entries))
    children = (_within(child, path[1:], mode) if child.kind == path[0] else child for child in boxes(box.body))
    return Box(box.kind, b"".join(child.encoded() for child in children))


def _marked_entry(entry: Box, mode: int) -> Box:
    kept = b"".join(child.encoded() for child in boxes(entry.body[_SAMPLE_HEAD:]) if child.kind != b"st3d")
    st3d = Box(b"st3d", bytes([0, 0, 0, 0, mode]))  # version and flags, then the mode
    return Box(entry.kind, entry.body[:_SAMPLE_HEAD] + kept + st3d.encoded())
