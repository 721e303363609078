"""Packets and the sound of the source together: the file of a stereo video."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stereodiffusion.errors import FormatError, first_line
from stereodiffusion.formats.extras import require
from stereodiffusion.formats.pictures import metadata
from stereodiffusion.video.encoding import Codec, Coding, Packet
from stereodiffusion.video.source import Described
from stereodiffusion.video.stereo_mode import StereoMode, mark_mp4


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A kind of file.

    Attributes:
        format: By FFmpeg's name.
        codec: Of its pictures.
    """

    format: str
    codec: Codec


CONTAINERS: Mapping[str, Container] = MappingProxyType(
    {
        ".mp4": Container(format="mp4", codec="libx264"),
        ".mov": Container(format="mov", codec="libx264"),
        ".mkv": Container(format="matroska", codec="libx264"),
        ".webm": Container(format="webm", codec="libvpx-vp9"),
    }
)
"""By the suffix of the file."""

_BOXES = ("mp4", "mov")


def container_of(path: Path, sounds: Iterable[str] = ()) -> Container:
    """The kind of file that a path names.

    Args:
        path: Of the file to be written.
        sounds: Codecs of the sound that goes into it unchanged.

    Raises:
        FormatError: If there is no such kind, or it cannot hold the sound.
    """
    suffix = path.suffix.lower()
    if suffix not in CONTAINERS:
        raise FormatError(f"{path}: a video goes into {', '.join(CONTAINERS)}, got {path.suffix or 'no suffix'}")
    av: Any = require("video")
    kind = CONTAINERS[suffix]
    with av.open(_Nowhere(), "w", format=kind.format) as trial:
        held = trial.supported_codecs
    if wrong := [codec for codec in sounds if codec not in held]:
        raise FormatError(f"{path}: {suffix} cannot hold sound in {', '.join(dict.fromkeys(wrong))} as it is: .mkv can")
    return kind


def join(
    target: Path,
    packets: Iterable[Packet],
    coding: Coding,
    video: Described,
    mode: StereoMode,
    *,
    container: Container,
    settings: Mapping[str, object],
) -> None:
    """Write a file.

    Args:
        target: Where; what is there is written over.
        packets: Of the pictures, in order.
        coding: How they were coded.
        video: The source, whose sound is copied packet by packet.
        mode: What the container says of the eyes.
        container: Of what kind it is.
        settings: What made it, as JSON values.

    Raises:
        FormatError: If it cannot be written.
    """
    av: Any = require("video")
    try:
        with (
            av.open(str(video.path), metadata_errors="replace") as source,
            av.open(str(target), "w", format=container.format, options={"fflags": "+bitexact"}) as output,
        ):
            output.metadata["comment"] = metadata.to_json(settings)
            pictures = output.add_stream(coding.codec, rate=coding.rate or 25)
            coding.apply(pictures.codec_context)
            pictures.time_base = coding.time_base
            if mode.matroska is not None:
                pictures.metadata["stereo_mode"] = mode.matroska
            sounds = {each.index: output.add_stream_from_template(each) for each in source.streams.audio}
            for index, copied in sounds.items():
                copied.metadata.update(source.streams[index].metadata)
            streams = [_pictures(packets, pictures, coding), _sound(source, sounds)]
            for _, _, packet in merge(*streams, key=lambda timed: timed[:2]):
                output.mux(packet)
    except av.error.FFmpegError as refused:
        raise FormatError(f"{target.name}: cannot be written: {first_line(refused)}") from None
    if mode.st3d is not None and container.format in _BOXES:
        mark_mp4(target, mode.st3d)


def _pictures(packets: Iterable[Packet], stream: Any, coding: Coding) -> Iterator[tuple[float, int, Any]]:
    av: Any = require("video")
    for content, pts, key in packets:
        packet = av.Packet(content)
        packet.pts = packet.dts = pts
        packet.time_base, packet.is_keyframe, packet.stream = coding.time_base, key, stream
        yield float(pts * coding.time_base), 0, packet


def _sound(source: Any, streams: Mapping[int, Any]) -> Iterator[tuple[float, int, Any]]:
    """The source's sound, packet by packet, as it lies in the file."""
    for packet in source.demux(*(source.streams[index] for index in streams)) if streams else ():
        if packet.dts is not None:  # the last of each stream is empty
            time_s = float(packet.dts * packet.time_base)
            packet.stream = streams[packet.stream.index]
            yield time_s, 1, packet


class _Nowhere:
    """A file of which nothing is kept."""

    name = ""

    def write(self, content: bytes) -> int:
        """Forget it."""
        return len(content)
