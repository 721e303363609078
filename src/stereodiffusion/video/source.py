"""Frames of a video file: upright, sRGB, with their exact times; and what makes a file none that can be worked on.

Times are `pts` in units of the stream's `time_base`, whatever the frame rate does. A frame is turned as the file's
display matrix says (ISO/IEC 14496-12, 6.2.2), which phones write instead of turning pixels.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stereodiffusion.errors import FormatError, first_line
from stereodiffusion.formats.extras import require

MOST_PIXELS = 8192 * 4352
"""Of a frame that is written: the largest that a level of H.264 has (6.2)."""

_HDR = {16: "PQ", 18: "HLG"}  # H.273, transfer characteristics
_BT601, _BT709 = 5, 1
_UNSPECIFIED = 2
_STILLS = ("image2", "_pipe", "apng", "gif", "webp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of a video.

    Attributes:
        picture: sRGB levels, upright.
        pts: When it is shown, in units of the time base.
        duration: For how long, in the same units, as its file says; 0 if it does not.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    pts: int
    duration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A video before its frames are decoded.

    Attributes:
        path: Of the file.
        size: (height, width) of frames, upright.
        time_base: Of times, in seconds.
        rate: Frames per second on average; None if nothing says it.
        frames: How many there are, as far as the file says; 0 if it does not.
        pixel_aspect: Width of a pixel by its height, upright.
        sounds: Codecs of the sound's streams.
        others: How many streams of other kinds there are, such as subtitles.
        timed: Whether the file says when frames are shown; otherwise they follow `rate`.
    """

    path: Path
    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction | None
    frames: int
    pixel_aspect: Fraction
    sounds: tuple[str, ...]
    others: int
    timed: bool


def describe(path: Path) -> Described:
    """Look at a video and its first frames.

    Raises:
        FormatError: If it cannot be worked on: no video, damaged, encrypted, a still picture, HDR, too large; or PyAV
            is not installed.
    """
    with _opened(path) as file:
        stream = _checked_stream(path, file)
        first, second = _first_two(path, file, stream)
        if second is None:
            raise FormatError(
                f"{path}: expected several frames, got one: a still picture is for `stereodiffusion photo`"
            )
        trc = int(first.color_trc)
        if trc in _HDR:
            raise FormatError(f"{path}: expected standard dynamic range, got HDR ({_HDR[trc]}): tone-map it first")
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        turned = _turns(first)[0] % 2 == 1
        height, width = (first.width, first.height) if turned else (first.height, first.width)
        if height * width > MOST_PIXELS:
            raise FormatError(f"{path}: too large: expected at most {MOST_PIXELS} pixels, got {width} x {height}")
        timed = first.pts is not None and second.pts is not None
        rate = stream.average_rate or stream.guessed_rate
        if not timed and not rate:
            raise FormatError(f"{path}: neither times of frames nor a frame rate: expected one of them")
        return Described(
            path=path,
            size=(height, width),
            time_base=stream.time_base if timed else 1 / rate,
            rate=rate,
            frames=stream.frames,
            pixel_aspect=1 / aspect if turned else aspect,
            sounds=tuple(each.codec_context.codec.canonical_name for each in file.streams.audio),
            others=len(file.streams) - 1 - len(file.streams.audio),
            timed=timed,
        )


def frames_of(video: Described, *, after: int = 0) -> Iterator[Frame]:
    """All frames, or those behind the first `after`, one at a time.

    Raises:
        FormatError: If the file is damaged, or times do not grow.
    """
    with _opened(video.path) as file:
        stream = _checked_stream(video.path, file)
        last: int | None = None
        for number, decoded in enumerate(_decoded(video.path, file, stream)):
            pts = decoded.pts if video.timed else number
            if pts is None or (last is not None and pts <= last):
                raise FormatError(f"{video.path}: frame {number}: expected a time after {last}, got {pts}")
            last = pts
            if number < after:
                continue
            picture = _upright(_levels(decoded), decoded)
            if picture.shape[:2] != video.size:
                height, width = picture.shape[:2]
                raise FormatError(
                    f"{video.path}: frame {number}: expected {video.size[1]} x {video.size[0]} as before, got "
                    f"{width} x {height}"
                )
            yield Frame(picture=picture, pts=pts, duration=int(decoded.duration or 0) if video.timed else 1)


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    av: Any = require("video")
    try:
        file = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as refused:
        raise FormatError(f"{path}: expected a video, got something else or a damaged file: {_said(refused)}") from None
    with file:
        yield file


def _checked_stream(path: Path, file: Any) -> Any:
    """The video stream to work on."""
    pictures = [each for each in file.streams.video if not each.disposition & type(each.disposition).attached_pic]
    if not pictures:
        raise FormatError(f"{path}: expected a video stream, got {_kinds(file)}")
    if any(kind in file.format.name for kind in _STILLS):
        raise FormatError(f"{path}: expected a video, got a picture ({file.format.name}): see `stereodiffusion photo`")
    stream = pictures[0]
    if stream.codec_context is None:
        raise FormatError(f"{path}: expected a codec that FFmpeg decodes, got an unknown one")
    stream.thread_type = "AUTO"
    return stream


def _kinds(file: Any) -> str:
    if file.streams.video:
        return "a cover picture alone"
    return " and ".join(dict.fromkeys(each.type for each in file.streams)) or "no stream at all"


def _first_two(path: Path, file: Any, stream: Any) -> tuple[Any, Any]:
    decoded = _decoded(path, file, stream)
    first = next(decoded, None)
    if first is None:
        raise FormatError(f"{path}: expected frames, got none")
    return first, next(decoded, None)


def _decoded(path: Path, file: Any, stream: Any) -> Iterator[Any]:
    av: Any = require("video")
    number = 0
    try:
        for packet in file.demux(stream):
            if packet.has_sidedata("encryption_info"):
                raise FormatError(f"{path}: expected a video that can be decoded, got an encrypted one")
            for decoded in packet.decode():
                yield decoded
                number += 1
    except av.error.FFmpegError as broken:
        raise FormatError(f"{path}: damaged behind frame {number}: {_said(broken)}") from None


def _said(refused: Exception) -> str:
    return str(getattr(refused, "strerror", None) or first_line(refused)).lower()


def _levels(decoded: Any) -> UInt8[np.ndarray, "h w 3"]:
    """SRGB of a decoded frame. What does not say its matrix has that of its size, as players guess."""
    space = int(decoded.colorspace)
    if space == _UNSPECIFIED:
        space = _BT709 if decoded.height >= 720 else _BT601
    return decoded.reformat(format="rgb24", src_colorspace=space, dst_colorspace=_BT709).to_ndarray()


def _turns(decoded: Any) -> tuple[int, bool]:
    """How a frame is to be shown: quarter turns counter-clockwise, after a flip of left and right where it says so."""
    data = decoded.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    # (x, y) of the picture goes to (a x + c y, b x + d y) on the screen, whose y points down.
    if abs(a) >= abs(b):
        return (0 if a > 0 else 2), mirrored
    return (3 if b > 0 else 1), mirrored


def _upright(picture: UInt8[np.ndarray, "h w 3"], decoded: Any) -> UInt8[np.ndarray, "h2 w2 3"]:
    turns, mirrored = _turns(decoded)
    if mirrored:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(np.rot90(picture, turns))
