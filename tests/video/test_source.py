"""What is read of a video, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.video.conftest import Frames, Write, av

from stereodiffusion.errors import FormatError
from stereodiffusion.video.source import describe, frames_of


def test_frames_come_with_their_exact_times(write: Write, two_scenes: Frames) -> None:
    pts = [0, 10, 50, 51, 120, 700]
    video = describe(write("a.mkv", two_scenes[:6], pts=pts))
    read = list(frames_of(video))
    assert [frame.pts * video.time_base * 1000 for frame in read] == pts
    for frame, drawn in zip(read, two_scenes, strict=False):
        assert np.abs(frame.picture.astype(int) - drawn).mean() < 4
    assert [frame.pts for frame in frames_of(video, after=4)] == [frame.pts for frame in read[4:]]


@pytest.mark.parametrize("turned", [90, 180, -90])
def test_frames_are_turned_as_the_file_says(write: Write, two_scenes: Frames, turned: int) -> None:
    video = describe(write("a.mp4", two_scenes[:2], turned=turned))
    first = next(iter(frames_of(video))).picture
    expected = np.rot90(two_scenes[0], turned // 90)  # both count counter-clockwise
    assert video.size == first.shape[:2] == expected.shape[:2]
    assert np.abs(first.astype(int) - expected).mean() < 4


def test_a_mirrored_frame(write: Write, two_scenes: Frames, tmp_path: Path) -> None:
    mirrored = tmp_path / "mirrored.mp4"
    with av.open(str(write("a.mp4", two_scenes[:2]))) as source, av.open(str(mirrored), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix([-65536, 0, 0, 0, 65536, 0, 96 << 16, 0, 1 << 30])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    first = next(iter(frames_of(describe(mirrored)))).picture
    assert np.abs(first.astype(int) - two_scenes[0][:, ::-1]).mean() < 4


def test_what_is_no_video_is_refused_in_a_line(write: Write, two_scenes: Frames, tmp_path: Path) -> None:
    whole = write("a.mp4", two_scenes, sound="aac").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("no video")
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as output, av.open(str(tmp_path / "a.mp4")) as source:
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    av.VideoFrame.from_ndarray(two_scenes[0], format="rgb24").save(str(tmp_path / "still.png"))
    write("one.mp4", two_scenes[:1])
    write("hdr.mp4", two_scenes[:2], trc=16)
    for name, said in (
        ("cut.mp4", "expected a video, got something else or a damaged file"),
        ("text.mp4", "expected a video, got something else or a damaged file"),
        ("sound.m4a", "expected a video stream, got audio"),
        ("still.png", "expected a video, got a picture"),
        ("one.mp4", "expected several frames, got one"),
        ("hdr.mp4", r"expected standard dynamic range, got HDR \(PQ\)"),
    ):
        with pytest.raises(FormatError, match=f"{name}: {said}") as refused:
            describe(tmp_path / name)
        assert "\n" not in str(refused.value)


def test_damage_in_the_middle_is_said_with_its_place(write: Write, two_scenes: Frames) -> None:
    path = write("a.mp4", two_scenes)
    video, torn = describe(path), bytearray(path.read_bytes())
    start = torn.index(b"mdat") + 4
    with av.open(str(path)) as file:
        sizes = [packet.size for packet in file.demux(video=0) if packet.size]
    hit = start + sum(sizes[:8])
    torn[hit : hit + sizes[8]] = b"\xff" * sizes[8]  # lengths of units that lead out of the packet
    path.write_bytes(torn)
    with pytest.raises(FormatError, match=r"a\.mp4: damaged behind frame \d+: invalid data"):
        list(frames_of(video))
